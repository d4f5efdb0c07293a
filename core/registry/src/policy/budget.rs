//! PodDisruptionBudgets.

use super::conditions;
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use crate::field::selector;
use crate::work::replicas;
use serde_json::{Value, json};

/// The rules of PodDisruptionBudgets.
pub(crate) struct DisruptionBudgets;

const AMOUNTS: [&str; 2] = ["minAvailable", "maxUnavailable"];
const POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

impl Declared for DisruptionBudgets {
    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        }))
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        if AMOUNTS.iter().all(|key| spec.has(key)) {
            let text = "minAvailable and maxUnavailable cannot be both set";
            errors.invalid_shown(&path, go_spec(spec), text);
        }
        for key in AMOUNTS.iter().filter(|key| spec.has(key)) {
            let (value, path) = (spec.at(key), path.child(key));
            replicas::int_or_percent(errors, value, &path);
            replicas::at_most_all(errors, value, &path);
        }
        let loose = check
            .old
            .is_some_and(|old| !selector::is_usable(old.at("spec").at("selector")));
        let (found, selector_path) = (spec.at("selector"), path.child("selector"));
        selector::label_selector(errors, &selector_path, found, loose);
        if let Some(policy) = spec.optional_text("unhealthyPodEvictionPolicy")
            && !POLICIES.contains(&policy)
        {
            let path = path.child("unhealthyPodEvictionPolicy");
            errors.not_supported(&path, policy, &POLICIES);
        }
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        let (status, path) = (object.at("status"), Path::new("status"));
        conditions::check(
            errors,
            status.items("conditions"),
            &path.child("conditions"),
        );
        let counts = [
            "disruptionsAllowed",
            "currentHealthy",
            "desiredHealthy",
            "expectedPods",
        ];
        replicas::nonnegative(errors, status, &path, &counts);
    }

    fn unconditional(&self) -> bool {
        false
    }
}

fn go_spec(spec: &Value) -> String {
    go_struct(&[
        ("MinAvailable", spec.at("minAvailable").to_string()),
        ("Selector", selector::go_json(spec.at("selector"))),
        ("MaxUnavailable", spec.at("maxUnavailable").to_string()),
        (
            "UnhealthyPodEvictionPolicy",
            spec.at("unhealthyPodEvictionPolicy").to_string(),
        ),
    ])
}
