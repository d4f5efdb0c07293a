//! Node affinity, pod affinity and anti-affinity.

use super::Scope;
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::selector;
use serde_json::Value;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `spec.affinity`
pub(crate) fn validate(errors: &mut Errors, scope: &Scope<'_>) {
    let (affinity, path) = (scope.spec.at("affinity"), scope.path.child("affinity"));
    let loose = &scope.options.loose;
    let node = affinity.at("nodeAffinity");
    node_affinity(
        errors,
        node,
        &path.child("nodeAffinity"),
        loose.node_affinity,
    );
    for key in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(errors, affinity.at(key), &path.child(key), loose.selector);
    }
}

fn node_affinity(errors: &mut Errors, affinity: &Value, path: &Path, loose: bool) {
    if affinity.has(REQUIRED) {
        let path = path.child(REQUIRED);
        node_selector(errors, affinity.at(REQUIRED), &path, loose);
    }
    for (i, term) in affinity.items(PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        weight(errors, term, &path);
        node_term(
            errors,
            term.at("preference"),
            &path.child("preference"),
            true,
        );
    }
}

fn weight(errors: &mut Errors, term: &Value, path: &Path) {
    let weight = term.number("weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// A selector of nodes.
pub(crate) fn node_selector(errors: &mut Errors, selector: &Value, path: &Path, loose: bool) {
    let (path, terms) = (
        path.child("nodeSelectorTerms"),
        selector.items("nodeSelectorTerms"),
    );
    if terms.is_empty() {
        errors.required(&path, "must have at least one node selector term");
    }
    for (i, term) in terms.iter().enumerate() {
        node_term(errors, term, &path.index(i), loose);
    }
}

fn node_term(errors: &mut Errors, term: &Value, path: &Path, loose: bool) {
    for (j, requirement) in term.items("matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(j);
        node_requirement(errors, requirement, &path, loose);
    }
    for (j, requirement) in term.items("matchFields").iter().enumerate() {
        node_field(errors, requirement, &path.child("matchFields").index(j));
    }
}

fn node_requirement(errors: &mut Errors, requirement: &Value, path: &Path, loose: bool) {
    let (values, operator) = (requirement.texts("values"), requirement.text("operator"));
    let values_path = path.child("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => errors.required(
            &values_path,
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
            &values_path,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        "Gt" | "Lt" if values.len() != 1 => errors.required(
            &values_path,
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.invalid(
            &path.child("operator"),
            operator,
            "not a valid selector operator",
        ),
    }
    selector::label_key(errors, &path.child("key"), requirement.text("key"));
    if loose {
        return;
    }
    for (i, value) in values.iter().enumerate() {
        errors.invalid_each(&values_path.index(i), value, names::label_value(value));
    }
}

fn node_field(errors: &mut Errors, requirement: &Value, path: &Path) {
    let (values, operator) = (requirement.texts("values"), requirement.text("operator"));
    let values_path = path.child("values");
    match operator {
        "In" | "NotIn" if values.len() != 1 => errors.required(
            &values_path,
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
        "In" | "NotIn" => {}
        _ => errors.invalid(
            &path.child("operator"),
            operator,
            "not a valid selector operator",
        ),
    }
    let key = requirement.text("key");
    if key != "metadata.name" {
        errors.invalid(&path.child("key"), key, "not a valid field selector key");
        return;
    }
    for (i, value) in values.iter().enumerate() {
        errors.invalid_each(
            &values_path.index(i),
            value,
            names::dns1123_subdomain(value),
        );
    }
}

fn pod_affinity(errors: &mut Errors, affinity: &Value, path: &Path, loose: bool) {
    for (i, term) in affinity.items(REQUIRED).iter().enumerate() {
        pod_term(errors, term, &path.child(REQUIRED).index(i), loose);
    }
    for (i, term) in affinity.items(PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        weight(errors, term, &path);
        let term = term.at("podAffinityTerm");
        pod_term(errors, term, &path.child("podAffinityTerm"), loose);
    }
}

fn pod_term(errors: &mut Errors, term: &Value, path: &Path, loose: bool) {
    for key in ["labelSelector", "namespaceSelector"] {
        selector::label_selector(errors, &path.child(key), term.at(key), loose);
    }
    for name in term.texts("namespaces") {
        errors.invalid_each(&path.child("namespace"), name, names::dns1123_label(name));
    }
    let keys = (
        term.texts("matchLabelKeys"),
        term.texts("mismatchLabelKeys"),
    );
    label_keys_against(errors, path, &keys, term.at("labelSelector"));
    let key = term.text("topologyKey");
    if key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    selector::label_key(errors, &path.child("topologyKey"), key);
}

/// `matchLabelKeys` and `mismatchLabelKeys` against each other and the selector they were merged
/// into.
pub(crate) fn label_keys_against(
    errors: &mut Errors,
    path: &Path,
    (keys, misses): &(Vec<&str>, Vec<&str>),
    label_selector: &Value,
) {
    for (name, keys) in [("matchLabelKeys", keys), ("mismatchLabelKeys", misses)] {
        let path = path.child(name);
        if !keys.is_empty() && label_selector.is_null() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            selector::label_key(errors, &path.index(i), key);
        }
    }
    let mut seen: std::collections::BTreeSet<&str> = label_selector
        .entries("matchLabels")
        .map(|(key, _)| key)
        .collect();
    for expression in label_selector.items("matchExpressions") {
        let key = expression.text("key");
        if let Some(i) = keys.iter().rposition(|k| *k == key)
            && seen.contains(key)
        {
            // Merging adds the key once more, so a second use is the user's own.
            let path = path.index(i);
            errors.invalid(
                &path,
                key,
                "exists in both matchLabelKeys and labelSelector",
            );
        }
        seen.insert(key);
    }
    for (i, key) in keys.iter().enumerate() {
        if misses.contains(key) {
            errors.invalid(
                &path.child("matchLabelKeys").index(i),
                *key,
                "exists in both matchLabelKeys and mismatchLabelKeys",
            );
        }
    }
}

/// All pod affinity terms of a spec, weighted ones included.
pub(crate) fn pod_terms(spec: &Value) -> Vec<&Value> {
    let mut terms = Vec::new();
    for key in ["podAffinity", "podAntiAffinity"] {
        let affinity = spec.at("affinity").at(key);
        terms.extend(affinity.items(REQUIRED));
        let weighted = affinity.items(PREFERRED).iter();
        terms.extend(weighted.map(|term| term.at("podAffinityTerm")));
    }
    terms
}

/// True when an affinity selector has a value that is no label value.
pub(crate) fn has_bad_selector_value(spec: &Value) -> bool {
    let mut errors = Errors::default();
    for term in pod_terms(spec) {
        for key in ["labelSelector", "namespaceSelector"] {
            let path = Path::default();
            selector::label_selector(&mut errors, &path, term.at(key), false);
        }
    }
    !errors.0.is_empty()
}

/// True when the required node affinity has a value that is no label value.
pub(crate) fn has_bad_node_affinity_value(spec: &Value) -> bool {
    let required = spec.at("affinity").at("nodeAffinity").at(REQUIRED);
    required
        .items("nodeSelectorTerms")
        .iter()
        .flat_map(|term| term.items("matchExpressions"))
        .flat_map(|requirement| requirement.texts("values"))
        .any(|value| !names::label_value(value).is_empty())
}

/// While a Pod is gated its required node affinity may only get narrower.
pub(crate) fn node_affinity_narrowed(errors: &mut Errors, path: &Path, new: &Value, old: &Value) {
    let old_terms = old.at(REQUIRED).items("nodeSelectorTerms");
    if !old.has(REQUIRED) {
        return;
    }
    let new_terms = new.at(REQUIRED).items("nodeSelectorTerms");
    let path = path.child(REQUIRED).child("nodeSelectorTerms");
    if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
        errors.invalid_shown(
            &path,
            go_terms(new_terms),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
        return;
    }
    for (i, (new, old)) in new_terms.iter().zip(old_terms).enumerate() {
        if !only_additions(new, old) {
            errors.invalid_shown(
                &path.index(i),
                go_term(new),
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}

fn only_additions(new: &Value, old: &Value) -> bool {
    let keys = ["matchExpressions", "matchFields"];
    let empty = |term: &Value| keys.iter().all(|key| term.items(key).is_empty());
    if empty(old) && !empty(new) {
        return false;
    }
    keys.iter().all(|key| {
        let (new, old) = (new.items(key), old.items(key));
        new.len() >= old.len()
            && new
                .iter()
                .zip(old)
                .all(|(a, b)| crate::field::read::same(a, b))
    })
}

fn go_terms(terms: &[Value]) -> String {
    if terms.is_empty() {
        return "null".to_owned();
    }
    let terms: Vec<String> = terms.iter().map(go_term).collect();
    format!("[{}]", terms.join(","))
}

fn go_term(term: &Value) -> String {
    use crate::field::path::go_struct;
    let list = |key: &str| {
        let items = term.items(key);
        if items.is_empty() {
            return "null".to_owned();
        }
        let shown: Vec<String> = items
            .iter()
            .map(|item| {
                go_struct(&[
                    ("Key", model::go_quote(item.text("key"))),
                    ("Operator", model::go_quote(item.text("operator"))),
                    ("Values", item.at("values").to_string()),
                ])
            })
            .collect();
        format!("[{}]", shown.join(","))
    };
    go_struct(&[
        ("MatchExpressions", list("matchExpressions")),
        ("MatchFields", list("matchFields")),
    ])
}

/// On create the values of `matchLabelKeys` go into the terms' selectors.
pub(crate) fn merge_label_keys(spec: &mut Value, labels: &Value) {
    use crate::field::read::items_mut;
    for key in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.get_mut("affinity").and_then(|a| a.get_mut(key)) else {
            continue;
        };
        for term in items_mut(affinity, REQUIRED) {
            merge_into(term, labels);
        }
        for weighted in items_mut(affinity, PREFERRED) {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                merge_into(term, labels);
            }
        }
    }
}

/// Adds a requirement for each key that the labels have, to a selector that is there.
pub(crate) fn merge_into(term: &mut Value, labels: &Value) {
    let mut added = Vec::new();
    for (keys, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term.texts(keys) {
            if let Some(value) = labels.optional_text(key) {
                added
                    .push(serde_json::json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    let Some(Value::Object(selector)) = term.get_mut("labelSelector") else {
        return;
    };
    if added.is_empty() {
        return;
    }
    let list = selector
        .entry("matchExpressions")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.extend(added);
    }
}
