//! ReplicationControllers. Source: `pkg/registry/core/replicationcontroller`.

use super::replicas::{self, TEMPLATE};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, set, set_default};
use crate::work::podspec;
use serde_json::{Map, Value, json};

/// The rules of ReplicationControllers.
pub(crate) struct ReplicationControllers;

impl Declared for ReplicationControllers {
    fn defaults(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            set_default(spec, "replicas", 1);
        }
        let template = object.at("spec").at("template");
        let labels = template.at("metadata").at("labels").clone();
        if is_empty(&labels) {
            return;
        }
        if let Some(spec) = ensure(object, "spec")
            && is_empty(spec.at("selector"))
        {
            set(spec, "selector", labels.clone());
        }
        if let Some(metadata) = ensure(object, "metadata")
            && is_empty(metadata.at("labels"))
        {
            set(metadata, "labels", labels);
        }
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn template_is_optional(&self) -> bool {
        true
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"replicas": 0}))
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        replicas::nonnegative(errors, spec, &path, &["minReadySeconds"]);
        let found = spec.at("selector");
        if is_empty(found) {
            errors.required(&path.child("selector"), "");
        }
        replicas::nonnegative(errors, spec, &path, &["replicas"]);
        let (template, path) = (spec.at("template"), path.child("template"));
        if template.is_null() {
            return errors.required(&path, "");
        }
        let labels = template.at("metadata").at("labels");
        let held = |(key, value): (&str, &Value)| labels.at(key) == value;
        if !selects(found, held) {
            errors.invalid(
                &path.child("metadata").child("labels"),
                labels.clone(),
                "`selector` does not match template `labels`",
            );
        }
        let options = replicas::template_options(check.old);
        podspec::template(errors, template, &path, &options);
        replicas::restart_and_deadline(errors, template, &path, "ReplicationController");
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        replicas::set_status(errors, object.at("status"), &Path::new("status"));
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        replicas::name_warning(object, check.old)
    }

    fn orphans(&self) -> bool {
        true
    }

    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        let replicas = object.at("status").number("replicas").unwrap_or(0);
        vec![("status.replicas", replicas.to_string())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }
}

fn is_empty(map: &Value) -> bool {
    map.as_object().is_none_or(Map::is_empty)
}

/// Whether all pairs of a selector hold; an empty one selects everything.
fn selects<'a>(selector: &'a Value, held: impl Fn((&'a str, &'a Value)) -> bool) -> bool {
    let pairs = selector.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.as_str(), value)).all(held)
}
