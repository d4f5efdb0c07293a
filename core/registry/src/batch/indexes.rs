//! Lists of indexes as text: `0,2-5,7`.

use model::go_quote;

/// First and last index of one part.
type Interval = (i64, i64);

/// How many indexes a list names, of those below `completions`.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let (mut total, mut last) = (0, None);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (from, to) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= from) {
            return Err(format!(
                "non-increasing order, previous: {last}, current: {from}"
            ));
        }
        total += to - from + 1;
        last = Some(to);
    }
    Ok(total)
}

/// The first index that two lists share; parts that cannot be read are passed over.
pub(super) fn overlap(a: &str, b: &str, completions: i64) -> Option<i64> {
    let parts = |text: &str| -> Vec<Interval> {
        text.split(',')
            .filter_map(|part| interval(part, completions).ok())
            .collect()
    };
    let (a, b) = (parts(a), parts(b));
    let shared = a.iter().flat_map(|x| {
        let meets = b.iter().filter(move |y| x.0 <= y.1 && y.0 <= x.1);
        meets.map(move |y| x.0.max(y.0))
    });
    shared.min()
}

fn interval(text: &str, completions: i64) -> Result<Interval, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let index = |part: &str| {
        let number: i64 = part.parse().map_err(|_| {
            format!(
                "cannot convert string to integer for index: {}",
                go_quote(part)
            )
        })?;
        if number >= completions {
            return Err(format!("too large index: {}", go_quote(part)));
        }
        Ok(number)
    };
    match parts.as_slice() {
        [one] => index(one).map(|at| (at, at)),
        [from, to] => {
            let (from, to) = (index(from)?, index(to)?);
            if from >= to {
                return Err(format!(
                    "non-increasing order, previous: {from}, current: {to}"
                ));
            }
            Ok((from, to))
        }
        _ => Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two \
             parts separated by '-'",
            go_quote(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_counted_or_refused() {
        assert_eq!(count("", 3), Ok(0));
        assert_eq!(count("0,2-4", 5), Ok(4));
        for (text, why) in [
            ("5", "too large index: \"5\""),
            ("x", "cannot convert string to integer for index: \"x\""),
            ("3,1", "non-increasing order, previous: 3, current: 1"),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
        ] {
            assert_eq!(count(text, 5).unwrap_err(), why);
        }
    }

    #[test]
    fn shared_indexes_are_found() {
        assert_eq!(overlap("0,2-4", "1,3", 5), Some(3));
        assert_eq!(overlap("0,2", "1,3", 5), None);
        assert_eq!(overlap("", "1", 5), None);
    }
}
