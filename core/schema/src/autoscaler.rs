//! The two forms of a HorizontalPodAutoscaler. `autoscaling/v1` knows the CPU alone; what else
//! there is travels in annotations, as `pkg/apis/autoscaling/v1` has it.

use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Rewrites an object as `version`.
pub(crate) fn convert(version: &str, object: &mut Value) {
    if version == "v1" {
        to_v1(object);
    } else {
        to_v2(object);
    }
}

fn is_cpu(metric: &Value, amount: &str) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && !metric["resource"][amount]["averageUtilization"].is_null()
}

fn take(value: &mut Value, part: &str, key: &str) -> Value {
    let part = value.get_mut(part).and_then(Value::as_object_mut);
    part.and_then(|part| part.remove(key)).unwrap_or_default()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

fn to_v1(object: &mut Value) {
    let metrics = list(take(object, "spec", "metrics"));
    let current = list(take(object, "status", "currentMetrics"));
    let behavior = take(object, "spec", "behavior");
    let conditions = take(object, "status", "conditions");
    for key in [METRICS, CURRENT, CONDITIONS, BEHAVIOR] {
        annotations(object).remove(key);
    }
    let cpu = metrics.iter().find(|metric| is_cpu(metric, "target"));
    if let Some(cpu) = cpu {
        object["spec"]["targetCPUUtilizationPercentage"] =
            cpu["resource"]["target"]["averageUtilization"].clone();
    }
    let now = current.iter().find(|metric| is_cpu(metric, "current"));
    if let Some(now) = now {
        object["status"]["currentCPUUtilizationPercentage"] =
            now["resource"]["current"]["averageUtilization"].clone();
    }
    let others: Vec<Value> = metrics
        .iter()
        .filter(|metric| !is_cpu(metric, "target"))
        .map(|metric| metric_v1(metric, "target"))
        .collect();
    let current: Vec<Value> = current
        .iter()
        .map(|metric| metric_v1(metric, "current"))
        .collect();
    let whole = |list: Vec<Value>| {
        if list.is_empty() {
            Value::Null
        } else {
            list.into()
        }
    };
    for (key, value) in [
        (METRICS, whole(others)),
        (CURRENT, whole(current)),
        (BEHAVIOR, with_tolerance(behavior_names(behavior, true))),
        (CONDITIONS, conditions),
    ] {
        if !value.is_null() {
            annotations(object).insert(key.to_owned(), in_order(&value).into());
        }
    }
    drop_empty_annotations(object);
}

fn to_v2(object: &mut Value) {
    let mut carried = |key: &str| {
        let text = annotations(object).remove(key);
        let text = text.as_ref().and_then(Value::as_str);
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null)
    };
    let others = list(carried(METRICS));
    let current = list(carried(CURRENT));
    let behavior = carried(BEHAVIOR);
    let conditions = carried(CONDITIONS);
    drop_empty_annotations(object);
    let cpu = take(object, "spec", "targetCPUUtilizationPercentage");
    let now = take(object, "status", "currentCPUUtilizationPercentage");
    let mut metrics: Vec<Value> = others.iter().map(|one| metric_v2(one, "target")).collect();
    if !cpu.is_null() || metrics.is_empty() {
        let percent = if cpu.is_null() { json!(80) } else { cpu };
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        let resource = json!({"name": "cpu", "target": target});
        metrics.push(json!({"type": "Resource", "resource": resource}));
    }
    object["spec"]["metrics"] = metrics.into();
    let mut current: Vec<Value> = current
        .iter()
        .map(|one| metric_v2(one, "current"))
        .collect();
    if current.is_empty() && !now.is_null() {
        let resource = json!({"name": "cpu", "current": {"averageUtilization": now}});
        current.push(json!({"type": "Resource", "resource": resource}));
    }
    if !current.is_empty() {
        object["status"]["currentMetrics"] = current.into();
    }
    let mut behavior = behavior_names(behavior, false);
    for key in ["scaleUp", "scaleDown"] {
        if let Some(rules) = behavior.get_mut(key).and_then(Value::as_object_mut) {
            rules.retain(|_, value| !value.is_null());
        }
    }
    if !behavior.is_null() {
        object["spec"]["behavior"] = behavior;
    }
    if !conditions.is_null() {
        object["status"]["conditions"] = conditions;
    }
}

fn annotations(object: &mut Value) -> &mut Map<String, Value> {
    let slot = &mut object["metadata"]["annotations"];
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("was just made an object"),
    }
}

fn drop_empty_annotations(object: &mut Value) {
    if annotations(object).is_empty()
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
}

/// The annotation has the field names of Go's internal type.
fn behavior_names(value: Value, to_go: bool) -> Value {
    let renamed = |key: &str| {
        let mut chars = key.chars();
        let first = chars.next().map(|c| {
            if to_go {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        });
        first.into_iter().chain(chars).collect::<String>()
    };
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (renamed(&key), behavior_names(value, to_go)))
            .collect::<Map<String, Value>>()
            .into(),
        Value::Array(list) => list
            .into_iter()
            .map(|one| behavior_names(one, to_go))
            .collect::<Vec<Value>>()
            .into(),
        other => other,
    }
}

