//! CSIDrivers.

use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, remove, set, set_default};
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of CSIDrivers.
pub(crate) struct CsiDrivers;

const POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const MODES: [&str; 2] = ["Persistent", "Ephemeral"];
const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;

impl Declared for CsiDrivers {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        set_default(spec, "attachRequired", true);
        for key in [
            "podInfoOnMount",
            "storageCapacity",
            "requiresRepublish",
            "seLinuxMount",
        ] {
            set_default(spec, key, false);
        }
        set_default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.items("volumeLifecycleModes").is_empty() {
            set(spec, "volumeLifecycleModes", vec!["Persistent"]);
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counts_from_first_change(&self) -> bool {
        true
    }

    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        let key = "preventPodSchedulingIfMissing";
        let used = check.old.is_some_and(|old| old.at("spec").has(key));
        if let Some(spec) = object.get_mut("spec")
            && !used
        {
            remove(spec, key);
        }
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        if let Some(policy) = spec.optional_text("fsGroupPolicy")
            && !POLICIES.contains(&policy)
        {
            errors.not_supported(&path.child("fsGroupPolicy"), policy, &POLICIES);
        }
        token_requests(errors, spec, &path.child("tokenRequests"));
        for mode in spec.texts("volumeLifecycleModes") {
            if !MODES.contains(&mode) {
                errors.not_supported(&path.child("volumeLifecycleModes"), mode, &MODES);
            }
        }
        let period = spec.number("nodeAllocatableUpdatePeriodSeconds");
        if let Some(period) = period.filter(|period| *period < 10) {
            let path = path.child("nodeAllocatableUpdatePeriodSeconds");
            let text = "must be greater than or equal to 10 seconds";
            errors.invalid(&path, period, text);
        }
        let secrets = spec.at("serviceAccountTokenInSecrets");
        if !secrets.is_null() && spec.items("tokenRequests").is_empty() {
            let path = path.child("serviceAccountTokenInSecrets");
            let text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
            errors.invalid(&path, secrets.clone(), text);
        }
        if let Some(old) = check.old.map(|old| old.at("spec")) {
            for (key, shown) in [
                ("attachRequired", "attachedRequired"),
                ("volumeLifecycleModes", "volumeLifecycleModes"),
            ] {
                errors.immutable(&path.child(shown), spec.at(key), old.at(key));
            }
        }
    }
}

fn token_requests(errors: &mut Errors, spec: &Value, list: &Path) {
    let mut seen = BTreeSet::new();
    for (i, request) in spec.items("tokenRequests").iter().enumerate() {
        let (path, audience) = (list.index(i), request.text("audience"));
        if !seen.insert(audience) {
            errors.duplicate(&path.child("audience"), audience);
            continue;
        }
        let Some(seconds) = request.number("expirationSeconds") else {
            continue;
        };
        let path = path.child("expirationSeconds");
        if seconds < SHORTEST_TOKEN {
            let text = "may not specify a duration less than 10 minutes";
            errors.invalid(&path, seconds, text);
        }
        if seconds > LONGEST_TOKEN {
            let text = "may not specify a duration larger than 2^32 seconds";
            errors.invalid(&path, seconds, text);
        }
    }
}
