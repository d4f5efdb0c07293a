//! `matchConstraints` and `matchResources`: which requests are meant.

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set_default};
use crate::field::selector::label_selector;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];

/// `SetDefaults_MatchResources` and `SetDefaults_Rule`.
pub(super) fn default(spec: &mut Value, field: &str) {
    let Some(constraints) = spec.get_mut(field).filter(|value| value.is_object()) else {
        return;
    };
    set_default(constraints, "matchPolicy", "Equivalent");
    ensure(constraints, "namespaceSelector");
    ensure(constraints, "objectSelector");
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in items_mut(constraints, list) {
            set_default(rule, "scope", "*");
        }
    }
}

/// `validateMatchResources`; null is fine.
pub(super) fn check(errors: &mut Errors, path: &Path, constraints: &Value) {
    if constraints.is_null() {
        return;
    }
    let policy = constraints.text("matchPolicy");
    if !constraints.has("matchPolicy") {
        errors.required(&path.child("matchPolicy"), "");
    } else if !MATCH_POLICIES.contains(&policy) {
        errors.not_supported(&path.child("matchPolicy"), policy, &MATCH_POLICIES);
    }
    for field in ["namespaceSelector", "objectSelector"] {
        if constraints.has(field) {
            label_selector(errors, &path.child(field), constraints.at(field), false);
        } else {
            errors.required(&path.child(field), "");
        }
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (i, rule) in constraints.items(list).iter().enumerate() {
            named_rule(errors, &path.child(list).index(i), rule);
        }
    }
}

fn named_rule(errors: &mut Errors, path: &Path, rule: &Value) {
    let mut seen = BTreeSet::new();
    for (i, name) in rule.texts("resourceNames").into_iter().enumerate() {
        let path = path.child("resourceNames").index(i);
        errors.invalid_each(&path, name, names::path_segment_name(name, false));
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
    }
    operations(errors, &path.child("operations"), &rule.texts("operations"));
    star_alone(errors, path, rule, "apiGroups", "API groups");
    star_alone(errors, path, rule, "apiVersions", "API versions");
    for (i, version) in rule.texts("apiVersions").into_iter().enumerate() {
        if version.is_empty() {
            errors.required(&path.child("apiVersions").index(i), "");
        }
    }
    resources(errors, &path.child("resources"), &rule.texts("resources"));
    let scope = rule.text("scope");
    if rule.has("scope") && !SCOPES.contains(&scope) {
        errors.not_supported(&path.child("scope"), scope, &SCOPES);
    }
}

fn operations(errors: &mut Errors, path: &Path, operations: &[&str]) {
    if operations.is_empty() {
        errors.required(path, "");
    }
    if operations.len() > 1 && operations.contains(&"*") {
        let detail = "if '*' is present, must not specify other operations";
        errors.invalid(path, json!(operations), detail);
    }
    for (i, operation) in operations.iter().enumerate() {
        if !OPERATIONS.contains(operation) {
            errors.not_supported(&path.index(i), *operation, &OPERATIONS);
        }
    }
}

/// A list with at least one item, in which `*` stands alone.
fn star_alone(errors: &mut Errors, path: &Path, rule: &Value, field: &str, words: &str) {
    let items = rule.texts(field);
    if items.is_empty() {
        errors.required(&path.child(field), "");
    }
    if items.len() > 1 && items.contains(&"*") {
        let detail = format!("if '*' is present, must not specify other {words}");
        errors.invalid(&path.child(field), json!(items), detail);
    }
}

fn resources(errors: &mut Errors, path: &Path, resources: &[&str]) {
    if resources.is_empty() {
        errors.required(path, "");
    }
    let (mut with_any_subresource, mut of_any_resource) = (BTreeSet::new(), BTreeSet::new());
    let mut plain = false;
    for (i, text) in resources.iter().enumerate() {
        let path = path.index(i);
        if text.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let Some((resource, subresource)) = text.split_once('/') else {
            plain = *text != "*";
            continue;
        };
        if with_any_subresource.contains(resource) {
            let detail = format!("if '{resource}/*' is present, must not specify {text}");
            errors.invalid(&path, *text, detail);
        }
        if of_any_resource.contains(subresource) {
            let detail = format!("if '*/{subresource}' is present, must not specify {text}");
            errors.invalid(&path, *text, detail);
        }
        if subresource == "*" {
            with_any_subresource.insert(resource);
        }
        if resource == "*" {
            of_any_resource.insert(subresource);
        }
    }
    if resources.len() > 1 && resources.contains(&"*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.invalid(path, json!(resources), detail);
    }
    if resources.contains(&"*") && plain {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, json!(resources), detail);
    }
}
