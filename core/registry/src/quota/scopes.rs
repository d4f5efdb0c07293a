//! `spec.scopes` and `spec.scopeSelector` of quotas: which objects one counts.

use super::is_standard;
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use model::go_quote;
use serde_json::Value;
use std::collections::BTreeSet;

const PODS: [&str; 7] = [
    "pods",
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
];
const CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const KNOWN: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
const CONFLICTS: [[&str; 2]; 2] = [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
];

fn applies(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => CLAIMS.contains(&resource),
        scope if KNOWN.contains(&scope) => PODS.contains(&resource),
        _ => true,
    }
}

/// Whether a scope cannot limit one of the resources that the quota limits.
fn misfits(spec: &Value, scope: &str) -> usize {
    let names = spec.entries("hard").map(|(name, _)| name);
    names
        .filter(|name| is_standard(name) && !applies(scope, name))
        .count()
}

fn conflicts(scopes: &BTreeSet<&str>) -> usize {
    let both = |pair: &&[&str; 2]| pair.iter().all(|scope| scopes.contains(scope));
    CONFLICTS.iter().filter(both).count()
}

/// `spec.scopes`
pub(super) fn scopes(errors: &mut Errors, spec: &Value, path: &Path) {
    let scopes = spec.texts("scopes");
    let path = path.child("scopes");
    let all = Value::from(scopes.clone());
    for scope in &scopes {
        if !KNOWN.contains(scope) {
            errors.invalid(&path, all.clone(), "unsupported scope");
        }
        for _ in 0..misfits(spec, scope) {
            let text = "unsupported scope applied to resource";
            errors.invalid(&path, all.clone(), text);
        }
    }
    for _ in 0..conflicts(&scopes.into_iter().collect()) {
        errors.invalid(&path, all.clone(), "conflicting scopes");
    }
}

/// `spec.scopeSelector`
pub(super) fn selector(errors: &mut Errors, spec: &Value, path: &Path) {
    let selector = spec.at("scopeSelector");
    if selector.is_null() {
        return;
    }
    let path = path.child("scopeSelector").child("matchExpressions");
    let mut seen = BTreeSet::new();
    for requirement in selector.items("matchExpressions") {
        let scope = requirement.text("scopeName");
        if !KNOWN.contains(&scope) {
            errors.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        for _ in 0..misfits(spec, scope) {
            let text = "unsupported scope applied to resource";
            errors.invalid_shown(&path, go_selector(selector), text);
        }
        operator(errors, requirement, &path);
        seen.insert(scope);
    }
    for _ in 0..conflicts(&seen) {
        errors.invalid(&path, spec.at("scopes").clone(), "conflicting scopes");
    }
}

fn operator(errors: &mut Errors, requirement: &Value, path: &Path) {
    let operator = requirement.text("operator");
    let scope = requirement.text("scopeName");
    let bare =
        !matches!(scope, "PriorityClass" | "VolumeAttributesClass") && KNOWN.contains(&scope);
    let (operator_path, values_path) = (path.child("operator"), path.child("values"));
    if bare && operator != "Exists" {
        let text = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                    ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                    ResourceQuotaScopeNotBestEffort or \
                    ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.invalid(&operator_path, operator, text);
    }
    let values = requirement.texts("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => errors.required(
            &values_path,
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.invalid(
            &values_path,
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.invalid(&operator_path, operator, "not a valid selector operator"),
    }
}

fn go_selector(selector: &Value) -> String {
    let requirements: Vec<String> = selector
        .items("matchExpressions")
        .iter()
        .map(|one| {
            go_struct(&[
                ("ScopeName", go_quote(one.text("scopeName"))),
                ("Operator", go_quote(one.text("operator"))),
                ("Values", one.at("values").to_string()),
            ])
        })
        .collect();
    go_struct(&[("MatchExpressions", format!("[{}]", requirements.join(",")))])
}
