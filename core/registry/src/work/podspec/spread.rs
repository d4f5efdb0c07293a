//! Topology spread constraints.

use super::{Scope, affinity};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, items_mut};
use crate::field::selector;
use serde_json::Value;

/// `spec.topologySpreadConstraints`
pub(crate) fn validate(errors: &mut Errors, scope: &Scope<'_>) {
    let list = scope.path.child("topologySpreadConstraints");
    let constraints = scope.spec.items("topologySpreadConstraints");
    for (i, constraint) in constraints.iter().enumerate() {
        let path = list.index(i);
        basics(errors, constraint, &constraints[i + 1..], &path);
        min_domains(errors, constraint, &path.child("minDomains"));
        for key in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = constraint.optional_text(key)
                && !["Honor", "Ignore"].contains(&policy)
            {
                errors.not_supported(&path.child(key), policy, &["Honor", "Ignore"]);
            }
        }
        let (keys, selector) = (
            constraint.texts("matchLabelKeys"),
            constraint.at("labelSelector"),
        );
        if scope.options.loose.match_label_keys {
            old_label_keys(errors, &path.child("matchLabelKeys"), &keys, selector);
        } else {
            affinity::label_keys_against(errors, &path, &(keys, Vec::new()), selector);
        }
        if !scope.options.loose.spread_selector {
            let path = path.child("labelSelector");
            selector::label_selector(errors, &path, selector, false);
        }
    }
}

fn basics(errors: &mut Errors, constraint: &Value, others: &[Value], path: &Path) {
    let skew = constraint.number("maxSkew").unwrap_or(0);
    if skew <= 0 {
        errors.invalid(&path.child("maxSkew"), skew, "must be greater than zero");
    }
    let (key, action) = (
        constraint.text("topologyKey"),
        constraint.text("whenUnsatisfiable"),
    );
    if key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    let actions = ["DoNotSchedule", "ScheduleAnyway"];
    if !actions.contains(&action) {
        errors.not_supported(&path.child("whenUnsatisfiable"), action, &actions);
    }
    let repeated = |other: &Value| {
        other.text("topologyKey") == key && other.text("whenUnsatisfiable") == action
    };
    if others.iter().any(repeated) {
        let path = path.child("{topologyKey, whenUnsatisfiable}");
        errors.duplicate(&path, format!("{{{key}, {action}}}"));
    }
}

fn min_domains(errors: &mut Errors, constraint: &Value, path: &Path) {
    let Some(least) = constraint.number("minDomains") else {
        return;
    };
    if least <= 0 {
        errors.invalid(path, least, "must be greater than zero");
    }
    let action = constraint.text("whenUnsatisfiable");
    if action != "DoNotSchedule" {
        errors.invalid(
            path,
            least,
            format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"),
        );
    }
}

/// The rule for constraints that were stored before the keys were merged into the selector.
fn old_label_keys(errors: &mut Errors, path: &Path, keys: &[&str], selector: &Value) {
    if keys.is_empty() {
        return;
    }
    if selector.is_null() {
        errors.forbidden(path, "must not be specified when labelSelector is not set");
    }
    let expressions = selector.items("matchExpressions").iter();
    let mut used: Vec<&str> = expressions.map(|e| e.text("key")).collect();
    used.extend(selector.entries("matchLabels").map(|(key, _)| key));
    for (i, key) in keys.iter().enumerate() {
        selector::label_key(errors, &path.index(i), key);
        if used.contains(key) {
            errors.invalid(
                &path.index(i),
                *key,
                "exists in both matchLabelKeys and labelSelector",
            );
        }
    }
}

/// True when a stored constraint has a selector that is not valid.
pub(crate) fn has_bad_selector(spec: &Value) -> bool {
    let mut constraints = spec.items("topologySpreadConstraints").iter();
    constraints.any(|constraint| !selector::is_usable(constraint.at("labelSelector")))
}

/// True when stored `matchLabelKeys` do not fit the selector.
pub(crate) fn has_bad_match_label_keys(spec: &Value) -> bool {
    let mut constraints = spec.items("topologySpreadConstraints").iter();
    constraints.any(|constraint| {
        let mut errors = Errors::default();
        let keys = (constraint.texts("matchLabelKeys"), Vec::new());
        let selector = constraint.at("labelSelector");
        affinity::label_keys_against(&mut errors, &Path::default(), &keys, selector);
        !errors.0.is_empty()
    })
}

/// On create the values of `matchLabelKeys` go into the selectors.
pub(crate) fn merge_label_keys(spec: &mut Value, labels: &Value) {
    for constraint in items_mut(spec, "topologySpreadConstraints") {
        affinity::merge_into(constraint, labels);
    }
}
