//! The row of an Event, which is stored as core `v1`.

use super::cells::{number, since, text, text_or};
use model::Timestamp;
use serde_json::Value;

pub(super) fn row(event: &Value, now: Timestamp) -> Vec<Value> {
    let involved = &event["involvedObject"];
    let kind = text(&involved["kind"]).to_lowercase();
    let target = match text(&involved["name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let (first, last, count) = times(event, now);
    vec![
        last.into(),
        text(&event["type"]).into(),
        text(&event["reason"]).into(),
        target.into(),
        text(&involved["fieldPath"]).into(),
        source(event).into(),
        text(&event["message"]).trim().into(),
        first.into(),
        count.into(),
        text(&event["metadata"]["name"]).into(),
    ]
}

/// First and last time and how often: events of the new API have a series instead of a count.
fn times(event: &Value, now: Timestamp) -> (String, String, i64) {
    let time = |field: &str, other: &str| match event[field].is_null() {
        true => other.to_owned(),
        false => since(&event[field], now),
    };
    let first = time("firstTimestamp", &since(&event["eventTime"], now));
    let series = &event["series"];
    if series.is_object() {
        let last = since(&series["lastObservedTime"], now);
        return (first, last, number(&series["count"]));
    }
    let last = time("lastTimestamp", &first);
    // Single events of the new API have no count.
    let count = if number(&event["count"]) == 0 {
        1
    } else {
        number(&event["count"])
    };
    (first, last, count)
}

fn source(event: &Value) -> String {
    let source = &event["source"];
    let component = text_or(&source["component"], text(&event["reportingComponent"]));
    let instance = text_or(&source["host"], text(&event["reportingInstance"]));
    if instance.is_empty() {
        return component.to_owned();
    }
    format!("{component}, {instance}")
}
