//! Discovery documents as pure values.

use crate::{GroupVersionKind, Kind, Registry};
use serde_json::{Value, json};
use std::sync::Arc;

impl Registry {
    /// `GET /api`: `APIVersions`; `address` is the server's `HOST:PORT`.
    pub fn api_versions(&self, address: &str) -> Value {
        json!({
            "kind": "APIVersions",
            "versions": self.versions(""),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })
    }

    /// `GET /apis`: `APIGroupList`.
    pub fn api_groups(&self) -> Value {
        let groups = self
            .groups()
            .into_iter()
            .map(|group| self.group_versions(group));
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Value>()})
    }

    /// `GET /apis/GROUP`: `APIGroup`; `None` when there is no such group.
    pub fn api_group(&self, group: &str) -> Option<Value> {
        if !self.groups().contains(&group) {
            return None;
        }
        let mut answer = self.group_versions(group);
        answer["kind"] = "APIGroup".into();
        answer["apiVersion"] = "v1".into();
        Some(answer)
    }

    /// `GET /api/v1` and `GET /apis/GROUP/VERSION`: `APIResourceList`; `None` when there is no such
    /// group-version.
    pub fn api_resources(&self, group: &str, version: &str) -> Option<Value> {
        let kinds = self.of_version(group, version);
        let group_version = kinds.first()?.api_version();
        let resources: Vec<Value> = kinds.into_iter().flat_map(resource_entries).collect();
        let mut answer = json!({
            "kind": "APIResourceList", "groupVersion": group_version, "resources": resources,
        });
        // The core group's answer is older than the field.
        if !group.is_empty() {
            answer["apiVersion"] = "v1".into();
        }
        Some(answer)
    }

    /// Aggregated discovery, `APIGroupDiscoveryList`: of the core group (`/api`) or of all others
    /// (`/apis`), in version `v2` or `v2beta1` of `apidiscovery.k8s.io`.
    pub fn aggregated_discovery(&self, core: bool, version: &str) -> Value {
        let groups = if core { vec![""] } else { self.groups() };
        let items: Vec<Value> = groups
            .into_iter()
            .map(|group| {
                let metadata = if core {
                    json!({})
                } else {
                    json!({"name": group})
                };
                let versions = self.versions(group).into_iter();
                let versions: Vec<Value> = versions
                    .map(|version| {
                        let kinds = self.of_version(group, version).into_iter();
                        let resources: Vec<Value> = kinds.map(|kind| aggregated(kind)).collect();
                        json!({
                            "version": version, "freshness": "Current", "resources": resources,
                        })
                    })
                    .collect();
                json!({"metadata": metadata, "versions": versions})
            })
            .collect();
        json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": format!("apidiscovery.k8s.io/{version}"),
            "metadata": {},
            "items": items,
        })
    }

    /// Named groups with served kinds, in the order of the table.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for kind in self.kinds().filter(|kind| !kind.group.is_empty()) {
            if !groups.contains(&kind.group.as_str()) {
                groups.push(&kind.group);
            }
        }
        groups
    }

    /// Versions of a group, the preferred one first.
    pub(crate) fn versions(&self, group: &str) -> Vec<&str> {
        let mut versions: Vec<&str> = Vec::new();
        for kind in self.kinds().filter(|kind| kind.group == group) {
            if !versions.contains(&kind.version.as_str()) {
                versions.push(&kind.version);
            }
        }
        versions
    }

    /// Served kinds of a group-version by plural name.
    pub(crate) fn of_version(&self, group: &str, version: &str) -> Vec<&Arc<Kind>> {
        let kinds = self.kinds();
        let mut kinds: Vec<_> = kinds
            .filter(|k| k.group == group && k.version == version)
            .collect();
        kinds.sort_by(|a, b| a.plural.cmp(&b.plural));
        kinds
    }

    fn group_versions(&self, group: &str) -> Value {
        let entry = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
        let versions: Vec<Value> = self.versions(group).iter().map(entry).collect();
        json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
    }
}

