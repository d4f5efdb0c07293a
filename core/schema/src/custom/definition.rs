//! From a CustomResourceDefinition to its kinds, one for each served version.

use super::Custom;
use crate::kind::Body;
use crate::{GroupVersionKind, Kind, Subresource};
use model::Resource;
use serde_json::Value;
use std::sync::Arc;

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The served kinds of a CustomResourceDefinition; none before it is Established.
pub(crate) fn kinds_of(definition: &Value) -> Vec<Arc<Kind>> {
    if !is_established(definition) {
        return Vec::new();
    }
    let versions = definition["spec"]["versions"].as_array();
    let versions = versions.into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true);
    served
        .map(|version| Arc::new(kind_of(definition, version)))
        .collect()
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == "Established" && c["status"] == "True")
}

fn kind_of(definition: &Value, version: &Value) -> Kind {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let group = text(&spec["group"]);
    let name = text(&version["name"]);
    let plural = text(&names["plural"]);
    let kind = text(&names["kind"]);
    Kind {
        resource: Resource::new(&group, &plural),
        list_kind: text(&names["listKind"]),
        singular: text(&names["singular"]),
        namespaced: spec["scope"] == "Namespaced",
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        verbs: VERBS.map(str::to_owned).to_vec(),
        subresources: subresources(version, (&group, &name, &kind)),
        internal_package: String::new(),
        body: Body::Custom(Arc::new(Custom {
            definition: text(&definition["metadata"]["name"]),
            version: version.clone(),
            storage_version: storage_version(spec),
            preserve_unknown_fields: spec["preserveUnknownFields"] == true,
        })),
        group,
        version: name,
        kind,
        plural,
    }
}

fn storage_version(spec: &Value) -> String {
    let versions = spec["versions"].as_array();
    let mut versions = versions.into_iter().flatten();
    let stored = versions.find(|version| version["storage"] == true);
    stored.map_or_else(String::new, |version| text(&version["name"]))
}

fn subresources(version: &Value, (group, name, kind): (&str, &str, &str)) -> Vec<Subresource> {
    let asked = &version["subresources"];
    let verbs = || ["get", "patch", "update"].map(str::to_owned).to_vec();
    let below = |sub: &str, group: &str, version: &str, kind: &str| Subresource {
        name: sub.to_owned(),
        kind: GroupVersionKind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        },
        verbs: verbs(),
    };
    let mut found = Vec::new();
    if asked["scale"].is_object() {
        found.push(below("scale", "autoscaling", "v1", "Scale"));
    }
    if asked["status"].is_object() {
        found.push(below("status", group, name, kind));
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(text).collect()
}
