//! Namespaces. Source: `pkg/registry/core/namespace`.

use super::keep;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, set, set_default};
use crate::field::{names, words};
use crate::{Context, Strategy, Subresource};
use model::FieldError;
use serde_json::{Value, json};

/// The rules of Namespaces.
pub(crate) struct Namespaces;

/// The label that every Namespace has, with its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Strategy for Namespaces {
    fn default(&self, object: &mut Value) {
        let name = object.at("metadata").text("name").to_owned();
        let metadata = object.get_mut("metadata");
        if let Some(labels) = metadata.and_then(|metadata| ensure(metadata, "labels"))
            && !name.is_empty()
        {
            set(labels, NAME_LABEL, name);
        }
        if let Some(status) = ensure(object, "status") {
            set_default(status, "phase", "Active");
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        set(object, "status", json!({"phase": "Active"}));
        let mut finalizers = object.at("spec").items("finalizers").to_vec();
        if !finalizers.iter().any(|name| name == "kubernetes") {
            finalizers.push("kubernetes".into());
        }
        if let Some(spec) = ensure(object, "spec") {
            set(spec, "finalizers", finalizers);
        }
        // A name made from generateName is known by now.
        self.default(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        keep(object, old, &["status"]);
        if let Some(spec) = ensure(object, "spec") {
            copy_field(spec, old.at("spec"), "finalizers");
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::label_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let path = Path::new("spec").child("finalizers");
        for name in object.at("spec").texts("finalizers") {
            words::finalizer(&mut errors, &path, name);
        }
        errors.0
    }

    fn validate_update(&self, object: &Value, _: &Value, context: &Context<'_>) -> Vec<FieldError> {
        self.validate(object, context)
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        match subresource {
            Subresource::Status => keep(object, old, &["spec"]),
            Subresource::Other("finalize") => keep(object, old, &["status"]),
            Subresource::Other(_) => {}
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
        match subresource {
            Subresource::Status => phase(&mut errors, object),
            Subresource::Other("finalize") => {
                let path = Path::new("spec").child("finalizers");
                let finalizers = object.at("spec").texts("finalizers");
                for (i, name) in finalizers.into_iter().enumerate() {
                    words::finalizer(&mut errors, &path.index(i), name);
                }
            }
            Subresource::Other(_) => {}
        }
        errors.0
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let name = object.at("metadata").text("name").to_owned();
        let phase = object.at("status").text("phase").to_owned();
        vec![("status.phase", phase), ("name", name)]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["status.phase", "name"]
    }
}

fn phase(errors: &mut Errors, object: &Value) {
    let (path, phase) = (
        Path::new("status").child("Phase"),
        object.at("status").text("phase"),
    );
    let deleting = object.at("metadata").has("deletionTimestamp");
    if !deleting && phase != "Active" {
        let text = "may only be 'Active' if `deletionTimestamp` is empty";
        errors.invalid(&path, phase, text);
    }
    if deleting && phase != "Terminating" {
        let text = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        errors.invalid(&path, phase, text);
    }
}
