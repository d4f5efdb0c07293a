//! From a CustomResourceDefinition to its kinds, one for each served version and one for the version
//! that holds the objects.

use super::{Custom, Family, newest_first};
use crate::kind::Body;
use crate::{GroupVersionKind, Kind, Subresource};
use model::Resource;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

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

/// What makes or changes objects, which a definition that is going away does not allow.
const MAKING: [&str; 3] = ["create", "patch", "update"];

/// The kinds of a CustomResourceDefinition; none before it is Established. `old` are its kinds
/// before this change: what they compiled is kept where the spec is the same.
pub(crate) fn kinds_of(definition: &Value, old: &[Arc<Kind>]) -> Vec<Arc<Kind>> {
    if !has_condition(definition, "Established") {
        return Vec::new();
    }
    let spec = &definition["spec"];
    let known = old.iter().filter_map(|kind| kind.custom());
    let mut known = known.filter(|custom| custom.family.spec == *spec);
    let family = known.next().map(|custom| custom.family.clone());
    let reader = Reader {
        definition,
        spec,
        family: family.unwrap_or_else(|| Arc::new(Family::new(spec, since(definition)))),
        terminating: has_condition(definition, "Terminating"),
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    let used = |version: &Value| version["served"] == true || version["storage"] == true;
    let mut kinds: Vec<Arc<Kind>> = versions
        .enumerate()
        .filter(|(_, version)| used(version))
        .map(|(at, version)| Arc::new(reader.kind(at, version)))
        .collect();
    kinds.sort_by(|a, b| newest_first(&a.version, &b.version));
    kinds
}

fn since(definition: &Value) -> u64 {
    let version = definition["metadata"]["resourceVersion"].as_str();
    version
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX)
}

fn has_condition(definition: &Value, name: &str) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == name && c["status"] == "True")
}

struct Reader<'a> {
    definition: &'a Value,
    spec: &'a Value,
    family: Arc<Family>,
    terminating: bool,
}

impl Reader<'_> {
    fn kind(&self, at: usize, version: &Value) -> Kind {
        let names = &self.definition["status"]["acceptedNames"];
        let group = text(&self.spec["group"]);
        let name = text(&version["name"]);
        let plural = text(&names["plural"]);
        let kind = text(&names["kind"]);
        let served = version["served"] == true;
        let offered = |verb: &&&str| !self.terminating || !MAKING.contains(verb);
        Kind {
            resource: Resource::new(&group, &plural),
            list_kind: text(&names["listKind"]),
            singular: text(&names["singular"]),
            namespaced: self.spec["scope"] == "Namespaced",
            short_names: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            verbs: VERBS
                .iter()
                .filter(offered)
                .map(|v| (*v).to_owned())
                .collect(),
            subresources: subresources(version, (&group, &name, &kind)),
            internal_package: String::new(),
            body: Body::Custom(Arc::new(self.custom(at, version))),
            group,
            version: name,
            kind,
            // A version that only stores has no path.
            plural: if served { plural } else { String::new() },
        }
    }

    fn custom(&self, at: usize, version: &Value) -> Custom {
        Custom {
            definition: text(&self.definition["metadata"]["name"]),
            storage_version: storage_version(self.spec),
            preserve_unknown_fields: self.spec["preserveUnknownFields"] == true,
            deprecation: deprecation(self.spec, version),
            terminating: self.terminating,
            at,
            family: self.family.clone(),
            columns: OnceLock::new(),
            selectable: OnceLock::new(),
            ownership: OnceLock::new(),
        }
    }
}

/// The warning about a deprecated version, which names a newer one where there is one.
fn deprecation(spec: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(warning) = version["deprecationWarning"].as_str() {
        return Some(warning.to_owned());
    }
    let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
    let name = text(&version["name"]);
    let others = spec["versions"].as_array().into_iter().flatten();
    let mut newer: Vec<&str> = others
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .filter_map(|other| other["name"].as_str())
        .filter(|other| newest_first(other, &name).is_lt())
        .collect();
    newer.sort_by(|a, b| newest_first(a, b));
    let told = format!("{group}/{name} {kind} is deprecated");
    Some(match newer.first() {
        Some(newest) => format!("{told}; use {group}/{newest} {kind}"),
        None => told,
    })
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
    if asked["status"].is_object() {
        found.push(below("status", group, name, kind));
    }
    if asked["scale"].is_object() {
        found.push(below("scale", "autoscaling", "v1", "Scale"));
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
