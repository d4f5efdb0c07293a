//! Tolerations and taint effects.

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, same, set};
use crate::field::selector;
use serde_json::Value;

/// What a taint may do.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The effect of a taint or toleration.
pub(crate) fn effect(errors: &mut Errors, path: &Path, effect: &str) {
    errors.one_of(path, effect, &EFFECTS);
}

/// `spec.tolerations`
pub(crate) fn validate(errors: &mut Errors, path: &Path, tolerations: &[Value]) {
    for (i, toleration) in tolerations.iter().enumerate() {
        one(errors, &path.index(i), toleration);
    }
}

fn one(errors: &mut Errors, path: &Path, toleration: &Value) {
    let (key, operator) = (toleration.text("key"), toleration.text("operator"));
    let (value, wanted) = (toleration.text("value"), toleration.text("effect"));
    let operator_path = path.child("operator");
    if !key.is_empty() {
        selector::label_key(errors, &path.child("key"), key);
    } else if operator != "Exists" {
        errors.invalid(
            &operator_path,
            operator,
            "operator must be Exists when `key` is empty, which means \"match all values and all \
             keys\"",
        );
    }
    if toleration.has("tolerationSeconds") && wanted != "NoExecute" {
        errors.invalid(
            &path.child("effect"),
            wanted,
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        );
    }
    match operator {
        "Equal" | "" => {
            let texts = names::label_value(value);
            if !texts.is_empty() {
                errors.invalid(&operator_path, value, texts.join(";"));
            }
        }
        "Exists" if !value.is_empty() => errors.invalid(
            &operator_path,
            value,
            "value must be empty when `operator` is 'Exists'",
        ),
        "Exists" => {}
        "Lt" | "Gt" => {
            errors.not_supported(&operator_path, operator, &["Equal", "Exists", "Lt", "Gt"]);
        }
        _ => errors.not_supported(&operator_path, operator, &["Equal", "Exists"]),
    }
    if !wanted.is_empty() {
        effect(errors, &path.child("effect"), wanted);
    }
}

/// On update tolerations may be added, and their seconds changed.
pub(crate) fn only_added(errors: &mut Errors, path: &Path, new: &[Value], old: &[Value]) {
    for toleration in old {
        let kept = new.iter().any(|candidate| {
            let mut twin = toleration.clone();
            set(
                &mut twin,
                "tolerationSeconds",
                candidate.at("tolerationSeconds").clone(),
            );
            same(&twin, candidate)
        });
        if !kept {
            errors.forbidden(
                path,
                "existing toleration can not be modified except its tolerationSeconds",
            );
        }
    }
    validate(errors, path, new);
}

/// `spec.taints` of a Node.
pub(crate) fn taints(errors: &mut Errors, path: &Path, taints: &[Value]) {
    let mut seen = std::collections::BTreeSet::new();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        let (key, value) = (taint.text("key"), taint.text("value"));
        selector::label_key(errors, &path.child("key"), key);
        let texts = names::label_value(value);
        if !texts.is_empty() {
            errors.invalid(&path.child("value"), value, texts.join(";"));
        }
        let wanted = taint.text("effect");
        effect(errors, &path.child("effect"), wanted);
        if !seen.insert((wanted, key)) {
            duplicate_taint(errors, &path, taint);
        }
    }
}

fn duplicate_taint(errors: &mut Errors, path: &Path, taint: &Value) {
    use crate::field::path::go_struct;
    let text = |key: &str| model::go_quote(taint.text(key));
    let shown = go_struct(&[
        ("Key", text("key")),
        ("Value", text("value")),
        ("Effect", text("effect")),
        ("TimeAdded", taint.at("timeAdded").to_string()),
    ]);
    errors.duplicate(path, "");
    if let Some(last) = errors.0.last_mut() {
        last.value = Some(shown);
        last.detail = "taints must be unique by key and effect pair".to_owned();
    }
}
