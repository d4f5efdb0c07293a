//! What the controllers that make Pods have in common: selector, template, status counters,
//! numbers that may be percentages.
//!
//! Source: `pkg/apis/apps/validation`.

use super::podspec::{self, options::Options};
use crate::declared;
use crate::field::path::{Errors, IMMUTABLE, NEGATIVE, Path, go_struct};
use crate::field::read::{Read, same};
use crate::field::{names, selector, words};
use model::go_quote;
use serde_json::Value;

/// `spec.selector`; `kind` stands in the text about an empty one.
pub(crate) fn check_selector(errors: &mut Errors, spec: &Value, path: &Path, kind: &str) {
    let (found, path) = (spec.at("selector"), path.child("selector"));
    if found.is_null() {
        errors.required(&path, "");
        return;
    }
    selector::label_selector(errors, &path, found, false);
    if selector::is_empty(found) {
        let text = format!("empty selector is invalid for {kind}");
        errors.invalid_shown(&path, selector::go_json(found), &text);
    }
}

/// A numeric field of the spec that may not be negative; nothing counts as zero.
pub(crate) fn nonnegative(errors: &mut Errors, holder: &Value, path: &Path, keys: &[&str]) {
    for key in keys {
        let value = holder.number(key).unwrap_or(0);
        if value < 0 {
            errors.invalid(&path.child(key), value, NEGATIVE);
        }
    }
}

/// A template whose Pods the selector has to match.
pub(crate) fn matching_template(
    errors: &mut Errors,
    spec: &Value,
    path: &Path,
    options: &Options,
    kind: &str,
) {
    let found = spec.at("selector");
    let path = path.child("template");
    let template = spec.at("template");
    labels_match(errors, found, template, &path);
    podspec::template(errors, template, &path, options);
    restart_and_deadline(errors, template, &path, kind);
}

/// The template's labels match the selector, unless it is empty or missing.
pub(crate) fn labels_match(errors: &mut Errors, found: &Value, template: &Value, path: &Path) {
    let labels = template.at("metadata").at("labels");
    let empty = !found.is_null() && selector::is_empty(found);
    if !empty && !selector::matches(found, labels) {
        errors.invalid(
            &path.child("metadata").child("labels"),
            labels.clone(),
            "`selector` does not match template `labels`",
        );
    }
}

/// Pods of controllers run for ever.
pub(crate) fn restart_and_deadline(errors: &mut Errors, template: &Value, path: &Path, kind: &str) {
    let (spec, path) = (template.at("spec"), path.child("spec"));
    let policy = spec.text("restartPolicy");
    if policy != "Always" {
        errors.not_supported(&path.child("restartPolicy"), policy, &["Always"]);
    }
    if spec.has("activeDeadlineSeconds") {
        errors.forbidden(
            &path.child("activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

/// Counters of the status that may not exceed another one.
pub(crate) fn at_most(
    errors: &mut Errors,
    status: &Value,
    path: &Path,
    keys: &[&str],
    (limit, text): (&str, &str),
) {
    let most = status.number(limit).unwrap_or(0);
    for key in keys {
        let value = status.number(key).unwrap_or(0);
        if value > most {
            errors.invalid(&path.child(key), value, text);
        }
    }
}

/// `status.collisionCount` never goes down.
pub(crate) fn collision_count(
    errors: &mut Errors,
    status: &Value,
    old: Option<&Value>,
    path: &Path,
) {
    let count = |status: &Value| status.number("collisionCount");
    let (new, old) = (count(status), old.and_then(|old| count(old.at("status"))));
    if old.is_some_and(|old| new.is_none_or(|new| new < old)) {
        let value = new.unwrap_or(0);
        errors.invalid(
            &path.child("collisionCount"),
            value,
            "cannot be decremented",
        );
    }
}

/// A number or percentage, not negative.
pub(crate) fn int_or_percent(errors: &mut Errors, value: &Value, path: &Path) {
    match value.as_str() {
        Some(text) => errors.invalid_each(path, text, words::percent(text)),
        None => errors.nonnegative(path, value.as_i64().unwrap_or(0)),
    }
}

/// The number, or the number before the percent sign; a text that is neither counts as Go's
/// `Atoi` has it.
pub(crate) fn plain_number(value: &Value) -> i64 {
    match value.as_str() {
        Some(text) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
        None => value.as_i64().unwrap_or(0),
    }
}

/// Percentages end at 100.
pub(crate) fn at_most_all(errors: &mut Errors, value: &Value, path: &Path) {
    let percent = value
        .as_str()
        .filter(|text| words::percent(text).is_empty());
    if percent.is_some() && plain_number(value) > 100 {
        errors.invalid(path, value.clone(), "must not be greater than 100%");
    }
}

/// A warning about a new object whose name cannot be part of a host name.
pub(crate) fn name_warning(object: &Value, old: Option<&Value>) -> Vec<String> {
    let texts = names::dns1123_label(object.at("metadata").text("name"));
    if texts.is_empty() || old.is_some() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising \
         behavior; a DNS label is recommended: [{}]",
        texts.join(" ")
    )]
}

/// Where the template of a workload stands.
pub(crate) const TEMPLATE: &[&str] = &["spec", "template"];

/// How the template of an object is checked.
pub(crate) fn template_options(old: Option<&Value>) -> Options {
    declared::template_options(old, TEMPLATE)
}

/// `spec.selector` never changes.
pub(crate) fn immutable_selector(errors: &mut Errors, object: &Value, old: Option<&Value>) {
    let new = object.at("spec").at("selector");
    if old.is_some_and(|old| !same(new, old.at("spec").at("selector"))) {
        let path = Path::new("spec").child("selector");
        errors.invalid_shown(&path, selector::go_json(new), IMMUTABLE);
    }
}

/// Counters of what keeps a number of Pods: ReplicaSets and ReplicationControllers.
pub(crate) fn set_status(errors: &mut Errors, status: &Value, path: &Path) {
    nonnegative(
        errors,
        status,
        path,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ],
    );
    let keys = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    let limit = ("replicas", "cannot be greater than status.replicas");
    at_most(errors, status, path, &keys, limit);
    let limit = ("readyReplicas", "cannot be greater than readyReplicas");
    at_most(errors, status, path, &["availableReplicas"], limit);
}

/// An update strategy with its `rollingUpdate` as Go prints the struct.
pub(super) fn go_strategy(strategy: &Value) -> String {
    let rolling = strategy.at("rollingUpdate");
    let number = |key: &str| match rolling.at(key) {
        Value::Null => "0".to_owned(),
        value => value.to_string(),
    };
    let shown = if rolling.is_null() {
        "null".to_owned()
    } else {
        go_struct(&[
            ("MaxUnavailable", number("maxUnavailable")),
            ("MaxSurge", number("maxSurge")),
        ])
    };
    go_struct(&[
        ("Type", go_quote(strategy.text("type"))),
        ("RollingUpdate", shown),
    ])
}
