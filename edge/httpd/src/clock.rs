//! Dates for headers and logs.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

struct Parts {
    weekday: &'static str,
    month: &'static str,
    day: String,
    year: String,
    time: String,
}

fn parts(seconds: i64) -> Parts {
    let text = model::Timestamp::from_micros(seconds * 1_000_000).rfc3339();
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    let pick = |list: &[&'static str], index: i64| {
        let index = usize::try_from(index).unwrap_or(0);
        list.get(index).copied().unwrap_or("")
    };
    let month: i64 = slice(5, 7).parse().unwrap_or(1);
    Parts {
        weekday: pick(&DAYS, (seconds / 86_400).rem_euclid(7)),
        month: pick(&MONTHS, month - 1),
        day: slice(8, 10),
        year: slice(0, 4),
        time: slice(11, 19),
    }
}

/// Now, as in the Date header.
pub(crate) fn http_date() -> String {
    http_date_of(seconds())
}

fn http_date_of(seconds: i64) -> String {
    let Parts {
        weekday,
        month,
        day,
        year,
        time,
    } = parts(seconds);
    format!("{weekday}, {day} {month} {year} {time} GMT")
}

/// Now, as nginx's `$time_local` in UTC.
pub(crate) fn log_date() -> String {
    let Parts {
        month,
        day,
        year,
        time,
        ..
    } = parts(seconds());
    format!("{day}/{month}/{year}:{time} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        assert_eq!(http_date_of(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date_of(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
