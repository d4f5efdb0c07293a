//! Paths with their verbs and parameters. kubectl reads here which parameters PATCH takes.

use super::kind_extension;
use super::schemas::{custom_name, openapi_name};
use crate::{Kind, Registry};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const MEDIA: [&str; 4] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
];

const PATCHES: [&str; 5] = [
    "application/apply-patch+cbor",
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

const CUSTOM_MEDIA: [&str; 2] = ["application/json", "application/yaml"];

const CUSTOM_PATCHES: [&str; 3] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
];

const WRITE: [(&str, &str); 3] = [
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
];

const LIST: [(&str, &str); 11] = [
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("pretty", "string"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];

const DELETE: [(&str, &str); 5] = [
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
    ),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];

/// Adds the paths of a kind.
pub(super) fn add(paths: &mut Map<String, Value>, registry: &Registry, kind: &Arc<Kind>) {
    let root = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    let scope = if kind.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}{scope}/{}", kind.plural);
    let item = format!("{collection}/{{name}}");
    if kind.namespaced && kind.has_verb("list") {
        let mut everywhere = path_item(kind, false, false);
        everywhere["get"] = operation(registry, kind, "list");
        paths.insert(format!("{root}/{}", kind.plural), everywhere);
    }
    let mut path = path_item(kind, kind.namespaced, false);
    for (method, verb) in [
        ("get", "list"),
        ("post", "create"),
        ("delete", "deletecollection"),
    ] {
        if kind.has_verb(verb) {
            path[method] = operation(registry, kind, verb);
        }
    }
    paths.insert(collection, path);
    let mut path = path_item(kind, kind.namespaced, true);
    for (method, verb) in [
        ("get", "get"),
        ("put", "update"),
        ("patch", "patch"),
        ("delete", "delete"),
    ] {
        if kind.has_verb(verb) {
            path[method] = operation(registry, kind, verb);
        }
    }
    paths.insert(item.clone(), path);
    for sub in &kind.subresources {
        let body = registry.by_kind(&sub.kind.api_version(), &sub.kind.kind);
        let Some(body) = body else { continue };
        let mut path = path_item(kind, kind.namespaced, true);
        for (method, verb) in [
            ("get", "get"),
            ("put", "update"),
            ("patch", "patch"),
            ("post", "create"),
        ] {
            if sub.verbs.iter().any(|known| known == verb) {
                path[method] = operation(registry, body, verb);
            }
        }
        paths.insert(format!("{item}/{}", sub.name), path);
    }
}

/// A path with the parameters that are part of it.
fn path_item(kind: &Kind, namespace: bool, name: bool) -> Value {
    let part = |name: &str| {
        json!({
            "name": name, "in": "path", "required": true,
            "schema": {"type": "string", "uniqueItems": true},
        })
    };
    let mut parameters = Vec::new();
    if name {
        parameters.push(part("name"));
    }
    if namespace && kind.namespaced {
        parameters.push(part("namespace"));
    }
    parameters.extend(query(&[("pretty", "string")]));
    json!({"parameters": parameters})
}

fn query(parameters: &[(&str, &str)]) -> Vec<Value> {
    let parameter = |(name, kind): &(&str, &str)| {
        json!({
            "name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true},
        })
    };
    parameters.iter().map(parameter).collect()
}

fn operation(registry: &Registry, kind: &Arc<Kind>, verb: &str) -> Value {
    let custom = kind.custom().is_some();
    let (own, list) = match kind.structure() {
        Some(id) => {
            let name = registry.types.structure(id).name.as_str();
            (openapi_name(name), openapi_name(&format!("{name}List")))
        }
        None => (
            custom_name(kind, &kind.kind),
            custom_name(kind, &kind.list_kind),
        ),
    };
    let (media, patches) = if custom {
        (CUSTOM_MEDIA.as_slice(), CUSTOM_PATCHES.as_slice())
    } else {
        (MEDIA.as_slice(), PATCHES.as_slice())
    };
    let meta = |name: &str| format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}");
    let (action, answer, body, parameters) = match verb {
        "list" => ("list", list, None, LIST.to_vec()),
        "create" => ("post", own.clone(), Some((media, own)), WRITE.to_vec()),
        "update" => ("put", own.clone(), Some((media, own)), WRITE.to_vec()),
        "patch" => {
            let mut parameters = WRITE.to_vec();
            parameters.push(("force", "boolean"));
            ("patch", own, Some((patches, meta("Patch"))), parameters)
        }
        "delete" => {
            let options = Some((media, meta("DeleteOptions")));
            ("delete", meta("Status"), options, DELETE.to_vec())
        }
        "deletecollection" => {
            let options = Some((media, meta("DeleteOptions")));
            let mut parameters = LIST.to_vec();
            parameters.retain(|(name, _)| *name != "watch" && *name != "allowWatchBookmarks");
            parameters.extend(DELETE);
            ("deletecollection", meta("Status"), options, parameters)
        }
        _ => ("get", own, None, Vec::new()),
    };
    let mut operation = json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_extension(kind, &kind.kind),
        "responses": {
            "200": {"description": "OK", "content": content(media, &answer)},
            "401": {"description": "Unauthorized"},
        },
    });
    if !parameters.is_empty() {
        operation["parameters"] = query(&parameters).into();
    }
    if let Some((media, body)) = body {
        operation["requestBody"] = json!({"content": content(media, &body)});
        if action != "delete" && action != "deletecollection" {
            operation["requestBody"]["required"] = true.into();
        }
    }
    operation
}

fn content(media: &[&str], schema: &str) -> Value {
    let reference = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
    media
        .iter()
        .map(|media| ((*media).to_owned(), reference.clone()))
        .collect()
}
