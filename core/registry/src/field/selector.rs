//! Labels, annotations and label selectors.
//!
//! Source: `apimachinery/pkg/apis/meta/v1/validation`, `pkg/api/validation/objectmeta.go`.

use super::names;
use super::path::{Errors, Path};
use super::read::Read;
use serde_json::Value;

/// A label's or annotation's key.
pub(crate) fn label_key(errors: &mut Errors, path: &Path, key: &str) {
    errors.invalid_each(path, key, names::qualified_name(key));
}

/// A map of labels.
pub(crate) fn labels(errors: &mut Errors, path: &Path, labels: &Value) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        label_key(errors, path, key);
        let value = value.as_str().unwrap_or_default();
        errors.invalid_each(path, value, names::label_value(value));
    }
}

/// All annotations of an object together may not be longer than this.
const TOTAL_ANNOTATION_SIZE: usize = 256 * 1024;

/// A map of annotations.
pub(crate) fn annotations(errors: &mut Errors, path: &Path, annotations: &Value) {
    let mut total = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let lower = key.to_lowercase();
        errors.invalid_each(path, key, names::qualified_name(&lower));
        total += key.len() + value.as_str().unwrap_or_default().len();
    }
    if total > TOTAL_ANNOTATION_SIZE {
        errors.too_long(path, TOTAL_ANNOTATION_SIZE);
    }
}

/// A label selector; null is fine. `loose` takes values that are no label values, for old objects.
pub(crate) fn label_selector(errors: &mut Errors, path: &Path, selector: &Value, loose: bool) {
    labels(
        errors,
        &path.child("matchLabels"),
        selector.at("matchLabels"),
    );
    for (i, requirement) in selector.items("matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let operator = requirement.text("operator");
        if !matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist") {
            let path = path.child("operator");
            errors.invalid(&path, operator, "not a valid selector operator");
        }
        label_requirement(errors, &path, requirement, loose);
    }
}

/// The values that an operator needs or cannot have; unknown operators may have any.
pub(crate) fn operator_values(errors: &mut Errors, path: &Path, requirement: &Value) {
    let empty = requirement.items("values").is_empty();
    match requirement.text("operator") {
        "In" | "NotIn" if empty => errors.required(
            &path.child("values"),
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        "Exists" | "DoesNotExist" if !empty => errors.forbidden(
            &path.child("values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        _ => {}
    }
}

/// One requirement of a label selector, whatever its operator.
pub(crate) fn label_requirement(
    errors: &mut Errors,
    path: &Path,
    requirement: &Value,
    loose: bool,
) {
    let values = requirement.texts("values");
    operator_values(errors, path, requirement);
    label_key(errors, &path.child("key"), requirement.text("key"));
    if loose {
        return;
    }
    for (i, value) in values.iter().enumerate() {
        let path = path.child("values").index(i);
        errors.invalid_each(&path, value, names::label_value(value));
    }
}

/// True when a selector can be turned into a matcher (`LabelSelectorAsSelector` has no error).
pub(crate) fn is_usable(selector: &Value) -> bool {
    let mut errors = Errors::default();
    label_selector(&mut errors, &Path::default(), selector, false);
    errors.0.is_empty()
}

/// A selector as Go prints it: labels first, nothing that is empty.
pub(crate) fn go_json(selector: &Value) -> String {
    if selector.is_null() {
        return "null".to_owned();
    }
    let mut parts = Vec::new();
    if selector.entries("matchLabels").next().is_some() {
        parts.push(format!("\"matchLabels\":{}", selector.at("matchLabels")));
    }
    let expressions: Vec<String> = selector
        .items("matchExpressions")
        .iter()
        .map(|requirement| {
            let quoted = |key: &str| Value::from(requirement.text(key)).to_string();
            let values = match requirement.texts("values") {
                values if values.is_empty() => String::new(),
                values => format!(",\"values\":{}", Value::from(values)),
            };
            let (key, operator) = (quoted("key"), quoted("operator"));
            format!("{{\"key\":{key},\"operator\":{operator}{values}}}")
        })
        .collect();
    if !expressions.is_empty() {
        parts.push(format!("\"matchExpressions\":[{}]", expressions.join(",")));
    }
    format!("{{{}}}", parts.join(","))
}

/// True when a selector can be converted: operators that are known and have the values they need.
pub(crate) fn is_convertible(selector: &Value) -> bool {
    is_usable(selector)
}

/// True when nothing is asked for; null matches nothing and does not count as empty.
pub(crate) fn is_empty(selector: &Value) -> bool {
    selector.entries("matchLabels").next().is_none()
        && selector.items("matchExpressions").is_empty()
}

/// Whether `labels` fit a (valid) selector; null fits nothing.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let all_labels = selector
        .entries("matchLabels")
        .all(|(key, value)| labels.optional_text(key) == value.as_str());
    let all_expressions = selector
        .items("matchExpressions")
        .iter()
        .all(|requirement| requirement_matches(requirement, labels));
    all_labels && all_expressions
}

fn requirement_matches(requirement: &Value, labels: &Value) -> bool {
    let found = labels.optional_text(requirement.text("key"));
    let listed = found.is_some_and(|value| requirement.texts("values").contains(&value));
    match requirement.text("operator") {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        _ => false,
    }
}
