//! What printers share: reading fields that may be missing, ages, shortened lists.

use model::Timestamp;
use serde_json::Value;

/// Lists in cells show this many items.
pub(super) const SHOWN: usize = 3;

pub(crate) fn name(object: &Value) -> Value {
    text(&object["metadata"]["name"]).into()
}

/// Age of the object.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    since(&object["metadata"]["creationTimestamp"], now).into()
}

/// The string; empty when there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The string, or `other` when it is empty or missing.
pub(super) fn text_or<'a>(value: &'a Value, other: &'a str) -> &'a str {
    match text(value) {
        "" => other,
        text => text,
    }
}

pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Items of a list; none when it is missing.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many entries a map or list has.
pub(super) fn len(value: &Value) -> usize {
    value
        .as_object()
        .map_or_else(|| items(value).len(), serde_json::Map::len)
}

/// Time since a timestamp, `<unknown>` when there is none.
pub(crate) fn since(timestamp: &Value, now: Timestamp) -> String {
    match Timestamp::parse(text(timestamp)) {
        Some(time) => human_duration(now.micros() - time.micros()),
        None => "<unknown>".to_owned(),
    }
}

/// Items joined with commas; what follows the first few is counted in `total`.
pub(super) fn shortened(shown: &[String], total: usize) -> String {
    let joined = shown.join(",");
    if total > shown.len() {
        return format!("{joined} + {} more...", total - SHOWN);
    }
    joined
}

/// `k8s.io/apimachinery/pkg/util/duration.HumanDuration`: the two largest units that tell something.
pub(super) fn human_duration(micros: i64) -> String {
    // Go cuts towards zero.
    let seconds = micros / 1_000_000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => two(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        return format!("{large}{large_unit}");
    }
    format!("{large}{large_unit}{small}{small_unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_what_matters() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (8 * 3600 + 60, "8h"),
            (48 * 3600, "2d"),
            (49 * 3600, "2d1h"),
            (8 * 86400, "8d"),
            (730 * 86400, "2y"),
            (731 * 86400, "2y1d"),
            (3000 * 86400, "8y"),
        ] {
            assert_eq!(human_duration(seconds * 1_000_000), text);
        }
    }
}