/// The text that Go writes: fields of a structure in their order, which is not the alphabet's.
fn in_order(value: &Value) -> String {
    const ORDER: [&str; 21] = [
        "ScaleUp",
        "ScaleDown",
        "StabilizationWindowSeconds",
        "SelectPolicy",
        "Policies",
        "Tolerance",
        "Type",
        "Value",
        "PeriodSeconds",
        "type",
        "status",
        "object",
        "pods",
        "resource",
        "containerResource",
        "external",
        "target",
        "kind",
        "name",
        "apiVersion",
        "metricName",
    ];
    let rank = |key: &str| {
        ORDER
            .iter()
            .position(|one| *one == key)
            .unwrap_or(ORDER.len())
    };
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| rank(key));
            let members: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::from(key.as_str()), in_order(&map[key])))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(in_order).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// Go writes what is not given too.
fn with_tolerance(mut behavior: Value) -> Value {
    for key in ["ScaleUp", "ScaleDown"] {
        if let Some(rules) = behavior.get_mut(key).and_then(Value::as_object_mut) {
            rules.entry("Tolerance").or_insert(Value::Null);
        }
    }
    behavior
}

/// Fields of one metric in `v1`, with where they are in `v2`; `what` is `target` or `current`.
fn fields(source: &str, what: &str) -> Vec<(String, &'static [&'static str])> {
    let amount = |name: &str| format!("{what}{name}");
    let amounts: Vec<(String, &[&str])> = match source {
        "resource" | "containerResource" => vec![
            (amount("AverageUtilization"), &["averageUtilization"]),
            (amount("AverageValue"), &["averageValue"]),
        ],
        "pods" => vec![(amount("AverageValue"), &["averageValue"])],
        "object" => vec![
            (amount("Value"), &["value"]),
            ("averageValue".to_owned(), &["averageValue"]),
        ],
        _ => vec![
            (amount("Value"), &["value"]),
            (amount("AverageValue"), &["averageValue"]),
        ],
    };
    amounts
}

const SOURCES: [&str; 5] = [
    "resource",
    "containerResource",
    "pods",
    "object",
    "external",
];

fn metric_v1(metric: &Value, what: &str) -> Value {
    let mut out = json!({"type": metric["type"]});
    for source in SOURCES {
        let found = &metric[source];
        if !found.is_object() {
            continue;
        }
        let mut made = json!({});
        for key in ["name", "container"] {
            move_over(&mut made, key, &found[key]);
        }
        move_over(&mut made, "metricName", &found["metric"]["name"]);
        let selector = if source == "external" {
            "metricSelector"
        } else {
            "selector"
        };
        move_over(&mut made, selector, &found["metric"]["selector"]);
        move_over(&mut made, "target", &found["describedObject"]);
        for (name, path) in fields(source, what) {
            move_over(&mut made, &name, &found[what][path[0]]);
        }
        out[source] = made;
    }
    out
}

fn metric_v2(metric: &Value, what: &str) -> Value {
    let mut out = json!({"type": metric["type"]});
    for source in SOURCES {
        let found = &metric[source];
        if !found.is_object() {
            continue;
        }
        let mut made = json!({});
        for key in ["name", "container"] {
            move_over(&mut made, key, &found[key]);
        }
        let mut identifier = json!({});
        move_over(&mut identifier, "name", &found["metricName"]);
        for key in ["metricSelector", "selector"] {
            move_over(&mut identifier, "selector", &found[key]);
        }
        if found.get("metricName").is_some() {
            made["metric"] = identifier;
        }
        move_over(&mut made, "describedObject", &found["target"]);
        let mut amount = json!({});
        for (name, path) in fields(source, what) {
            move_over(&mut amount, path[0], &found[&name]);
        }
        if what == "target" {
            amount["type"] = target_type(&amount).into();
        }
        made[what] = amount;
        out[source] = made;
    }
    out
}

fn target_type(amount: &Value) -> &'static str {
    if !amount["averageUtilization"].is_null() {
        "Utilization"
    } else if !amount["averageValue"].is_null() {
        "AverageValue"
    } else {
        "Value"
    }
}

fn move_over(target: &mut Value, key: &str, value: &Value) {
    if !value.is_null() {
        target[key] = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_v1_does_not_know_comes_back() {
        let object = json!({
            "metadata": {"name": "web"},
            "spec": {
                "maxReplicas": 3,
                "metrics": [
                    {"type": "Pods", "pods": {
                        "metric": {"name": "hits", "selector": {"matchLabels": {"a": "b"}}},
                        "target": {"type": "AverageValue", "averageValue": "5"},
                    }},
                    {"type": "Resource", "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    }},
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
            },
            "status": {"conditions": [{"type": "AbleToScale", "status": "True"}]},
        });
        let mut there = object.clone();
        convert("v1", &mut there);
        assert_eq!(there["spec"]["targetCPUUtilizationPercentage"], 50);
        assert!(there["spec"].get("metrics").is_none(), "{there}");
        assert_eq!(
            there["metadata"]["annotations"][BEHAVIOR],
            "{\"ScaleDown\":{\"StabilizationWindowSeconds\":5,\"Tolerance\":null}}"
        );
        convert("v2", &mut there);
        assert_eq!(there, object);
    }

    #[test]
    fn without_a_target_the_cpu_is_asked_for() {
        let mut object = json!({"metadata": {}, "spec": {"maxReplicas": 3}});
        convert("v2", &mut object);
        let target = &object["spec"]["metrics"][0]["resource"]["target"];
        assert_eq!(target["averageUtilization"], 80);
    }
}
