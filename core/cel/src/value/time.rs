//! Timestamps and durations, as Go reads and writes them.

use std::cmp::Ordering;
use std::fmt;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since 1970.
const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_300_799;

const SECOND: i64 = 1_000_000_000;

/// An instant, and the offset from UTC that it was written with.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    /// Since 1970, in UTC.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    /// East of UTC, in seconds.
    pub(crate) offset: i32,
}

/// A moment on the calendar and the clock.
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u32,
    /// From 1.
    pub(crate) day: u32,
    /// From 0.
    pub(crate) day_of_year: i64,
    /// From 0, Sunday.
    pub(crate) weekday: i64,
    /// Since midnight.
    pub(crate) seconds: i64,
}

impl Timestamp {
    /// None when it is out of the range that the language has.
    pub(crate) fn new(seconds: i64, nanos: u32, offset: i32) -> Option<Timestamp> {
        (EARLIEST..=LATEST).contains(&seconds).then_some(Timestamp {
            seconds,
            nanos,
            offset,
        })
    }

    pub(crate) fn is_same_instant(&self, other: &Timestamp) -> bool {
        self.cmp_instant(other) == Ordering::Equal
    }

    pub(crate) fn cmp_instant(&self, other: &Timestamp) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.seconds == EARLIEST && self.nanos == 0
    }

    /// Later by a duration. None when that is out of range.
    pub(crate) fn plus(&self, nanos: i64) -> Option<Timestamp> {
        let total = i128::from(self.seconds) * i128::from(SECOND)
            + i128::from(self.nanos)
            + i128::from(nanos);
        let seconds = i64::try_from(total.div_euclid(i128::from(SECOND))).ok()?;
        let nanos = u32::try_from(total.rem_euclid(i128::from(SECOND))).ok()?;
        Timestamp::new(seconds, nanos, self.offset)
    }

    /// The nanoseconds since another. None when they are too many.
    pub(crate) fn since(&self, other: &Timestamp) -> Option<i64> {
        let seconds = self.seconds.checked_sub(other.seconds)?;
        let nanos = i64::from(self.nanos) - i64::from(other.nanos);
        seconds.checked_mul(SECOND)?.checked_add(nanos)
    }

    /// The calendar and the clock, `offset` seconds east of UTC.
    pub(crate) fn civil(&self, offset: i32) -> Civil {
        let local = self.seconds + i64::from(offset);
        let days = local.div_euclid(86_400);
        let (year, month, day) = civil_of_days(days);
        Civil {
            year,
            month,
            day,
            day_of_year: days - days_of_civil(year, 1, 1),
            weekday: (days + 4).rem_euclid(7),
            seconds: local.rem_euclid(86_400),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, with as many decimals as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil(self.offset);
        let (hour, minute) = (civil.seconds / 3600, civil.seconds / 60 % 60);
        let (year, month, day) = (civil.year, civil.month, civil.day);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}",
            civil.seconds % 60
        )?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Days since 1970-01-01 (the algorithm of Howard Hinnant's "chrono-compatible low-level date
/// algorithms").
fn days_of_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_of_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        year,
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

fn days_in_month(year: i64, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Exactly `count` digits at the start, and what follows.
fn take(text: &str, count: usize) -> Option<(u32, &str)> {
    let digits = text.get(..count)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, &text[count..]))
}

fn take_date(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = take(text, 4)?;
    let (month, rest) = take(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = take(rest.strip_prefix('-')?, 2)?;
    let year = i64::from(year);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    Some((days_of_civil(year, month, day), rest))
}

/// `hh:mm` and, if there are, `:ss.fff`, as seconds and nanoseconds.
fn take_clock(text: &str, must_have_seconds: bool) -> Option<(i64, u32, &str)> {
    let (hour, rest) = take(text, 2)?;
    let (minute, rest) = take(rest.strip_prefix(':')?, 2)?;
    let mut second = 0;
    let mut after = rest;
    if let Some(rest) = rest.strip_prefix(':') {
        (second, after) = take(rest, 2)?;
    } else if must_have_seconds {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut nanos = 0;
    if let Some(fraction) = after.strip_prefix(['.', ',']) {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return None;
        }
        let digits: String = fraction[..count]
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        nanos = digits.parse().ok()?;
        after = &fraction[count..];
    }
    Some((i64::from(hour * 3600 + minute * 60 + second), nanos, after))
}

/// `Z` or `+hh:mm`, in seconds.
fn take_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = take(&text[1..], 2)?;
    let (minutes, rest) = take(rest.strip_prefix(':')?, 2)?;
    if hours > 24 || minutes > 59 || !rest.is_empty() {
        return None;
    }
    Some(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?)
}

