//! Resource claims of a Pod, and specs of PersistentVolumeClaims in templates.

use super::Scope;
use super::resources;
use crate::field::names;
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use crate::field::selector;
use serde_json::Value;
use std::collections::BTreeSet;

/// Names in `spec.resourceClaims`.
pub(crate) fn names(spec: &Value) -> BTreeSet<String> {
    let claims = spec.items("resourceClaims").iter();
    claims
        .map(|claim| claim.text("name").to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// `spec.resourceClaims`
pub(crate) fn validate(errors: &mut Errors, scope: &Scope<'_>) {
    let list = scope.path.child("resourceClaims");
    let mut seen = BTreeSet::new();
    for (i, claim) in scope.spec.items("resourceClaims").iter().enumerate() {
        let mirror = scope
            .metadata
            .is_some_and(|meta| meta.at("annotations").has("kubernetes.io/config.mirror"));
        if mirror {
            let text = "static pods do not support resource claims";
            errors.forbidden(&Path::nameless(), text);
            continue;
        }
        let (path, name) = (list.index(i), claim.text("name"));
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        } else {
            errors.invalid_each(&path.child("name"), name, names::dns1123_label(name));
        }
        references(errors, claim, &path);
    }
}

fn references(errors: &mut Errors, claim: &Value, path: &Path) {
    let keys = ["resourceClaimName", "resourceClaimTemplateName"];
    let detail = match keys.map(|key| claim.has(key)) {
        [true, true] => Some(
            "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        ),
        [false, false] => {
            Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        }
        _ => None,
    };
    if let Some(detail) = detail {
        let shown = go_struct(&[
            ("Name", model::go_quote(claim.text("name"))),
            ("ResourceClaimName", claim.at(keys[0]).to_string()),
            ("ResourceClaimTemplateName", claim.at(keys[1]).to_string()),
        ]);
        errors.invalid_shown(path, shown, detail);
    }
    for key in keys {
        if let Some(name) = claim.optional_text(key) {
            errors.invalid_each(&path.child(key), name, names::dns1123_subdomain(name));
        }
    }
}

/// The template of an ephemeral volume's claim.
pub(crate) fn claim_template(errors: &mut Errors, template: &Value, path: &Path) {
    let (metadata, meta_path) = (template.at("metadata"), path.child("metadata"));
    selector::annotations(
        errors,
        &meta_path.child("annotations"),
        metadata.at("annotations"),
    );
    selector::labels(errors, &meta_path.child("labels"), metadata.at("labels"));
    for (key, value) in metadata.as_object().into_iter().flatten() {
        let allowed = matches!(key.as_str(), "annotations" | "labels");
        let empty = value.is_null() || value.as_str() == Some("");
        if !allowed && !empty {
            errors.forbidden(&meta_path.child(key), "cannot be set");
        }
    }
    claim_spec(errors, template.at("spec"), &path.child("spec"));
}

/// `spec` of a PersistentVolumeClaim.
pub(crate) fn claim_spec(errors: &mut Errors, spec: &Value, path: &Path) {
    access_modes(errors, spec, &path.child("accessModes"));
    selector::label_selector(errors, &path.child("selector"), spec.at("selector"), false);
    let (requests, key) = (
        spec.at("resources").at("requests"),
        path.child("resources").key("storage"),
    );
    if requests.has("storage") {
        let value = resources::quantity(requests.at("storage"));
        if value.signum() <= 0 {
            errors.invalid(&key, value.to_string(), "must be greater than zero");
        } else {
            resources::amount(errors, &key, "storage", value);
        }
    } else {
        errors.required(&key, "");
    }
    for key in ["storageClassName", "volumeAttributesClassName"] {
        let name = spec.text(key);
        if !name.is_empty() {
            errors.invalid_each(&path.child(key), name, names::dns1123_subdomain(name));
        }
    }
    if let Some(mode) = spec.optional_text("volumeMode")
        && !["Block", "Filesystem"].contains(&mode)
    {
        errors.not_supported(&path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    data_sources(errors, spec, path);
}

fn access_modes(errors: &mut Errors, spec: &Value, path: &Path) {
    const MODES: [&str; 4] = [
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ];
    let modes = spec.texts("accessModes");
    if modes.is_empty() {
        errors.required(path, "at least 1 access mode is required");
    }
    for mode in &modes {
        if !MODES.contains(mode) {
            errors.not_supported(path, *mode, &MODES);
        }
    }
    let single = modes.contains(&"ReadWriteOncePod");
    if single && modes.iter().any(|mode| MODES[..3].contains(mode)) {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn data_sources(errors: &mut Errors, spec: &Value, path: &Path) {
    for key in ["dataSource", "dataSourceRef"] {
        let source = spec.at(key);
        if source.is_null() {
            continue;
        }
        let path = path.child(key);
        for key in ["name", "kind"] {
            if source.text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
        let (group, kind) = (source.text("apiGroup"), source.text("kind"));
        if group.is_empty() && kind != "PersistentVolumeClaim" {
            let text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.invalid(&path, kind, text);
        }
        if !group.is_empty() {
            let texts = names::dns1123_subdomain(group);
            errors.invalid_each(&path.child("apiGroup"), group, texts);
        }
        let namespace = source.text("namespace");
        if !namespace.is_empty() {
            let texts = names::dns1123_label(namespace);
            errors.invalid_each(&path.child("namespace"), namespace, texts);
        }
    }
}
