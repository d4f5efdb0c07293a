//! Rows of HorizontalPodAutoscalers.

use super::cells::{age, items, name, number, text};
use model::Timestamp;
use serde_json::Value;

/// Cells show this many metrics.
const SHOWN: usize = 2;
const UNKNOWN: &str = "<unknown>";

pub(super) fn row(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let target = &spec["scaleTargetRef"];
    let least = spec["minReplicas"].as_i64();
    vec![
        name(object),
        format!("{}/{}", text(&target["kind"]), text(&target["name"])).into(),
        metrics(items(&spec["metrics"]), items(&status["currentMetrics"])).into(),
        least
            .map_or_else(|| "<unset>".to_owned(), |least| least.to_string())
            .into(),
        number(&spec["maxReplicas"]).into(),
        number(&status["currentReplicas"]).into(),
        age(object, now),
    ]
}

fn metrics(wanted: &[Value], found: &[Value]) -> String {
    if wanted.is_empty() {
        return "<none>".to_owned();
    }
    let texts: Vec<String> = wanted
        .iter()
        .enumerate()
        .map(|(i, metric)| one(metric, found.get(i).unwrap_or(&Value::Null)))
        .collect();
    if texts.len() <= SHOWN {
        return texts.join(", ");
    }
    let shown = texts[..SHOWN].join(", ");
    format!("{shown} + {} more...", texts.len() - SHOWN)
}

fn one(metric: &Value, found: &Value) -> String {
    let key = match text(&metric["type"]) {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&metric[key]["target"], &found[key]["current"]);
    let average = target["averageValue"].as_str();
    let amount = |name: &str| current[name].as_str().unwrap_or(UNKNOWN).to_owned();
    match (key, average) {
        ("resource" | "containerResource", _) => {
            let resource = text(&metric[key]["name"]);
            let (current, wanted) = match average {
                Some(wanted) => (amount("averageValue"), wanted.to_owned()),
                None => {
                    let percent = |value: &Value, otherwise: &str| {
                        let percent = value.as_i64().map(|percent| format!("{percent}%"));
                        percent.unwrap_or_else(|| otherwise.to_owned())
                    };
                    (
                        percent(&current["averageUtilization"], UNKNOWN),
                        percent(&target["averageUtilization"], "<auto>"),
                    )
                }
            };
            format!("{resource}: {current}/{wanted}")
        }
        ("pods", average) => format!("{}/{}", amount("averageValue"), average.unwrap_or("0")),
        (_, Some(wanted)) => format!("{}/{wanted} (avg)", amount("averageValue")),
        (_, None) => format!("{}/{}", amount("value"), text(&target["value"])),
    }
}
