//! Durations as Go writes them.

use std::time::Duration;

/// Reads `1h2m3.5s`, `100ms`, `0`; true with it for a negative one. `None` for what is none.
pub(super) fn parse_duration(text: &str) -> Option<(bool, Duration)> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some((false, Duration::ZERO));
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = rest.split_at(end.unwrap_or(rest.len()));
        nanos += number * nanos_of(unit)?;
        rest = behind;
    }
    // Go counts nanoseconds in 63 bits.
    (nanos < i64::MAX as f64).then(|| (negative, Duration::from_nanos(nanos as u64)))
}

fn nanos_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let read = |text| parse_duration(text).map(|(_, duration)| duration);
        assert_eq!(read("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(read("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        assert_eq!(parse_duration("-1s").map(|found| found.0), Some(true));
        for text in ["", "1", "s", "1d", "1s2", "-", "1.2.3s", "9999999999h"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
