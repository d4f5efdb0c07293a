//! Times as Go's `time.Parse` takes them, with its error texts.

use model::Timestamp;

/// `metav1.Time`
const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
/// `metav1.MicroTime`
const MICROS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Reads RFC 3339; a fraction may be there.
///
/// # Errors
/// Go's text: `parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"`.
pub(crate) fn seconds(text: &str) -> Result<Timestamp, String> {
    parse(SECONDS, text)
}

/// Reads RFC 3339 with exactly six digits of fraction.
///
/// # Errors
/// As [`seconds`].
pub(crate) fn micros(text: &str) -> Result<Timestamp, String> {
    parse(MICROS, text)
}

#[derive(Default)]
struct Parts {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
    zone: String,
}

fn parse(layout: &str, text: &str) -> Result<Timestamp, String> {
    let mut reader = Reader {
        layout,
        text,
        rest: text,
    };
    let mut parts = Parts::default();
    reader.year(&mut parts)?;
    reader.mark("-")?;
    parts.month = reader.number("01", true)?;
    reader.range(parts.month >= 1 && parts.month <= 12, "month")?;
    reader.mark("-")?;
    parts.day = reader.number("02", true)?;
    reader.mark("T")?;
    parts.hour = reader.number("15", false)?;
    reader.range(parts.hour < 24, "hour")?;
    reader.mark(":")?;
    parts.minute = reader.number("04", true)?;
    reader.range(parts.minute < 60, "minute")?;
    reader.mark(":")?;
    parts.second = reader.number("05", true)?;
    reader.range(parts.second < 60, "second")?;
    reader.fraction(&mut parts)?;
    reader.zone(&mut parts)?;
    if !reader.rest.is_empty() {
        return Err(reader.wrong(&format!(": extra text: {}", quote(reader.rest))));
    }
    timestamp(&parts).ok_or_else(|| reader.wrong(": day out of range"))
}

/// `None` when the month has no such day.
fn timestamp(parts: &Parts) -> Option<Timestamp> {
    Timestamp::parse(&format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}{}",
        parts.year,
        parts.month,
        parts.day,
        parts.hour,
        parts.minute,
        parts.second,
        parts.micros,
        parts.zone,
    ))
}

struct Reader<'a> {
    layout: &'a str,
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// `count` bytes of the rest, if they are there and end between characters.
    fn first(&self, count: usize) -> Option<(&'a str, &'a str)> {
        self.rest.split_at_checked(count)
    }

    fn year(&mut self, parts: &mut Parts) -> Result<(), String> {
        let digits = self.first(4).filter(|(year, _)| all_digits(year));
        let Some((year, rest)) = digits else {
            return Err(self.cannot("2006"));
        };
        parts.year = value(year);
        self.rest = rest;
        Ok(())
    }

    fn mark(&mut self, mark: &str) -> Result<(), String> {
        self.rest = self
            .rest
            .strip_prefix(mark)
            .ok_or_else(|| self.cannot(mark))?;
        Ok(())
    }

    /// Two digits, or one unless `fixed`.
    fn number(&mut self, element: &str, fixed: bool) -> Result<u32, String> {
        let two = self.first(2).filter(|(digits, _)| all_digits(digits));
        let one = self
            .first(1)
            .filter(|(digits, _)| all_digits(digits) && !fixed);
        let (digits, rest) = two.or(one).ok_or_else(|| self.cannot(element))?;
        self.rest = rest;
        Ok(value(digits))
    }

    fn fraction(&mut self, parts: &mut Parts) -> Result<(), String> {
        let exact = self.layout == MICROS;
        let digits: usize = match self.rest.strip_prefix(['.', ',']) {
            Some(rest) => rest.bytes().take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        if exact && digits < 6 {
            return Err(self.cannot(".000000"));
        }
        let used = if exact { 6 } else { digits };
        if used == 0 {
            return Ok(());
        }
        let Some((fraction, rest)) = self.first(used + 1) else {
            return Err(self.cannot(".000000"));
        };
        let six: String = fraction
            .chars()
            .skip(1)
            .chain("000000".chars())
            .take(6)
            .collect();
        parts.micros = value(&six);
        self.rest = rest;
        Ok(())
    }

    fn zone(&mut self, parts: &mut Parts) -> Result<(), String> {
        let element = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            parts.zone = "Z".to_owned();
            return Ok(());
        }
        let (zone, rest) = self.first(6).ok_or_else(|| self.cannot(element))?;
        let split = zone.get(1..).and_then(|offset| offset.split_once(':'));
        let (hours, minutes) = split.ok_or_else(|| self.cannot(element))?;
        if hours.len() != 2 || !all_digits(hours) || !all_digits(minutes) {
            return Err(self.cannot(element));
        }
        if !zone.starts_with(['+', '-']) {
            return Err(self.cannot(element));
        }
        self.rest = rest;
        self.range(value(hours) <= 24, "time zone offset hour")?;
        self.range(value(minutes) <= 60, "time zone offset minute")?;
        parts.zone = zone.to_owned();
        Ok(())
    }

    fn range(&self, ok: bool, what: &str) -> Result<(), String> {
        if ok {
            Ok(())
        } else {
            Err(self.wrong(&format!(": {what} out of range")))
        }
    }

    fn cannot(&self, element: &str) -> String {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(self.text),
            quote(self.layout),
            quote(self.rest),
            quote(element)
        )
    }

    fn wrong(&self, message: &str) -> String {
        format!("parsing time {}{message}", quote(self.text))
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn value(digits: &str) -> u32 {
    digits.parse().unwrap_or(0)
}

/// The time package has quotes of its own: bytes outside ASCII in hexadecimal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' | 0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, printed) in [
            ("2026-11-25T18:00:00Z", "2026-11-25T18:00:00.000000Z"),
            (
                "2026-11-25T8:00:00.1234567+02:00",
                "2026-11-25T06:00:00.123456Z",
            ),
        ] {
            let time = seconds(text).map(Timestamp::rfc3339_micro);
            assert_eq!(time.as_deref(), Ok(printed));
        }
        assert!(micros("2026-11-25T18:00:00.000001Z").is_ok());
    }

    #[test]
    fn says_what_go_says() {
        let as_seconds = "as \"2006-01-02T15:04:05Z07:00\": cannot parse";
        for (text, message) in [
            (
                "x",
                format!("parsing time \"x\" {as_seconds} \"x\" as \"2006\""),
            ),
            (
                "",
                format!("parsing time \"\" {as_seconds} \"\" as \"2006\""),
            ),
            (
                "2026-11-25",
                format!("parsing time \"2026-11-25\" {as_seconds} \"\" as \"T\""),
            ),
            (
                "2026-13-25T",
                "parsing time \"2026-13-25T\": month out of range".to_owned(),
            ),
            (
                "2026-02-30T00:00:00Z",
                "parsing time \"2026-02-30T00:00:00Z\": day out of range".to_owned(),
            ),
            (
                "2026-02-03T00:00:00Zx",
                "parsing time \"2026-02-03T00:00:00Zx\": extra text: \"x\"".to_owned(),
            ),
        ] {
            assert_eq!(seconds(text), Err(message));
        }
        assert_eq!(
            micros("2026-11-25T18:00:00Z"),
            Err("parsing time \"2026-11-25T18:00:00Z\" as \
                 \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
                .to_owned())
        );
    }
}
