//! Schedules of CronJobs: five fields as in crontab(5), or `@hourly` and its like, in UTC.
//!
//! Which texts are taken, and what a wrong one is answered with, is compatible with
//! `github.com/robfig/cron/v3`, which kube-apiserver uses.

use crate::Timestamp;

/// Schedules are looked through this far into the future; one that has no time by then has none.
const HORIZON_DAYS: i64 = 5 * 366;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// Months and days as they may be written.
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// At the times that all fields allow
    Fields(Fields),
    /// `@every D`, in seconds
    Every(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
}

/// The values that a field allows, and whether it was a star.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set {
    bits: u64,
    star: bool,
}

impl Set {
    fn has(self, value: i64) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.bits & (1 << value) != 0)
    }
}

struct Bounds {
    low: i64,
    high: i64,
    names: &'static [&'static str],
    first_name: i64,
}

const MINUTES: Bounds = plain(0, 59);
const HOURS: Bounds = plain(0, 23);
const DAYS: Bounds = plain(1, 31);
const MONTH: Bounds = Bounds {
    names: &MONTHS,
    first_name: 1,
    ..plain(1, 12)
};
const WEEKDAY: Bounds = Bounds {
    names: &WEEKDAYS,
    ..plain(0, 6)
};

const fn plain(low: i64, high: i64) -> Bounds {
    Bounds {
        low,
        high,
        names: &[],
        first_name: 0,
    }
}

impl Cron {
    /// Reads a schedule; one with `TZ=` in front is read without it.
    ///
    /// # Errors
    /// Why the text is no schedule, in the words of the API.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let text = without_zone(text)?;
        if let Some(word) = text.strip_prefix('@') {
            return descriptor(word, text);
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{}]",
                parts.len(),
                parts.join(" ")
            ));
        };
        Ok(Self(Form::Fields(Fields {
            minutes: field(minutes, &MINUTES)?,
            hours: field(hours, &HOURS)?,
            days: field(days, &DAYS)?,
            months: field(months, &MONTH)?,
            weekdays: field(weekdays, &WEEKDAY)?,
        })))
    }

    /// The first time of the schedule after `time`; `None` when there is none within five years.
    pub fn next(&self, time: Timestamp) -> Option<Timestamp> {
        let seconds = match &self.0 {
            Form::Every(every) => time.seconds() + every,
            Form::Fields(fields) => fields.next(time.seconds())?,
        };
        Some(Timestamp::from_micros(seconds * 1_000_000))
    }
}

impl Fields {
    fn next(&self, after: i64) -> Option<i64> {
        let start = (after.div_euclid(MINUTE) + 1) * MINUTE;
        let first = start.div_euclid(DAY);
        for day in first..first + HORIZON_DAYS {
            if !self.allows_day(day) {
                continue;
            }
            let from = if day == first { start - first * DAY } else { 0 };
            if let Some(second) = self.next_in_day(from) {
                return Some(day * DAY + second);
            }
        }
        None
    }

    fn next_in_day(&self, from: i64) -> Option<i64> {
        let mut minutes = from / MINUTE..DAY / MINUTE;
        minutes
            .find(|minute| self.hours.has(minute / 60) && self.minutes.has(minute % 60))
            .map(|minute| minute * MINUTE)
    }

    /// With both days given, one of them is enough.
    fn allows_day(&self, day: i64) -> bool {
        let (_, month, of_month) = crate::time::civil_date(day);
        let of_week = (day + 4).rem_euclid(7);
        let (by_month, by_week) = (self.days.has(of_month), self.weekdays.has(of_week));
        let allowed = if self.days.star || self.weekdays.star {
            by_month && by_week
        } else {
            by_month || by_week
        };
        allowed && self.months.has(month)
    }
}

/// Cuts `TZ=Zone ` or `CRON_TZ=Zone ` off.
fn without_zone(text: &str) -> Result<&str, String> {
    if !text.starts_with("TZ=") && !text.starts_with("CRON_TZ=") {
        return Ok(text);
    }
    let rest = text.split_once(' ').map(|(_, rest)| rest.trim());
    rest.ok_or_else(|| "spec has only a time zone".to_owned())
}

fn descriptor(word: &str, text: &str) -> Result<Cron, String> {
    let fields = match word {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => {
            let Some(every) = word.strip_prefix("every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let nanos = go_duration(every)
                .map_err(|why| format!("failed to parse duration {text}: {why}"))?;
            return Ok(Cron(Form::Every((nanos / 1_000_000_000).max(1))));
        }
    };
    Cron::parse(fields)
}

fn field(text: &str, bounds: &Bounds) -> Result<Set, String> {
    let mut set = Set::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let more = range(part, bounds)?;
        set.bits |= more.bits;
        set.star |= more.star;
    }
    Ok(set)
}