/// The resource and its subresources.
fn resource_entries(kind: &Arc<Kind>) -> Vec<Value> {
    let mut resource = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": kind.verbs,
    });
    lists(kind, &mut resource);
    let mut entries = vec![resource];
    for sub in &kind.subresources {
        let mut entry = json!({
            "name": format!("{}/{}", kind.plural, sub.name), "singularName": "",
            "namespaced": kind.namespaced, "kind": sub.kind.kind, "verbs": sub.verbs,
        });
        if is_foreign(kind, &sub.kind) {
            entry["group"] = sub.kind.group.as_str().into();
            entry["version"] = sub.kind.version.as_str().into();
        }
        entries.push(entry);
    }
    entries
}

fn aggregated(kind: &Kind) -> Value {
    let scope = if kind.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    // Custom kinds name themselves in full; built-in ones leave out what stands above them.
    let named = kind.custom().is_some();
    let own = if named {
        json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
    } else {
        json!({"group": "", "version": "", "kind": kind.kind})
    };
    let mut entry = json!({
        "resource": kind.plural, "responseKind": own, "scope": scope,
        "singularResource": kind.singular, "verbs": kind.verbs,
    });
    lists(kind, &mut entry);
    let subresources = kind.subresources.iter().map(|sub| {
        let foreign = named || is_foreign(kind, &sub.kind);
        let part = |text: &str| {
            if foreign {
                text.to_owned()
            } else {
                String::new()
            }
        };
        json!({
            "subresource": sub.name, "verbs": sub.verbs,
            "responseKind": {
                "group": part(&sub.kind.group), "version": part(&sub.kind.version),
                "kind": sub.kind.kind,
            },
        })
    });
    let subresources: Vec<Value> = subresources.collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

fn lists(kind: &Kind, entry: &mut Value) {
    for (key, list) in [
        ("shortNames", &kind.short_names),
        ("categories", &kind.categories),
    ] {
        if !list.is_empty() {
            entry[key] = list.clone().into();
        }
    }
}

/// Whether a subresource speaks another group-version than its resource.
fn is_foreign(kind: &Kind, sub: &GroupVersionKind) -> bool {
    sub.group != kind.group || sub.version != kind.version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_name_what_is_served() {
        let registry = Registry::builtin();
        let core = registry.api_resources("", "v1").expect("core");
        assert!(core.get("apiVersion").is_none());
        let all = core["resources"].as_array().expect("list");
        let find = |name: &str| {
            all.iter()
                .find(|r| r["name"] == name)
                .cloned()
                .unwrap_or_default()
        };
        assert_eq!(
            find("services"),
            json!({
                "name": "services", "singularName": "service", "namespaced": true,
                "kind": "Service", "shortNames": ["svc"], "categories": ["all"],
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update",
                          "watch"],
            })
        );
        assert_eq!(
            find("serviceaccounts/token")["group"],
            "authentication.k8s.io"
        );
        let group = registry.api_group("events.k8s.io").expect("group");
        assert_eq!(
            group["preferredVersion"]["groupVersion"],
            "events.k8s.io/v1"
        );
        assert_eq!(registry.api_group("nope"), None);
        assert_eq!(registry.api_resources("apps", "v9"), None);
        let groups = registry.api_groups();
        assert_eq!(groups["groups"].as_array().map(Vec::len), Some(16));
        let all = registry.aggregated_discovery(false, "v2");
        let named = |list: &Value, key: &str, name: &str| {
            let mut items = list.as_array().into_iter().flatten();
            let found = items.find(|item| item.pointer(key).is_some_and(|text| text == name));
            found.cloned().expect("listed")
        };
        let apps = named(&all["items"], "/metadata/name", "apps");
        let resources = &apps["versions"][0]["resources"];
        let deployments = named(resources, "/resource", "deployments");
        let scale = named(&deployments["subresources"], "/subresource", "scale");
        assert_eq!(scale["responseKind"]["group"], "autoscaling");
    }
}
