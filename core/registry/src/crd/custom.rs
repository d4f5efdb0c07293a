//! Rules of custom objects: those that their CustomResourceDefinition states.

use super::embedded;
use crate::field::names::{qualified_name, subdomain_name};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, remove, set};
use crate::{Context, Strategy, Subresource};
use model::{ApiError, FieldError, Resource};
use schema::structural::Part;
use schema::{Kind, ScalePaths, jsonpath};
use serde_json::Value;
use std::sync::Arc;

/// Finalizers without a domain that Kubernetes itself knows.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

/// The strategy of a custom kind, in one of its versions.
#[derive(Clone)]
pub struct CustomObjects {
    kind: Arc<Kind>,
}

impl CustomObjects {
    /// Of a kind that a CustomResourceDefinition made.
    pub fn new(kind: Arc<Kind>) -> Self {
        Self { kind }
    }

    fn has_status(&self) -> bool {
        self.kind.custom().is_some_and(|custom| custom.has_status())
    }

    fn scale(&self) -> Option<ScalePaths<'_>> {
        self.kind.custom()?.scale()
    }

    /// Checks values by the schema; answers warnings about what was as wrong before.
    fn check_values(
        &self,
        errors: &mut Errors,
        object: &Value,
        old: Option<&Value>,
        part: Part,
    ) -> Vec<String> {
        let structural = self.kind.custom().and_then(|custom| custom.structural());
        structural.map_or_else(Vec::new, |structural| {
            let check = embedded::check_metadata;
            structural.validate(object, old, part, check, &mut errors.0)
        })
    }
}

