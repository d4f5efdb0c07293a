//! `spec.successPolicy` of indexed Jobs.

use super::indexes;
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use serde_json::Value;

const MOST_RULES: usize = 20;
const INDEXES_LENGTH: usize = 64 * 1024;

/// Checks the policy of an indexed Job's spec.
pub(super) fn check(errors: &mut Errors, spec: &Value, path: &Path) {
    let (rules, list) = (spec.at("successPolicy").items("rules"), path.child("rules"));
    if rules.is_empty() {
        let text = "at least one rules must be specified when the successPolicy is specified";
        errors.required(&list, text);
    }
    if rules.len() > MOST_RULES {
        errors.too_many(&list, rules.len(), MOST_RULES);
    }
    let completions = spec.number("completions").unwrap_or(0);
    for (i, rule) in rules.iter().enumerate() {
        check_rule(errors, rule, completions, &list.index(i));
    }
}

fn check_rule(errors: &mut Errors, rule: &Value, completions: i64, path: &Path) {
    let (count, listed) = (
        rule.number("succeededCount"),
        rule.optional_text("succeededIndexes"),
    );
    if count.is_none() && listed.is_none() {
        let text = "at least one of succeededCount or succeededIndexes must be specified";
        errors.required(path, text);
    }
    let mut total = 0;
    if let Some(listed) = listed {
        let path = path.child("succeededIndexes");
        if listed.len() > INDEXES_LENGTH {
            errors.too_long(&path, INDEXES_LENGTH);
        }
        match indexes::count(listed, completions) {
            Ok(count) => total = count,
            Err(why) => {
                let text = format!("error parsing succeededIndexes: {why}");
                errors.invalid(&path, listed, text);
            }
        }
    }
    let Some(count) = count else { return };
    let path = path.child("succeededCount");
    errors.nonnegative(&path, count);
    if count > completions {
        let text = format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        );
        errors.invalid(&path, count, text);
    }
    if listed.is_some() && count > total {
        let text = format!(
            "must be less than or equal to {total} (the number of indexes in the specified \
             succeededIndexes field)"
        );
        errors.invalid(&path, count, text);
    }
}

/// The policy as Go prints its internal type.
pub(super) fn go_json(policy: &Value) -> String {
    if policy.is_null() {
        return "null".to_owned();
    }
    let rules: Vec<String> = policy
        .items("rules")
        .iter()
        .map(|rule| {
            go_struct(&[
                ("SucceededIndexes", rule.at("succeededIndexes").to_string()),
                ("SucceededCount", rule.at("succeededCount").to_string()),
            ])
        })
        .collect();
    go_struct(&[("Rules", format!("[{}]", rules.join(",")))])
}
