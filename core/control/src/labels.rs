//! Label selectors as workloads carry them.

use crate::fields::nullable;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `metav1.LabelSelector`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Selector {
    #[serde(deserialize_with = "nullable")]
    pub(crate) match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    match_expressions: Vec<Requirement>,
}

/// One of `matchExpressions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Requirement {
    #[serde(deserialize_with = "nullable")]
    key: String,
    #[serde(deserialize_with = "nullable")]
    operator: String,
    #[serde(deserialize_with = "nullable")]
    values: Vec<String>,
}

impl Selector {
    /// Whether nothing is asked for, which for a workload must not mean "everything".
    pub(crate) fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether labels satisfy all requirements; an empty selector matches nothing here.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.is_empty()
            && subset(&self.match_labels, labels)
            && self.match_expressions.iter().all(|one| one.holds(labels))
    }
}

impl Requirement {
    /// Whether labels satisfy this one requirement.
    pub(crate) fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            // Of nodes only.
            "Gt" | "Lt" => {
                let number = |text: &String| text.parse::<i64>().ok();
                let (have, than) = (value.and_then(number), self.values.first().and_then(number));
                match (have, than) {
                    (Some(have), Some(than)) if self.operator == "Gt" => have > than,
                    (Some(have), Some(than)) => have < than,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// Whether every pair of `wanted` stands in `labels`.
pub(crate) fn subset(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_follow_the_api() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        for (expression, wanted) in [
            (
                json!({"key": "a", "operator": "In", "values": ["1", "2"]}),
                true,
            ),
            (
                json!({"key": "a", "operator": "NotIn", "values": ["1"]}),
                false,
            ),
            (
                json!({"key": "b", "operator": "NotIn", "values": ["1"]}),
                true,
            ),
            (json!({"key": "a", "operator": "Exists"}), true),
            (
                json!({"key": "a", "operator": "DoesNotExist", "values": null}),
                false,
            ),
            (json!({"key": "a", "operator": "Nonsense"}), false),
        ] {
            let selector: Selector =
                serde_json::from_value(json!({"matchExpressions": [expression]})).unwrap();
            assert_eq!(selector.matches(&labels), wanted, "{expression}");
        }
        assert!(!Selector::default().matches(&labels));
    }
}