impl Strategy for CustomObjects {
    fn default(&self, object: &mut Value) {
        let structural = self.kind.custom().and_then(|custom| custom.structural());
        let Some(structural) = structural else { return };
        // The schema says nothing about metadata.
        let metadata = remove(object, "metadata");
        structural.apply_defaults(object);
        if let Some(metadata) = metadata {
            set(object, "metadata", metadata);
        }
    }

    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        _: &Context<'_>,
    ) -> Result<(), ApiError> {
        let ending = self.kind.custom().is_some_and(|custom| custom.terminating);
        if ending && old.is_none() {
            let resource = Resource::new(&self.kind.group, &self.kind.plural);
            let name = object.at("metadata").text("name");
            let text = "create not allowed while custom resource definition is terminating";
            return Err(forbidden(resource, name, text));
        }
        Ok(())
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        if self.has_status() {
            remove(object, "status");
        }
        set_generation(object, 1);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        if self.has_status() {
            crate::field::read::copy_field(object, old, "status");
        }
        let differs = |key: &str| object.get(key) != old.get(key);
        let changed = |value: &Value| {
            let keys = value.as_object().into_iter().flat_map(|map| map.keys());
            keys.filter(|key| *key != "metadata")
                .any(|key| differs(key))
        };
        if changed(object) || changed(old) {
            let generation = old.at("metadata").number("generation").unwrap_or(0);
            set_generation(object, generation + 1);
        }
    }

    fn prepare_subresource(
        &self,
        _: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        let managed = object.at("metadata").get("managedFields").cloned();
        let status = object.get("status").cloned();
        *object = old.clone();
        match status {
            Some(status) => set(object, "status", status),
            None => {
                remove(object, "status");
            }
        }
        match (managed, object.get_mut("metadata")) {
            (Some(managed), Some(metadata)) => set(metadata, "managedFields", managed),
            (None, Some(metadata)) => {
                remove(metadata, "managedFields");
            }
            _ => {}
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        subdomain_name(name, prefix)
    }

    /// `ValidateTypeMeta`
    fn validate_type(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let mut same = |key: &str, wanted: &str| {
            if object.text(key) != wanted {
                let text = format!("must be {wanted}");
                errors.invalid(&Path::new(key), object.text(key), text);
            }
        };
        same("kind", &self.kind.kind);
        same("apiVersion", &self.kind.api_version());
        errors.0
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        self.check_scale(&mut errors, object, true);
        self.check_values(&mut errors, object, None, Part::Whole);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        self.check_scale(&mut errors, object, true);
        self.check_values(&mut errors, object, Some(old), Part::Whole);
        errors.0
    }

    fn validate_subresource(
        &self,
        _: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        self.check_scale(&mut errors, object, false);
        self.check_values(&mut errors, object, Some(old), Part::Status);
        errors.0
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let known = old.map(|old| old.at("metadata").texts("finalizers"));
        let known = known.unwrap_or_default();
        let mut new = object.at("metadata").texts("finalizers");
        new.retain(|name| !known.contains(name));
        new.sort_unstable();
        new.dedup();
        let mut texts: Vec<String> = new
            .iter()
            .flat_map(|name| finalizer_warnings(name))
            .collect();
        if let Some(old) = old {
            let mut errors = Errors::default();
            texts.extend(self.check_values(&mut errors, object, Some(old), Part::Whole));
        }
        texts
    }

    fn subresource_warnings(
        &self,
        _: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<String> {
        let mut errors = Errors::default();
        self.check_values(&mut errors, object, Some(old), Part::Status)
    }

    fn deprecation(&self) -> Option<&str> {
        self.kind.custom()?.deprecation.as_deref()
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&str, String)> {
        let fields = self.kind.custom().map(|custom| custom.selectable());
        let fields = fields.unwrap_or_default().iter();
        fields
            .map(|field| {
                let found = field.path.find(object).unwrap_or_default();
                let first = found.first().filter(|value| !value.is_null());
                let value = first.map(|value| jsonpath::print(value));
                (field.name.as_str(), value.unwrap_or_default())
            })
            .collect()
    }

    fn is_selectable(&self, field: &str) -> bool {
        let fields = self.kind.custom().map(|custom| custom.selectable());
        fields
            .unwrap_or_default()
            .iter()
            .any(|known| known.name == field)
    }
}

impl CustomObjects {
    /// What `subresources.scale` points to are numbers.
    fn check_scale(&self, errors: &mut Errors, object: &Value, whole: bool) {
        let Some(scale) = self.scale() else { return };
        if whole {
            check_replicas(errors, scale.spec, object);
        }
        check_replicas(errors, scale.status, object);
        if let Err(text) = ScalePaths::text(scale.selector, object)
            && !scale.selector.is_empty()
        {
            errors.invalid(&Path::new(scale.selector), "", text);
        }
    }
}

fn forbidden(resource: Resource, name: &str, text: &str) -> ApiError {
    let message = format!("{resource} {} is forbidden: {text}", model::go_quote(name));
    ApiError {
        code: 403,
        reason: "Forbidden",
        message,
        ..ApiError::not_found(resource, name)
    }
}

fn check_replicas(errors: &mut Errors, path: &str, object: &Value) {
    let (number, text) = match ScalePaths::number(path, object) {
        Err(text) => (0, text),
        Ok(number) => match number.unwrap_or(0) {
            number if number < 0 => (number, "should be a non-negative integer".to_owned()),
            number if number > i64::from(i32::MAX) => (
                number,
                format!("should be less than or equal to {}", i32::MAX),
            ),
            _ => return,
        },
    };
    errors.invalid(&Path::new(path), number, text);
}

fn set_generation(object: &mut Value, generation: i64) {
    if let Some(metadata) = object.get_mut("metadata") {
        set(metadata, "generation", generation);
    }
}

/// `validateKubeFinalizerName`, which only warns here.
fn finalizer_warnings(name: &str) -> Vec<String> {
    let field = "metadata.finalizers";
    let quoted = model::go_quote(name);
    let mut texts: Vec<String> = qualified_name(name)
        .into_iter()
        .map(|reason| format!("{field}: {quoted}: {reason}"))
        .collect();
    if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
        let path = if name.contains('.') {
            " including a path (/)"
        } else {
            ""
        };
        texts.push(format!("{field}: {quoted}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"));
    }
    texts
}
