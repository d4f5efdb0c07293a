//! Points in time as values; the clock itself is an input of whoever needs it.

use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    micros: i64,
}

impl Timestamp {
    /// From microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.micros.div_euclid(1_000_000)
    }

    /// This time plus `seconds`.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self {
            micros: self.micros + seconds * 1_000_000,
        }
    }

    /// `metav1.Time`: RFC 3339 in UTC with whole seconds.
    pub fn rfc3339(self) -> String {
        let (y, mo, d, h, mi, s) = civil(self.seconds());
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }

    /// `metav1.MicroTime`: RFC 3339 in UTC with six digits of fraction.
    pub fn rfc3339_micro(self) -> String {
        let (y, mo, d, h, mi, s) = civil(self.seconds());
        let fraction = self.micros.rem_euclid(1_000_000);
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{fraction:06}Z")
    }

    /// Reads RFC 3339 with any offset and fraction.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.split_once(['T', 't'])?;
        let mut parts = date.split('-');
        let year: i64 = digits(parts.next()?, 4)?;
        let month: i64 = digits(parts.next()?, 2)?;
        let day: i64 = digits(parts.next()?, 2)?;
        if parts.next().is_some()
            || !(1..=12).contains(&month)
            || !(1..=days_in(year, month)).contains(&day)
        {
            return None;
        }
        let zone_at = clock.find(['Z', 'z', '+', '-'])?;
        let (time, zone) = clock.split_at(zone_at);
        let (hms, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut parts = hms.split(':');
        let hour: i64 = digits(parts.next()?, 2)?;
        let minute: i64 = digits(parts.next()?, 2)?;
        let second: i64 = digits(parts.next()?, 2)?;
        if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds =
            days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
        Some(Self {
            micros: (seconds - offset(zone)?) * 1_000_000 + fraction_micros(time, fraction)?,
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn fraction_micros(time: &str, fraction: &str) -> Option<i64> {
    if !time.contains('.') {
        return Some(0);
    }
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    six.parse().ok()
}

fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (digits(hours, 2)? * 3600 + digits(minutes, 2)? * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the epoch of a date in the proleptic Gregorian calendar, with years that begin in
/// March so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since the epoch.
pub(crate) fn civil_date(day: i64) -> (i64, i64, i64) {
    let (year, month, day, ..) = civil(day * 86400);
    (year, month, day)
}

fn civil(seconds: i64) -> (i64, i64, i64, i64, i64, i64) {
    let days = seconds.div_euclid(86400) + 719_468;
    let rest = seconds.rem_euclid(86400);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, rest / 3600, rest % 3600 / 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_795_646_096_123_456, "2026-11-25T22:34:56.123456Z"),
            (-1_000_000, "1969-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).rfc3339_micro(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_micros(micros)));
        }
    }

    #[test]
    fn reads_offsets_and_refuses_rubbish() {
        let plain = Timestamp::parse("2026-11-25T18:00:00Z");
        assert_eq!(Timestamp::parse("2026-11-25T20:00:00+02:00"), plain);
        for bad in [
            "",
            "2026-11-25",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-25T18:00:00",
            "2026-11-25T18:00:00.Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
