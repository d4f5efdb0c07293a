//! What is wrong with a review of access (`authorization.k8s.io/v1`).
//!
//! Source: `pkg/apis/authorization/validation`.

use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::selector;
use model::FieldError;
use serde_json::{Map, Value, json};

/// Fields of `metadata` in the order in which Go prints them.
const META: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];
const OWNER: [&str; 6] = [
    "apiVersion",
    "kind",
    "name",
    "uid",
    "controller",
    "blockOwnerDeletion",
];
const MANAGED: [&str; 7] = [
    "manager",
    "operation",
    "apiVersion",
    "time",
    "fieldsType",
    "fieldsV1",
    "subresource",
];

/// Field errors of a decoded SubjectAccessReview, SelfSubjectAccessReview or
/// LocalSubjectAccessReview.
pub fn review_errors(review: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let (kind, spec) = (review.text("kind"), review.at("spec"));
    targets(&mut errors, spec);
    if kind != "SelfSubjectAccessReview"
        && spec.text("user").is_empty()
        && spec.items("groups").is_empty()
    {
        let text = "at least one of user or group must be specified";
        errors.invalid(&Path::new("spec.user"), spec.text("user"), text);
    }
    let resource = spec.at("resourceAttributes");
    selectors(&mut errors, resource);
    let metadata = review.at("metadata");
    let is_local = kind == "LocalSubjectAccessReview";
    let ignored = |key: &str| key == "managedFields" || is_local && key == "namespace";
    if metadata
        .as_object()
        .is_some_and(|map| map.keys().any(|key| !ignored(key)))
    {
        let text = match is_local {
            true => "must be empty except for namespace",
            false => "must be empty",
        };
        errors.invalid_shown(&Path::new("metadata"), go_metadata(metadata), text);
    }
    if is_local {
        local(&mut errors, spec, metadata.text("namespace"));
    }
    errors.0
}

fn targets(errors: &mut Errors, spec: &Value) {
    let resource = spec.has("resourceAttributes");
    match (resource, spec.has("nonResourceAttributes")) {
        (true, true) => errors.invalid(
            &Path::new("spec.nonResourceAttributes"),
            go_path(spec),
            "cannot be specified in combination with resourceAttributes",
        ),
        (false, false) => errors.invalid(
            &Path::new("spec.resourceAttributes"),
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
}

/// `nonResourceAttributes` as the internal type is printed.
fn go_path(spec: &Value) -> Value {
    let path = spec.at("nonResourceAttributes");
    json!({"Path": path.text("path"), "Verb": path.text("verb")})
}

fn local(errors: &mut Errors, spec: &Value, namespace: &str) {
    let found = spec.at("resourceAttributes").text("namespace");
    if spec.has("resourceAttributes") && found != namespace {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.invalid(&path, found, "must match metadata.namespace");
    }
    if spec.has("nonResourceAttributes") {
        let path = Path::new("spec.nonResourceAttributes");
        errors.invalid(&path, go_path(spec), "disallowed on this kind of request");
    }
}

fn selectors(errors: &mut Errors, resource: &Value) {
    for key in ["fieldSelector", "labelSelector"] {
        if !resource.has(key) {
            continue;
        }
        let (path, given) = (
            Path::new("spec.resourceAttributes").child(key),
            resource.at(key),
        );
        let (raw, requirements) = (given.text("rawSelector"), given.items("requirements"));
        match (raw.is_empty(), requirements.is_empty()) {
            (false, false) => errors.invalid(
                &path.child("rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            ),
            (true, true) => {
                let text =
                    format!("when {path} is specified, requirements or rawSelector is required");
                errors.required(&path.child("requirements"), &text);
            }
            _ => {}
        }
        for (i, each) in requirements.iter().enumerate() {
            let path = path.child("requirements").index(i);
            if key == "labelSelector" {
                selector::label_requirement(errors, &path, each, false);
                continue;
            }
            if each.text("key").is_empty() {
                errors.required(&path.child("key"), "must be specified");
            }
            selector::operator_values(errors, &path, each);
        }
    }
}

/// `metadata` as Go prints it.
fn go_metadata(metadata: &Value) -> String {
    ordered(metadata, &META)
}

fn ordered(value: &Value, keys: &[&str]) -> String {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let entries = keys.iter().filter_map(|key| {
        let value = map.get(*key)?;
        let inner: Option<&[&str]> = match *key {
            "ownerReferences" => Some(&OWNER),
            "managedFields" => Some(&MANAGED),
            _ => None,
        };
        let text = match (inner, value.as_array()) {
            (Some(keys), Some(list)) => {
                let items: Vec<String> = list.iter().map(|item| ordered(item, keys)).collect();
                format!("[{}]", items.join(","))
            }
            _ => value.to_string(),
        };
        Some(format!("\"{key}\":{text}"))
    });
    let entries: Vec<String> = entries.collect();
    format!("{{{}}}", entries.join(","))
}
