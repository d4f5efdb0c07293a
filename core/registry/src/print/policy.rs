//! Rows of what limits and guards others.

use super::cells::{age, items, name, number, text};
use super::selector::selector;
use model::Timestamp;
use serde_json::Value;

/// A number or percentage, `N/A` when it is not given.
fn amount(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

pub(super) fn disruption_budget(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    vec![
        name(object),
        amount(&spec["minAvailable"]),
        amount(&spec["maxUnavailable"]),
        number(&object["status"]["disruptionsAllowed"]).into(),
        age(object, now),
    ]
}

pub(super) fn resource_quota(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = &object["status"];
    let hard = status["hard"].as_object().into_iter().flatten();
    let mut columns = [Vec::new(), Vec::new()];
    for (resource, limit) in hard {
        let used = status["used"][resource].as_str().unwrap_or("0");
        let shown = format!("{resource}: {used}/{}", text(limit));
        columns[usize::from(resource.starts_with("limits."))].push(shown);
    }
    let [requests, limits] = columns.map(|column| column.join(", "));
    vec![
        name(object),
        requests.into(),
        limits.into(),
        age(object, now),
    ]
}

pub(super) fn priority_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        number(&object["value"]).into(),
        (object["globalDefault"] == true).into(),
        age(object, now),
        text(&object["preemptionPolicy"]).into(),
    ]
}

pub(super) fn runtime_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let handler = text(&object["handler"]);
    vec![name(object), handler.into(), age(object, now)]
}

pub(super) fn network_policy(object: &Value, now: Timestamp) -> Vec<Value> {
    let pods = match selector(&object["spec"]["podSelector"]) {
        None => "<error>".to_owned(),
        Some(labels) if labels.is_empty() => "<none>".to_owned(),
        Some(labels) => labels,
    };
    vec![name(object), pods.into(), age(object, now)]
}

pub(super) fn webhooks(object: &Value, now: Timestamp) -> Vec<Value> {
    let count = items(&object["webhooks"]).len();
    vec![name(object), count.into(), age(object, now)]
}
