//! `spec.podFailurePolicy` of Jobs.

use crate::field::names;
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use crate::work::podspec;
use model::{FieldError, FieldErrorKind, go_quote};
use serde_json::Value;
use std::collections::BTreeSet;

const MOST_RULES: usize = 20;
const MOST_VALUES: usize = 255;
const MOST_PATTERNS: usize = 20;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// `["a" "b"]`, as Go's `%q` prints a list.
fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| go_quote(word)).collect();
    format!("valid values: [{}]", words.join(" "))
}

/// `Invalid value: …` that does not print the value.
fn invalid_bare(errors: &mut Errors, path: &Path, detail: &str) {
    errors.0.push(FieldError::new(
        FieldErrorKind::Invalid,
        path.as_str(),
        None,
        detail,
    ));
}

/// Checks the policy of a Job's spec.
pub(super) fn check(errors: &mut Errors, spec: &Value, path: &Path) {
    let rules = spec.at("podFailurePolicy").items("rules");
    let list = path.child("rules");
    if rules.len() > MOST_RULES {
        errors.too_many(&list, rules.len(), MOST_RULES);
    }
    let here = Path::default();
    let containers: BTreeSet<&str> = podspec::visit(spec.at("template").at("spec"), &here)
        .map(|(container, _)| container.text("name"))
        .collect();
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        action(errors, spec, rule, &path.child("action"));
        let (codes, conditions) = (rule.at("onExitCodes"), rule.items("onPodConditions"));
        if !codes.is_null() {
            exit_codes(errors, codes, &path.child("onExitCodes"), &containers);
        }
        pod_conditions(errors, conditions, &path.child("onPodConditions"));
        match (codes.is_null(), conditions.is_empty()) {
            (false, false) => invalid_bare(
                errors,
                &path,
                "specifying both OnExitCodes and OnPodConditions is not supported",
            ),
            (true, true) => invalid_bare(
                errors,
                &path,
                "specifying one of OnExitCodes and OnPodConditions is required",
            ),
            _ => {}
        }
    }
}

fn action(errors: &mut Errors, spec: &Value, rule: &Value, path: &Path) {
    match rule.text("action") {
        "" => errors.required(path, &quoted(&ACTIONS)),
        "FailIndex" if !spec.has("backoffLimitPerIndex") => {
            let text = "requires the backoffLimitPerIndex to be set";
            errors.invalid(path, "FailIndex", text);
        }
        action if !ACTIONS.contains(&action) => errors.not_supported(path, action, &ACTIONS),
        _ => {}
    }
}

fn exit_codes(errors: &mut Errors, codes: &Value, path: &Path, containers: &BTreeSet<&str>) {
    let operator = codes.text("operator");
    if operator.is_empty() {
        errors.required(&path.child("operator"), &quoted(&OPERATORS));
    } else if !OPERATORS.contains(&operator) {
        errors.not_supported(&path.child("operator"), operator, &OPERATORS);
    }
    if let Some(name) = codes.optional_text("containerName")
        && !containers.contains(name)
    {
        let text = "must be one of the container or initContainer names in the pod template";
        errors.invalid(&path.child("containerName"), name, text);
    }
    let (values, list) = (codes.items("values"), path.child("values"));
    if values.is_empty() {
        errors.invalid_shown(&list, "[]".to_owned(), "at least one value is required");
    } else if values.len() > MOST_VALUES {
        errors.too_many(&list, values.len(), MOST_VALUES);
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let mut seen = BTreeSet::new();
    for (i, value) in numbers.iter().enumerate() {
        if operator == "In" && *value == 0 {
            let text = "must not be 0 for the In operator";
            errors.invalid(&list.index(i), 0, text);
        }
        if !seen.insert(value) {
            errors.duplicate(&list.index(i), *value);
        }
    }
    if !numbers.is_sorted() {
        errors.invalid(&list, codes.at("values").clone(), "must be ordered");
    }
}

fn pod_conditions(errors: &mut Errors, patterns: &[Value], list: &Path) {
    if patterns.len() > MOST_PATTERNS {
        errors.too_many(list, patterns.len(), MOST_PATTERNS);
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let path = list.index(i);
        let kind = pattern.text("type");
        errors.invalid_each(&path.child("type"), kind, names::qualified_name(kind));
        match pattern.text("status") {
            "" => errors.required(&path.child("status"), &quoted(&STATUSES)),
            status if !STATUSES.contains(&status) => {
                errors.not_supported(&path.child("status"), status, &STATUSES);
            }
            _ => {}
        }
    }
}

/// The policy as Go prints its internal type.
pub(super) fn go_json(policy: &Value) -> String {
    if policy.is_null() {
        return "null".to_owned();
    }
    let rules: Vec<String> = policy.items("rules").iter().map(go_rule).collect();
    go_struct(&[("Rules", format!("[{}]", rules.join(",")))])
}

fn go_rule(rule: &Value) -> String {
    let codes = rule.at("onExitCodes");
    let codes = if codes.is_null() {
        "null".to_owned()
    } else {
        go_struct(&[
            ("ContainerName", codes.at("containerName").to_string()),
            ("Operator", go_quote(codes.text("operator"))),
            ("Values", codes.at("values").to_string()),
        ])
    };
    let patterns: Vec<String> = rule
        .items("onPodConditions")
        .iter()
        .map(|pattern| {
            go_struct(&[
                ("Type", go_quote(pattern.text("type"))),
                ("Status", go_quote(pattern.text("status"))),
            ])
        })
        .collect();
    let patterns = match patterns.as_slice() {
        [] => "null".to_owned(),
        patterns => format!("[{}]", patterns.join(",")),
    };
    go_struct(&[
        ("Action", go_quote(rule.text("action"))),
        ("OnExitCodes", codes),
        ("OnPodConditions", patterns),
    ])
}
