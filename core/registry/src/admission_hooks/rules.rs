//! Which requests a webhook is asked about.

use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;
use std::collections::BTreeSet;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

/// Checks one rule with its operations.
pub(super) fn check(errors: &mut Errors, rule: &Value, path: &Path) {
    let list = path.child("operations");
    filled(errors, rule, "operations", &list);
    alone(errors, rule, "operations", (&list, "operations"));
    for (i, operation) in rule.texts("operations").into_iter().enumerate() {
        if !OPERATIONS.contains(&operation) {
            errors.not_supported(&list.index(i), operation, &OPERATIONS);
        }
    }
    for (key, words) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let list = path.child(key);
        filled(errors, rule, key, &list);
        alone(errors, rule, key, (&list, words));
    }
    for (i, version) in rule.texts("apiVersions").into_iter().enumerate() {
        if version.is_empty() {
            errors.required(&path.child("apiVersions").index(i), "");
        }
    }
    resources(errors, &rule.texts("resources"), &path.child("resources"));
    if let Some(scope) = rule.optional_text("scope").filter(|s| !SCOPES.contains(s)) {
        errors.not_supported(&path.child("scope"), scope, &SCOPES);
    }
}

fn filled(errors: &mut Errors, rule: &Value, key: &str, path: &Path) {
    if rule.items(key).is_empty() {
        errors.required(path, "");
    }
}

fn alone(errors: &mut Errors, rule: &Value, key: &str, (path, words): (&Path, &str)) {
    let found = rule.texts(key);
    if found.len() > 1 && found.contains(&"*") {
        let text = format!("if '*' is present, must not specify other {words}");
        errors.invalid(path, found, text);
    }
}

fn resources(errors: &mut Errors, resources: &[&str], list: &Path) {
    if resources.is_empty() {
        errors.required(list, "");
    }
    let (mut all_of, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    let mut bare = false;
    for (i, resource) in resources.iter().enumerate() {
        let path = list.index(i);
        if resource.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let Some((parent, sub)) = resource.split_once('/') else {
            bare = *resource != "*";
            continue;
        };
        if all_of.contains(parent) {
            let text = format!("if '{parent}/*' is present, must not specify {resource}");
            errors.invalid(&path, *resource, text);
        }
        if of_all.contains(sub) {
            let text = format!("if '*/{sub}' is present, must not specify {resource}");
            errors.invalid(&path, *resource, text);
        }
        if sub == "*" {
            all_of.insert(parent);
        }
        if parent == "*" {
            of_all.insert(sub);
        }
    }
    let shown = || Value::from(resources.to_vec());
    if resources.len() > 1 && resources.contains(&"*/*") {
        let text = "if '*/*' is present, must not specify other resources";
        errors.invalid(list, shown(), text);
    }
    if resources.contains(&"*") && bare {
        let text = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(list, shown(), text);
    }
}
