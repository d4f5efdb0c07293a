//! What is said of ValidatingAdmissionPolicies that were looked at
//! (`validatingadmissionpolicy-status-controller`).
//!
//! The original also checks the types of expressions against the kinds that the policy is for and
//! warns in the status; here nothing is found.

use crate::{Context, Controller, Key, Outcome};
use model::{Event, Resource, View, Write};
use serde_json::json;

/// `status.observedGeneration` and `status.typeChecking`.
pub(crate) const STATUS: Controller = Controller {
    name: "validatingadmissionpolicy-status-controller",
    keys,
    reconcile: observe,
    refused: crate::silent,
};

fn keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let policy = event.object.resource == Resource::VALIDATING_POLICIES;
    policy.then(|| event.object.key()).into_iter().collect()
}

fn observe(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(policy) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let value = policy.value();
    let generation = value["metadata"]["generation"].as_i64().unwrap_or(0);
    if value["status"]["observedGeneration"].as_i64() == Some(generation) {
        return Outcome::default();
    }
    let status = json!({"observedGeneration": generation, "typeChecking": {}});
    Outcome::of([Write::MergePatch {
        key: policy.key(),
        subresource: "status",
        patch: json!({"status": status}),
    }])
}
