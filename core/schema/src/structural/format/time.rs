//! Dates, times and durations.

/// `date`: `2006-01-02`.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, c)| match at {
            4 | 7 => *c == b'-',
            _ => c.is_ascii_digit(),
        });
    if !shape {
        return false;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `date-time`: a date, `T`, and a time with a zone. What follows a second `T` is not looked at.
pub(super) fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    is_date(date) && is_time(time)
}

/// `15:04:05.999Z`, or with an offset in the place of `Z`.
fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(8) else {
        return false;
    };
    let in_range = clock.bytes().enumerate().all(|(at, c)| match at {
        2 | 5 => c == b':',
        _ => c.is_ascii_digit(),
    }) && &clock[0..2] <= "23"
        && &clock[3..5] <= "59"
        && &clock[6..8] <= "59";
    in_range && is_rest_of_time(rest)
}

fn is_rest_of_time(rest: &str) -> bool {
    if is_zone(rest) {
        return true;
    }
    // The original's pattern lets any character stand for the point.
    let mut chars = rest.chars();
    if matches!(chars.next(), None | Some('\n')) {
        return false;
    }
    let digits = chars.as_str();
    let zone = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    zone.len() < digits.len() && is_zone(zone)
}

fn is_zone(text: &str) -> bool {
    text == "z"
        || (text.len() == 6
            && text.bytes().enumerate().all(|(at, c)| match at {
                0 => matches!(c, b'+' | b'-'),
                3 => c == b':',
                _ => c.is_ascii_digit(),
            }))
}

/// `duration`: Go's, or numbers with units in words.
pub(super) fn is_duration(text: &str) -> bool {
    is_go_duration(text) || is_worded_duration(text)
}

fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let whole = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let after = whole.strip_prefix('.').map_or(whole, |f| {
            f.trim_start_matches(|c: char| c.is_ascii_digit())
        });
        let number = &rest[..rest.len() - after.len()];
        if !number.bytes().any(|c| c.is_ascii_digit()) {
            return false;
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let size = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return false,
        };
        total += size * number.trim_end_matches('.').parse::<f64>().unwrap_or(0.0);
        if total > 9.223_372_036_854_775e18 {
            return false;
        }
        rest = next;
    }
    !text.trim_start_matches(['+', '-']).is_empty()
}

/// Any number with a unit's name makes a duration; what stands between means nothing.
fn is_worded_duration(text: &str) -> bool {
    const EXACT: [&str; 13] = [
        "ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk", "sec", "min",
    ];
    const STARTS: [&str; 8] = [
        "nano", "micro", "milli", "sec", "min", "hour", "day", "week",
    ];
    let mut known = false;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = &rest[at..];
        let after = number.trim_start_matches(|c: char| c.is_ascii_digit());
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
        let unit = after.trim_start_matches(blank);
        let next = unit.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == 'µ');
        let unit = unit[..unit.len() - next.len()].to_lowercase();
        if unit.is_empty() {
            rest = after;
            continue;
        }
        if number[..number.len() - after.len()].parse::<i64>().is_err() {
            return false;
        }
        known |= EXACT.contains(&unit.as_str()) || STARTS.iter().any(|s| unit.starts_with(s));
        rest = next;
    }
    known
}
