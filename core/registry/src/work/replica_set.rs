//! ReplicaSets. Source: `pkg/registry/apps/replicaset`, `ValidateReplicaSet*`.

use super::deployment::immutable_selector;
use super::replicas::{self, nonnegative};
use super::{carry_generation, keep, set_generation};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, same, set, set_default};
use crate::field::{names, selector};
use crate::{Context, Strategy, Subresource};
use model::FieldError;
use serde_json::{Value, json};

/// The rules of ReplicaSets.
pub(crate) struct ReplicaSets;

impl Strategy for ReplicaSets {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            set_default(spec, "replicas", 1);
        }
        replicas::default_template(object);
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        set(object, "status", json!({"replicas": 0}));
        set_generation(object, 1);
        replicas::drop_disabled(object, None);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        keep(object, old, &["status"]);
        replicas::drop_disabled(object, Some(old));
        let changed = !same(object.at("spec"), old.at("spec"));
        carry_generation(object, old, changed);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        spec(&mut errors, object, None);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        spec(&mut errors, object, Some(old));
        immutable_selector(&mut errors, object, old);
        errors.0
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        if subresource == Subresource::Status {
            keep(object, old, &["spec"]);
            carry_generation(object, old, false);
        }
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        _: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        if subresource == Subresource::Status {
            status(&mut errors, object.at("status"), &Path::new("status"));
        }
        errors.0
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let mut all = Vec::new();
        if old.is_none() {
            all.extend(replicas::name_warning(object));
        }
        all.extend(replicas::template_warnings(object, old));
        all
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
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

fn status(errors: &mut Errors, status: &Value, path: &Path) {
    nonnegative(
        errors,
        status,
        path,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ],
    );
    let keys = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    let limit = ("replicas", "cannot be greater than status.replicas");
    replicas::at_most(errors, status, path, &keys, limit);
    let limit = ("readyReplicas", "cannot be greater than readyReplicas");
    replicas::at_most(errors, status, path, &["availableReplicas"], limit);
}
