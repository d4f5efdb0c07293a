//! ReplicaSets. Source: `pkg/registry/apps/replicaset`, `ValidateReplicaSet*`.

use super::replicas::{self, TEMPLATE, immutable_selector, nonnegative};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, set_default};
use crate::field::selector;
use serde_json::{Value, json};

/// The rules of ReplicaSets.
pub(crate) struct ReplicaSets;

impl Declared for ReplicaSets {
    fn defaults(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            set_default(spec, "replicas", 1);
        }
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"replicas": 0}))
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        spec(errors, object, check.old);
        immutable_selector(errors, object, check.old);
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        replicas::set_status(errors, object.at("status"), &Path::new("status"));
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        replicas::name_warning(object, check.old)
    }

    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        let replicas = object.at("status").number("replicas").unwrap_or(0);
        vec![("status.replicas", replicas.to_string())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }
}

fn spec(errors: &mut Errors, object: &Value, old: Option<&Value>) {
    let (spec, path) = (object.at("spec"), Path::new("spec"));
    nonnegative(errors, spec, &path, &["replicas", "minReadySeconds"]);
    replicas::check_selector(errors, spec, &path, "deployment");
    if selector::is_convertible(spec.at("selector")) {
        let options = replicas::template_options(old);
        replicas::matching_template(errors, spec, &path, &options, "ReplicaSet");
    } else {
        let shown = selector::go_json(spec.at("selector"));
        errors.invalid_shown(&path.child("selector"), shown, "invalid label selector");
    }
}
