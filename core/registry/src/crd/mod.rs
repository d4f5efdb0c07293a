//! CustomResourceDefinitions (apiextensions.k8s.io/v1), and the objects of the kinds that they make.

mod approval;
mod conversion;
mod custom;
mod embedded;
mod go_form;
mod internal;
mod names;
mod schemas;
mod table;
mod validate;
mod versions;

pub use custom::CustomObjects;
pub(crate) use table::{columns, row};

use crate::field::names::subdomain_name;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set, set_default};
use crate::{Context, Strategy, Subresource};
use model::{FieldError, Timestamp};
use serde_json::{Value, json};

/// Holds a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The rules of CustomResourceDefinitions.
pub(crate) struct Definitions;

impl Strategy for Definitions {
    fn default(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        default_names(spec);
        if !spec.has("conversion") {
            set(spec, "conversion", json!({"strategy": "None"}));
        }
        if let Some(service) = spec.pointer_mut("/conversion/webhook/clientConfig/service")
            && service.is_object()
        {
            set_default(service, "port", 443);
        }
        if object.at("status").items("storedVersions").is_empty() {
            let stored: Vec<String> = storage_version(object).into_iter().collect();
            if let Some(status) = ensure(object, "status") {
                set(status, "storedVersions", stored);
            }
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        let stored: Vec<String> = storage_version(object).into_iter().collect();
        set(object, "status", json!({"storedVersions": stored}));
        set_generation(object, 1);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        set(object, "status", old.at("status").clone());
        if object.at("spec") != old.at("spec") {
            let generation = old.at("metadata").number("generation").unwrap_or(0);
            set_generation(object, generation + 1);
        }
        let Some(version) = storage_version(object) else {
            return;
        };
        let mut stored = object.at("status").items("storedVersions").to_vec();
        if !stored.iter().any(|one| *one == version) {
            stored.push(version.into());
            set(&mut object["status"], "storedVersions", stored);
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let names = object.at("spec").at("names");
        let required = format!(
            "{}.{}",
            names.text("plural"),
            object.at("spec").text("group")
        );
        for key in ["generateName", "name"] {
            let name = object.at("metadata").text(key);
            if !name.is_empty() && name != required {
                let text = r#"must be spec.names.plural+"."+spec.group"#;
                errors.invalid(&Path::new("metadata").child(key), name, text);
            }
        }
        errors.extend(validate::create(object));
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        validate::update(object, old)
    }

    fn validate_subresource(
        &self,
        _: Subresource,
        object: &Value,
        _: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        validate::status(object)
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let known = old.map(|old| schemas::unknown_formats(old.at("spec")));
        let known = known.unwrap_or_default();
        let all = schemas::unknown_formats(object.at("spec")).into_iter();
        all.filter(|format| !known.contains(format))
            .map(|format| format!("unrecognized format {}", model::go_quote(&format)))
            .collect()
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn begin_deletion(&self, object: &mut Value, now: Timestamp) -> bool {
        let Some(metadata) = ensure(object, "metadata") else {
            return false;
        };
        set(metadata, "deletionTimestamp", now.rfc3339());
        let mut finalizers = metadata.items("finalizers").to_vec();
        if !finalizers.iter().any(|one| one == FINALIZER) {
            finalizers.push(FINALIZER.into());
            set(metadata, "finalizers", finalizers);
        }
        let text =
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        terminate(object, text, now);
        true
    }
}

fn default_names(spec: &mut Value) {
    let Some(names) = ensure(spec, "names") else {
        return;
    };
    let kind = names.text("kind").to_owned();
    if names.text("singular").is_empty() {
        set(names, "singular", kind.to_lowercase());
    }
    if !kind.is_empty() {
        set_default(names, "listKind", format!("{kind}List"));
    }
}

/// Name of the first version that is marked as the stored one.
fn storage_version(definition: &Value) -> Option<String> {
    let mut versions = definition.at("spec").items("versions").iter();
    let version = versions.find(|version| version.flag("storage") == Some(true))?;
    Some(version.text("name").to_owned())
}

fn set_generation(object: &mut Value, generation: i64) {
    if let Some(metadata) = ensure(object, "metadata") {
        set(metadata, "generation", generation);
    }
}

/// Sets the condition `Terminating`.
fn terminate(definition: &mut Value, message: &str, now: Timestamp) {
    let mut condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": message, "lastTransitionTime": now.rfc3339(),
    });
    let Some(status) = ensure(definition, "status") else {
        return;
    };
    let mut known = items_mut(status, "conditions");
    if let Some(old) = known.find(|one| one.text("type") == "Terminating") {
        if old.text("status") == "True" {
            condition["lastTransitionTime"] = old.at("lastTransitionTime").clone();
        }
        *old = condition;
        return;
    }
    let mut all = status.items("conditions").to_vec();
    all.push(condition);
    set(status, "conditions", all);
}

#[cfg(test)]
mod tests;
