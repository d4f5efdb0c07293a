//! `spec.behavior`: how fast to scale.

use crate::field::path::{Errors, NEGATIVE, Path};
use crate::field::read::{Read, ensure, set, set_default};
use crate::work::podspec::resources::quantity;
use serde_json::{Value, json};

const LONGEST_PERIOD: i64 = 1800;
const LONGEST_WINDOW: i64 = 3600;
const SELECTORS: [&str; 3] = ["Disabled", "Max", "Min"];
const KINDS: [&str; 2] = ["Percent", "Pods"];

/// Rules that say something get the rest of what they could say.
pub(super) fn defaults(behavior: &mut Value) {
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    if let Some(rules) = ensure(behavior, "scaleUp") {
        set_default(rules, "stabilizationWindowSeconds", 0);
        fill(rules, vec![pods, percent.clone()]);
    }
    if let Some(rules) = ensure(behavior, "scaleDown") {
        fill(rules, vec![percent]);
    }
}

fn fill(rules: &mut Value, policies: Vec<Value>) {
    set_default(rules, "selectPolicy", "Max");
    if !rules.has("policies") {
        set(rules, "policies", policies);
    }
}

/// Checks the two sets of rules.
pub(super) fn check(errors: &mut Errors, behavior: &Value, path: &Path) {
    for key in ["scaleUp", "scaleDown"] {
        let rules = behavior.at(key);
        if !rules.is_null() {
            check_rules(errors, rules, &path.child(key));
        }
    }
}

fn check_rules(errors: &mut Errors, rules: &Value, path: &Path) {
    if let Some(window) = rules.number("stabilizationWindowSeconds") {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errors.invalid(&path, window, "must be greater than or equal to zero");
        }
        if window > LONGEST_WINDOW {
            let text = format!("must be less than or equal to {LONGEST_WINDOW}");
            errors.invalid(&path, window, text);
        }
    }
    if let Some(policy) = rules.optional_text("selectPolicy")
        && !SELECTORS.contains(&policy)
    {
        errors.not_supported(&path.child("selectPolicy"), policy, &SELECTORS);
    }
    let (policies, list) = (rules.items("policies"), path.child("policies"));
    if policies.is_empty() {
        errors.required(&list, "must specify at least one Policy");
    }
    for (i, policy) in policies.iter().enumerate() {
        check_policy(errors, policy, &list.index(i));
    }
    let tolerance = rules.at("tolerance");
    if quantity(tolerance).signum() < 0 {
        errors.invalid(&path.child("tolerance"), tolerance.clone(), NEGATIVE);
    }
}

fn check_policy(errors: &mut Errors, policy: &Value, path: &Path) {
    let kind = policy.text("type");
    if !KINDS.contains(&kind) {
        errors.not_supported(&path.child("type"), kind, &KINDS);
    }
    for key in ["value", "periodSeconds"] {
        let value = policy.number(key).unwrap_or(0);
        if value <= 0 {
            errors.invalid(&path.child(key), value, "must be greater than zero");
        }
    }
    let period = policy.number("periodSeconds").unwrap_or(0);
    if period > LONGEST_PERIOD {
        let text = format!("must be less than or equal to {LONGEST_PERIOD}");
        errors.invalid(&path.child("periodSeconds"), period, text);
    }
}