fn range(text: &str, bounds: &Bounds) -> Result<Set, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let mut star = matches!(ends[0], "*" | "?");
    let (start, mut end) = if star {
        (bounds.low, bounds.high)
    } else {
        let start = number_or_name(ends[0], bounds)?;
        match ends.as_slice() {
            [_] => (start, start),
            [_, end] => (start, number_or_name(end, bounds)?),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            if ends.len() == 1 {
                end = bounds.high;
            }
            star &= step <= 1;
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    let (low, high) = (bounds.low, bounds.high);
    if start < low {
        return Err(format!(
            "beginning of range ({start}) below minimum ({low}): {text}"
        ));
    }
    if end > high {
        return Err(format!(
            "end of range ({end}) above maximum ({high}): {text}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let mut bits = 0;
    let mut value = start;
    while value <= end {
        bits |= 1_u64 << value;
        value = value.saturating_add(step);
    }
    Ok(Set { bits, star })
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<i64, String> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        Some(at) => Ok(bounds.first_name + i64::try_from(at).unwrap_or(0)),
        None => number(text),
    }
}

fn number(text: &str) -> Result<i64, String> {
    let invalid = |why: &str| {
        let quoted = crate::go_quote(text);
        format!("failed to parse int from {text}: strconv.Atoi: parsing {quoted}: {why}")
    };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("invalid syntax"));
    }
    let value: i64 = text.parse().map_err(|_| invalid("value out of range"))?;
    if value < 0 {
        return Err(format!("negative number ({value}) not allowed: {text}"));
    }
    Ok(value)
}

/// Reads `1h30m` and the like, in nanoseconds.
fn go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", crate::go_quote(text));
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (amount, tail) = rest.split_at(split.unwrap_or(rest.len()));
        let amount: f64 = amount.parse().map_err(|_| invalid())?;
        if tail.is_empty() {
            let quoted = crate::go_quote(text);
            return Err(format!("time: missing unit in duration {quoted}"));
        }
        let split = tail.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, next) = tail.split_at(split.unwrap_or(tail.len()));
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => {
                let (unit, text) = (crate::go_quote(unit), crate::go_quote(text));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            }
        };
        total += amount * factor;
        rest = next;
    }
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    // Saturates, which is what is wanted at the ends.
    let nanos = total as i64;
    Ok(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, time: &str) -> String {
        let cron = Cron::parse(schedule).unwrap();
        let next = cron.next(Timestamp::parse(time).unwrap());
        next.map_or_else(|| "never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn the_next_time_is_after_the_given_one() {
        for (schedule, time, want) in [
            ("* * * * *", "2026-02-28T23:59:30Z", "2026-03-01T00:00:00Z"),
            ("* * * * *", "2026-02-28T23:58:00Z", "2026-02-28T23:59:00Z"),
            (
                "*/15 * * * *",
                "2026-01-01T10:07:00Z",
                "2026-01-01T10:15:00Z",
            ),
            (
                "30 4 1,15 * 5",
                "2026-01-02T05:00:00Z",
                "2026-01-09T04:30:00Z",
            ),
            (
                "0 0 29 feb *",
                "2026-01-01T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            ("0 0 31 2 *", "2026-01-01T00:00:00Z", "never"),
            (
                "0 9 * * mon-fri",
                "2026-11-27T09:00:00Z",
                "2026-11-30T09:00:00Z",
            ),
            ("@weekly", "2026-11-25T00:00:00Z", "2026-11-29T00:00:00Z"),
            ("@every 90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"),
            (
                "5/20 * ? * *",
                "2026-01-01T00:26:00Z",
                "2026-01-01T00:45:00Z",
            ),
        ] {
            assert_eq!(after(schedule, time), want, "{schedule}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (schedule, want) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            (
                "a * * * *",
                "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax",
            ),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            (
                "*/0 * * * *",
                "step of range should be a positive number: */0",
            ),
            (
                "5-1 * * * *",
                "beginning of range (5) beyond end of range (1): 5-1",
            ),
            ("0 0 0 * *", "beginning of range (0) below minimum (1): 0"),
            (
                "-1 * * * *",
                "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax",
            ),
            ("@often", "unrecognized descriptor: @often"),
            (
                "@every 5",
                "failed to parse duration @every 5: time: missing unit in duration \"5\"",
            ),
        ] {
            assert_eq!(Cron::parse(schedule).unwrap_err(), want, "{schedule}");
        }
    }
}
