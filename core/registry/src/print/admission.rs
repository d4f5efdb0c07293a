//! Rows of admission policies and their bindings.

use super::cells::{age, items, name, text};
use model::Timestamp;
use serde_json::Value;

const UNSET: &str = "<unset>";

/// A ValidatingAdmissionPolicy.
pub(super) fn policy(policy: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &policy["spec"];
    let kind = &spec["paramKind"];
    let kind = match kind.is_null() {
        true => UNSET.to_owned(),
        false => format!("{}/{}", text(&kind["apiVersion"]), text(&kind["kind"])),
    };
    vec![
        name(policy),
        items(&spec["validations"]).len().into(),
        kind.into(),
        age(policy, now),
    ]
}

/// A ValidatingAdmissionPolicyBinding.
pub(super) fn binding(binding: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &binding["spec"];
    let params = &spec["paramRef"];
    let place = match (text(&params["name"]), text(&params["namespace"])) {
        ("", _) if !params["selector"].is_null() => go_selector(&params["selector"]),
        ("", _) => UNSET.to_owned(),
        (name, "") => format!("*/{name}"),
        (name, namespace) => format!("{namespace}/{name}"),
    };
    vec![
        name(binding),
        text(&spec["policyName"]).into(),
        place.into(),
        age(binding, now),
    ]
}

/// A label selector as Go prints the structure.
fn go_selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels: String = labels
        .map(|(key, value)| format!("{key}: {},", text(value)))
        .collect();
    let requirements = items(&selector["matchExpressions"]).iter().map(|each| {
        let values: Vec<&str> = items(&each["values"]).iter().map(text).collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text(&each["key"]),
            text(&each["operator"]),
            values.join(" ")
        )
    });
    let requirements: String = requirements.collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}"
    )
}
