//! What may stand in a definition (`ValidateCustomResourceDefinition` and its update).

use super::conversion::{self, Strictness};
use super::internal::{Spec, Version};
use super::{approval, go_form, names, schemas, versions};
use crate::field::names::dns1123_subdomain;
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::Read;
use model::{FieldError, FieldErrorKind};
use serde_json::Value;

/// A new definition.
pub(super) fn create(definition: &Value) -> Vec<FieldError> {
    let strict = Strictness {
        known_review: true,
        bundle: false,
    };
    whole(definition, None, strict)
}

/// A changed definition.
pub(super) fn update(definition: &Value, old: &Value) -> Vec<FieldError> {
    let established = is_established(old);
    let mut errors = Errors(whole(
        definition,
        Some(old),
        conversion::strictness(old, established),
    ));
    let path = Path::new("spec");
    let (new, was) = (definition.at("spec"), old.at("spec"));
    let mut keep = |path: Path, new: &Value, was: &Value| {
        if new != was {
            errors.invalid(&path, new.clone(), IMMUTABLE);
        }
    };
    let (new_names, old_names) = (new.at("names"), was.at("names"));
    if established {
        keep(path.child("scope"), new.at("scope"), was.at("scope"));
        let path = path.child("names").child("kind");
        keep(path, new_names.at("kind"), old_names.at("kind"));
    }
    keep(path.child("group"), new.at("group"), was.at("group"));
    let path = path.child("names").child("plural");
    keep(path, new_names.at("plural"), old_names.at("plural"));
    errors.0
}

/// A change of the status.
pub(super) fn status(definition: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    check_status(&mut errors, definition);
    errors.0
}

/// Whether the condition `Established` is true.
pub(super) fn is_established(definition: &Value) -> bool {
    let conditions = definition.at("status").items("conditions");
    conditions
        .iter()
        .any(|one| one.text("type") == "Established" && one.text("status") == "True")
}

fn whole(definition: &Value, old: Option<&Value>, strict: Strictness) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = Spec::new(definition.at("spec"));
    check_spec(&mut errors, &spec, old.map(|old| old.at("spec")), strict);
    check_status(&mut errors, definition);
    check_stored_versions(&mut errors, definition, &spec);
    approval::check(&mut errors, definition, old);
    check_preserve(&mut errors, spec.raw, old);
    errors.0
}

fn check_status(errors: &mut Errors, definition: &Value) {
    let path = Path::new("status").child("acceptedNames");
    names::check(errors, &path, definition.at("status").at("acceptedNames"));
}

fn check_spec(errors: &mut Errors, spec: &Spec<'_>, old: Option<&Value>, strict: Strictness) {
    let (raw, path) = (spec.raw, Path::new("spec"));
    check_group(errors, &path.child("group"), raw.text("group"));
    let scopes = ["Cluster", "Namespaced"];
    errors.one_of(&path.child("scope"), raw.text("scope"), &scopes);
    check_schemas_there(errors, &path, spec, old);
    for (index, version) in spec.versions.iter().enumerate() {
        let path = path.child("versions").index(index);
        check_version(errors, &path, version, old);
    }
    check_version_list(errors, &path.child("versions"), spec);
    let names_path = path.child("names");
    names::check_required(errors, &names_path, raw.at("names"));
    names::check(errors, &names_path, raw.at("names"));
    schemas::check(errors, spec, old);
    check_common(errors, &path, spec, old);
    let conversion_path = path.child("conversion");
    if raw.has("conversion") {
        conversion::check(errors, &conversion_path, raw.at("conversion"), strict);
    }
    let strategy = raw.at("conversion").text("strategy");
    if !matches!(strategy, "" | "None") && raw.flag("preserveUnknownFields") == Some(true) {
        let text = "must be None if spec.preserveUnknownFields is true";
        errors.invalid(&conversion_path.child("strategy"), strategy, text);
    }
}

fn check_group(errors: &mut Errors, path: &Path, group: &str) {
    let reasons = dns1123_subdomain(group);
    if group.is_empty() {
        errors.required(path, "");
    } else if !reasons.is_empty() {
        errors.invalid(path, group, reasons.join(","));
    } else if !group.contains('.') {
        errors.invalid(path, group, "should be a domain with at least one dot");
    }
}

fn has_schema(validation: Option<&Value>) -> bool {
    validation.is_some_and(|validation| validation.has("openAPIV3Schema"))
}

