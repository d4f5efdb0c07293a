//! PriorityClasses.

use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, set_default};
use crate::work::admission::forbidden;
use model::{ApiError, Resource, View};
use serde_json::{Value, json};

/// The rules of PriorityClasses.
pub(crate) struct PriorityClasses;

/// Names with this prefix are the system's.
const SYSTEM: &str = "system-";
const HIGHEST: i64 = 1_000_000_000;
const CLUSTER_CRITICAL: i64 = 2_000_000_000;
const NODE_CRITICAL: i64 = 2_000_001_000;

/// The classes that a cluster has from the start.
pub fn system_classes() -> [Value; 2] {
    let class = |name: &str, value: i64, about: &str| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": about,
        })
    };
    [
        class(
            "system-node-critical",
            NODE_CRITICAL,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            CLUSTER_CRITICAL,
            "Used for system critical pods that must run in the cluster, but can be moved to \
             another node if necessary.",
        ),
    ]
}

/// The class of Pods that name none: the lowest of those that say so.
pub(crate) fn default_class(view: &dyn View) -> Option<Value> {
    let classes = view.list(Resource::PRIORITY_CLASSES, None);
    let classes = classes.iter().map(|class| class.value());
    let default = classes.filter(|class| class.flag("globalDefault") == Some(true));
    default.min_by_key(|class| class.number("value").unwrap_or(0))
}

impl Declared for PriorityClasses {
    fn defaults(&self, object: &mut Value) {
        set_default(object, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn is_change(&self, _: &Value, _: &Value) -> bool {
        false
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let value = object.number("value").unwrap_or(0);
        let policy = Path::new("preemptionPolicy");
        if let Some(old) = check.old {
            if value != old.number("value").unwrap_or(0) {
                errors.forbidden(&Path::new("value"), "may not be changed in an update.");
            }
            errors.immutable(
                &policy,
                object.at("preemptionPolicy"),
                old.at("preemptionPolicy"),
            );
            return;
        }
        let name = object.at("metadata").text("name");
        if name.starts_with(SYSTEM) {
            if let Some(why) = system_fault(object, name, value) {
                let text = format!(
                    "priority class names with '{SYSTEM}' prefix are reserved for system use \
                     only. error: {why}"
                );
                errors.forbidden(&Path::new("metadata").child("name"), text);
            }
        } else if value > HIGHEST {
            let text = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            errors.forbidden(&Path::new("value"), text);
        }
        let policies = ["PreemptLowerPriority", "Never"];
        errors.one_of(&policy, object.text("preemptionPolicy"), &policies);
    }

    fn approve(&self, object: &Value, check: &Check<'_>) -> Result<(), ApiError> {
        if object.flag("globalDefault") != Some(true) {
            return Ok(());
        }
        let name = object.at("metadata").text("name");
        let Some(default) = default_class(check.context.view) else {
            return Ok(());
        };
        let held = default.at("metadata").text("name");
        if check.old.is_some() && held == name {
            return Ok(());
        }
        let text = format!(
            "PriorityClass {held} is already marked as default. Only one default can exist"
        );
        Err(forbidden(Resource::PRIORITY_CLASSES, object, &text))
    }
}

fn system_fault(object: &Value, name: &str, value: i64) -> Option<String> {
    let known = system_classes();
    let known = known
        .iter()
        .find(|class| class.at("metadata").text("name") == name);
    let Some(known) = known else {
        return Some(format!("{name} is not a known system priority class"));
    };
    let wanted = known.number("value").unwrap_or(0);
    if value != wanted {
        return Some(format!("value of {name} PriorityClass must be {wanted}"));
    }
    let default = object.flag("globalDefault") == Some(true);
    default.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}
