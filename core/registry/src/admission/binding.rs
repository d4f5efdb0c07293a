//! The rules of ValidatingAdmissionPolicyBindings.

use super::constraints;
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, same, set};
use crate::field::selector::label_selector;
use crate::{Context, Strategy};
use model::FieldError;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The rules of ValidatingAdmissionPolicyBindings.
pub(crate) struct ValidatingBindings;

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const NOT_FOUND_ACTIONS: [&str; 2] = ["Deny", "Allow"];
const STATIC_SUFFIX: &str = ".static.k8s.io";

impl Strategy for ValidatingBindings {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object.get_mut("spec") {
            constraints::default(spec, "matchResources");
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        if let Some(meta) = object.get_mut("metadata") {
            set(meta, "generation", 1);
        }
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        count_up(object, old);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        binding(object.at("spec"))
    }

    fn validate_update(&self, object: &Value, _: &Value, _: &Context<'_>) -> Vec<FieldError> {
        binding(object.at("spec"))
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        static_suffix(object)
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// Counts `generation` up when the spec changed.
pub(super) fn count_up(object: &mut Value, old: &Value) {
    if same(object.at("spec"), old.at("spec")) {
        return;
    }
    let next = old.at("metadata").number("generation").unwrap_or(0) + 1;
    if let Some(meta) = object.get_mut("metadata") {
        set(meta, "generation", next);
    }
}

/// A status write changes no metadata but the version and managed fields (`ResetObjectMetaForStatus`).
pub(super) fn keep_metadata(object: &mut Value, old: &Value) {
    let old = old.at("metadata");
    if let Some(meta) = object.get_mut("metadata") {
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            copy_field(meta, old, field);
        }
    }
}

/// Names that are kept for policies from files.
pub(super) fn static_suffix(object: &Value) -> Vec<String> {
    let name = object.at("metadata").text("name");
    if !name.ends_with(STATIC_SUFFIX) {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: names ending with {STATIC_SUFFIX:?} are reserved for static \
         manifest-based configurations and cannot be managed via the API"
    )]
}

fn binding(spec: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let path = Path::new("spec");
    let name = spec.text("policyName");
    if name.is_empty() {
        errors.required(&path.child("policyName"), "");
    } else {
        let texts = names::subdomain_name(name, false);
        errors.invalid_each(&path.child("policyName"), name, texts);
    }
    param_ref(&mut errors, &path.child("paramRef"), spec.at("paramRef"));
    let constraints_path = path.child("matchResources");
    constraints::check(&mut errors, &constraints_path, spec.at("matchResources"));
    let actions = spec.texts("validationActions");
    check_actions(&mut errors, &path.child("validationActions"), &actions);
    errors.0
}

fn check_actions(errors: &mut Errors, path: &Path, actions: &[&str]) {
    let mut seen = BTreeSet::new();
    for (i, action) in actions.iter().enumerate() {
        if !ACTIONS.contains(action) {
            errors.not_supported(&path.index(i), *action, &ACTIONS);
        }
        if !seen.insert(*action) {
            errors.duplicate(&path.index(i), *action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure \
                      information in the API response and headers serves no purpose)";
        errors.invalid(path, json!(actions), detail);
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}

fn param_ref(errors: &mut Errors, path: &Path, reference: &Value) {
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    if reference.is_null() {
        return;
    }
    let (name, selector) = (reference.text("name"), reference.at("selector"));
    if !name.is_empty() {
        let texts = names::path_segment_name(name, false);
        errors.invalid_each(&path.child("name"), name, texts);
        if !selector.is_null() {
            errors.forbidden(&path.child("name"), EXCLUSIVE);
        }
    }
    if !selector.is_null() {
        label_selector(errors, &path.child("selector"), selector, false);
        if !name.is_empty() {
            errors.forbidden(&path.child("selector"), EXCLUSIVE);
        }
    }
    if name.is_empty() && selector.is_null() {
        errors.required(path, "one of name or selector must be specified");
    }
    let action = reference.text("parameterNotFoundAction");
    let path = path.child("parameterNotFoundAction");
    if action.is_empty() {
        errors.required(&path, "");
    } else if !NOT_FOUND_ACTIONS.contains(&action) {
        errors.not_supported(&path, action, &NOT_FOUND_ACTIONS);
    }
}