/// Every version has a schema, unless a stored one had none; served ones need one then.
fn check_schemas_there(errors: &mut Errors, path: &Path, spec: &Spec<'_>, old: Option<&Value>) {
    if has_schema(spec.validation) {
        return;
    }
    let complete = old.is_none_or(|old| {
        let old = Spec::new(old);
        has_schema(old.validation)
            || old
                .versions
                .iter()
                .all(|version| has_schema(version.schema))
    });
    if !complete && spec.raw.flag("preserveUnknownFields") == Some(true) {
        return;
    }
    for (index, version) in spec.versions.iter().enumerate() {
        let path = path.child("versions").index(index).child("schema");
        let path = path.child("openAPIV3Schema");
        if has_schema(version.schema) {
            continue;
        }
        if complete {
            errors.required(&path, "");
        } else if version.raw.flag("served") == Some(true) {
            errors.required(&path, "because otherwise all fields are pruned");
        }
    }
}

fn old_version<'a>(old: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    let mut versions = old?.items("versions").iter();
    versions.find(|version| version.text("name") == name)
}

fn check_version(errors: &mut Errors, path: &Path, version: &Version<'_>, old: Option<&Value>) {
    versions::check_name(errors, path, version.name);
    versions::check_deprecation(errors, path, version.raw);
    if let Some(subresources) = version.subresources {
        versions::check_subresources(errors, &path.child("subresources"), subresources);
    }
    versions::check_columns(errors, path, version.columns);
    if version.selectable.is_empty() {
        return;
    }
    let schema = version
        .schema
        .filter(|schema| schema.has("openAPIV3Schema"));
    let Some(schema) = schema else {
        // The text of the original is as wrong as its check, which sees only schemas of one version.
        let text = "may only be set when `version.schema.openAPIV3Schema` is not included";
        errors.invalid(&path.child("selectableFields"), "", text);
        return;
    };
    let was = old_version(old, version.name).map(|old| old.items("selectableFields"));
    let kept = was.is_some_and(|was| versions::keeps_too_many(version.selectable, was));
    let schema = schema.at("openAPIV3Schema");
    versions::check_selectable(errors, path, version.selectable, schema, kept);
}

/// What all versions share.
fn check_common(errors: &mut Errors, path: &Path, spec: &Spec<'_>, old: Option<&Value>) {
    if let Some(subresources) = spec.subresources {
        versions::check_subresources(errors, &path.child("subresources"), subresources);
    }
    versions::check_columns(errors, path, spec.columns);
    if spec.selectable.is_empty() {
        return;
    }
    let Some(validation) = spec.validation else {
        let text = "may only be set when validations.schema is included";
        errors.invalid(&path.child("selectableFields"), "", text);
        return;
    };
    let kept =
        old.is_some_and(|old| versions::keeps_too_many(spec.selectable, Spec::new(old).selectable));
    let schema = validation.at("openAPIV3Schema");
    versions::check_selectable(errors, path, spec.selectable, schema, kept);
}

fn check_version_list(errors: &mut Errors, path: &Path, spec: &Spec<'_>) {
    let mut names: Vec<&str> = spec.versions.iter().map(|version| version.name).collect();
    names.sort_unstable();
    let stored = spec.versions.iter();
    let stored = stored.filter(|version| version.raw.flag("storage") == Some(true));
    if names.windows(2).any(|two| two[0] == two[1]) {
        let text = "must contain unique version names";
        errors.invalid_shown(path, go_form::versions(spec), text);
    }
    if stored.count() != 1 {
        let text = "must have exactly one version marked as storage version";
        errors.invalid_shown(path, go_form::versions(spec), text);
    }
    if let Some(first) = spec.versions.first() {
        // The internal form repeats the first version's name.
        let path = Path::new("spec").child("version");
        names::label(errors, &path, first.name);
        errors
            .0
            .retain(|error| !(error.field == "spec.version" && first.name.is_empty()));
    }
}

fn check_stored_versions(errors: &mut Errors, definition: &Value, spec: &Spec<'_>) {
    let path = Path::new("status").child("storedVersions");
    let stored = definition.at("status").texts("storedVersions");
    if stored.is_empty() {
        let text = "must have at least one stored version";
        errors.invalid(&path, Value::Null, text);
        return;
    }
    for version in &spec.versions {
        if version.raw.flag("storage") == Some(true) && !stored.contains(&version.name) {
            let text = format!("must have the storage version {}", version.name);
            errors.invalid(&path, stored.clone(), text);
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !spec.versions.iter().any(|version| version.name == *name) {
            let text = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.invalid(&path.index(index), *name, text);
        }
    }
}

fn check_preserve(errors: &mut Errors, spec: &Value, old: Option<&Value>) {
    let on = |spec: &Value| spec.flag("preserveUnknownFields") == Some(true);
    if !on(spec) || old.is_some_and(|old| on(old.at("spec"))) {
        return;
    }
    errors.0.push(FieldError::new(
        FieldErrorKind::Invalid,
        "spec.preserveUnknownFields",
        Some(&true.into()),
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    ));
}