/// RFC 3339. None when it is not, or out of range.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let (days, rest) = take_date(text)?;
    let (clock, nanos, rest) = take_clock(rest.strip_prefix('T')?, true)?;
    let offset = take_offset(rest)?;
    Timestamp::new(days * 86_400 + clock - i64::from(offset), nanos, offset)
}

/// `yyyy-mm-dd`, at midnight.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let (days, rest) = take_date(text)?;
    if !rest.is_empty() {
        return None;
    }
    Timestamp::new(days * 86_400, 0, 0)
}

/// The format `date-time`, which allows more than RFC 3339.
pub(super) fn parse_date_time(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Timestamp::new(0, 0, 0);
    }
    if let Some(time) = parse_timestamp(text) {
        return Some(time);
    }
    let (days, rest) = take_date(text)?;
    let (clock, nanos, rest) = take_clock(rest.strip_prefix(['T', 't', ' '])?, false)?;
    let offset = match rest {
        "" | "z" => 0,
        rest => take_offset(rest)?,
    };
    Timestamp::new(days * 86_400 + clock - i64::from(offset), nanos, offset)
}

/// A duration such as `1h30m`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        total = total.checked_add(scaled(number, unit_nanos(unit)?)?)?;
        rest = after;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).ok()
}

fn unit_nanos(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

/// A decimal number of units, in nanoseconds, what is less left out.
fn scaled(number: &str, unit: i64) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let unit = i128::from(unit);
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits: String = fraction.chars().take(15).collect();
    let fraction: i128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let scale = 10i128.pow(u32::try_from(digits.len()).ok()?);
    whole
        .checked_mul(unit)?
        .checked_add(fraction.checked_mul(unit)? / scale)
}

/// The format `duration`, which also allows days, weeks and words.
pub(super) fn parse_loose_duration(text: &str) -> Result<i64, String> {
    if let Some(nanos) = parse_duration(text) {
        return Ok(nanos);
    }
    let failed = || format!("unable to parse {text} as duration");
    let trimmed = text.trim();
    let end = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = trimmed[..end].parse().map_err(|_| failed())?;
    let unit = match trimmed[end..].trim() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1000,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600 * SECOND,
        "d" | "day" | "days" => 24 * 3600 * SECOND,
        "w" | "wk" | "week" | "weeks" => 7 * 24 * 3600 * SECOND,
        _ => return Err(failed()),
    };
    number.checked_mul(unit).ok_or_else(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn timestamps_are_read_and_written() {
        for text in [
            "2024-02-29T12:30:45Z",
            "2024-02-29T12:30:45.125Z",
            "1969-12-31T23:59:59-07:00",
            "0001-01-01T00:00:00Z",
        ] {
            let time = parse_timestamp(text).expect(text);
            assert_eq!(time.to_string(), text);
        }
        for text in [
            "2023-02-29T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00Z",
            "",
        ] {
            assert!(parse_timestamp(text).is_none(), "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("1h30m"), Some(5400 * SECOND));
        assert_eq!(parse_duration("-1.5s"), Some(-1_500_000_000));
        assert_eq!(parse_duration("0"), Some(0));
        assert_eq!(parse_duration("1d"), None);
        assert_eq!(parse_loose_duration("1d"), Ok(86_400 * SECOND));
    }

    proptest! {
        #[test]
        fn days_lead_to_the_same_day(days in -719_162i64..2_932_896) {
            let (year, month, day) = civil_of_days(days);
            prop_assert_eq!(days_of_civil(year, month, day), days);
        }
    }
}
