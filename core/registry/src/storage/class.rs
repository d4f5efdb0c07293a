//! StorageClasses and VolumeAttributesClasses.

use super::protect;
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, same, set_default};
use crate::field::selector;
use model::ApiError;
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of StorageClasses.
pub(crate) struct StorageClasses;

/// The rules of VolumeAttributesClasses.
pub(crate) struct VolumeAttributesClasses;

const MOST_PARAMETERS: usize = 512;
const PARAMETERS_SIZE: usize = 256 * 1024;
const POLICIES: [&str; 2] = ["Delete", "Retain"];
const MODES: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];

impl Declared for StorageClasses {
    fn defaults(&self, object: &mut Value) {
        set_default(object, "reclaimPolicy", "Delete");
        set_default(object, "volumeBindingMode", "Immediate");
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        if let Some(old) = check.old {
            for key in [
                "parameters",
                "provisioner",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                errors.immutable(&Path::new(key), object.at(key), old.at(key));
            }
            return;
        }
        provisioner(
            errors,
            object.text("provisioner"),
            &Path::new("provisioner"),
        );
        parameters(errors, object.at("parameters"), &Path::new("parameters"));
        let policy = object.text("reclaimPolicy");
        if !policy.is_empty() && !POLICIES.contains(&policy) {
            errors.not_supported(&Path::new("reclaimPolicy"), policy, &POLICIES);
        }
        let mode = object.text("volumeBindingMode");
        if !MODES.contains(&mode) {
            errors.not_supported(&Path::new("volumeBindingMode"), mode, &MODES);
        }
        topologies(errors, object.items("allowedTopologies"));
    }
}

impl Declared for VolumeAttributesClasses {
    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn admission(&self, object: &mut Value, check: &Check<'_>) -> Result<(), ApiError> {
        if check.old.is_none() {
            protect(object, "kubernetes.io/vac-protection");
        }
        Ok(())
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        for key in ["driverName", "parameters"] {
            if check
                .old
                .is_some_and(|old| !same(old.at(key), object.at(key)))
            {
                let text = format!("updates to {key} are forbidden.");
                errors.forbidden(&Path::new(key), text);
            }
        }
        provisioner(errors, object.text("driverName"), &Path::new("driverName"));
        let path = Path::new("parameters");
        parameters(errors, object.at("parameters"), &path);
        if object.entries("parameters").next().is_none() {
            errors.required(&path, "must contain at least one key/value pair");
        }
    }
}

fn provisioner(errors: &mut Errors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let lower = name.to_lowercase();
    errors.invalid_each(path, &lower, names::qualified_name(&lower));
}

fn parameters(errors: &mut Errors, parameters: &Value, path: &Path) {
    let Some(map) = parameters.as_object() else {
        return;
    };
    if map.len() > MOST_PARAMETERS {
        return errors.too_long(path, MOST_PARAMETERS);
    }
    if map.contains_key("") {
        errors.invalid(path, "", "field can not be empty.");
    }
    let sizes = map
        .iter()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
    if sizes.sum::<usize>() > PARAMETERS_SIZE {
        errors.too_long(path, PARAMETERS_SIZE);
    }
}

fn topologies(errors: &mut Errors, terms: &[Value]) {
    let list = Path::new("allowedTopologies");
    let mut seen: Vec<&Value> = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let path = list.index(i).child("matchLabelExpressions");
        let mut keys = BTreeSet::new();
        for (i, requirement) in term.items("matchLabelExpressions").iter().enumerate() {
            let path = path.index(i);
            let (key, values) = (requirement.text("key"), requirement.texts("values"));
            if values.is_empty() {
                errors.required(&path.child("values"), "");
            }
            let mut distinct = BTreeSet::new();
            for (i, value) in values.into_iter().enumerate() {
                if !distinct.insert(value) {
                    errors.duplicate(&path.child("values").index(i), value);
                }
            }
            selector::label_key(errors, &path.child("key"), key);
            if !keys.insert(key) {
                errors.duplicate(&path.child("key"), key);
            }
        }
        if seen.iter().any(|one| same(one, term)) {
            errors.duplicate(&path, "");
        }
        seen.push(term);
    }
}
