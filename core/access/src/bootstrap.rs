//! The roles and bindings that every cluster begins with.

use crate::{RBAC_GROUP, Rule};
use model::Resource;
use serde_json::{Map, Value, json};

/// One object a paragraph; the file says how it is written.
const DATA: &str = include_str!("../data/policy.txt");

/// Objects to store when they are missing, in order of resource and name.
pub fn bootstrap() -> Vec<(Resource, Value)> {
    let mut objects: Vec<(Resource, Value)> = Vec::new();
    for line in DATA
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (line.starts_with(' '), objects.last_mut()) {
            (true, Some((_, object))) => add(object, &words),
            _ => objects.extend(start(&words)),
        }
    }
    objects
}

fn start(words: &[&str]) -> Option<(Resource, Value)> {
    let (resource, kind, namespace, name, role, labels) = match words {
        ["clusterrole", name, labels @ ..] => (
            Resource::CLUSTER_ROLES,
            "ClusterRole",
            "",
            *name,
            None,
            labels,
        ),
        ["role", namespace, name] => (Resource::ROLES, "Role", *namespace, *name, None, &[][..]),
        ["clusterrolebinding", name, role] => {
            let role = Some(("ClusterRole", *role));
            (
                Resource::CLUSTER_ROLE_BINDINGS,
                "ClusterRoleBinding",
                "",
                *name,
                role,
                &[][..],
            )
        }
        ["rolebinding", namespace, name, role] => {
            let role = Some(("Role", *role));
            (
                Resource::ROLE_BINDINGS,
                "RoleBinding",
                *namespace,
                *name,
                role,
                &[][..],
            )
        }
        _ => return None,
    };
    let mut labels: Map<String, Value> = labels
        .iter()
        .map(|label| ((*label).to_owned(), "true".into()))
        .collect();
    labels.insert(
        "kubernetes.io/bootstrapping".to_owned(),
        "rbac-defaults".into(),
    );
    let mut object = json!({
        "apiVersion": format!("{RBAC_GROUP}/v1"), "kind": kind,
        "metadata": {
            "name": name, "labels": labels,
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    match role {
        Some((kind, name)) => {
            object["roleRef"] = json!({"apiGroup": RBAC_GROUP, "kind": kind, "name": name});
        }
        None => object["rules"] = json!([]),
    }
    Some((resource, object))
}

fn add(object: &mut Value, words: &[&str]) {
    let list = |text: &str| -> Vec<String> {
        let items = text.split(',');
        items
            .map(|item| {
                if item == "-" {
                    String::new()
                } else {
                    item.to_owned()
                }
            })
            .collect()
    };
    match words {
        ["select", label] => {
            let selector = json!({"matchLabels": {*label: "true"}});
            object["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
            object["rules"] = Value::Null;
        }
        ["rule", verbs, groups, resources, names @ ..] => push(
            object,
            "rules",
            &Rule {
                verbs: list(verbs),
                api_groups: list(groups),
                resources: list(resources),
                resource_names: names.iter().flat_map(|names| list(names)).collect(),
                ..Rule::default()
            },
        ),
        ["urls", verbs, urls] => push(
            object,
            "rules",
            &Rule {
                verbs: list(verbs),
                non_resource_urls: list(urls),
                ..Rule::default()
            },
        ),
        ["serviceaccount", account] => {
            let (namespace, name) = account.split_once('/').unwrap_or(("", account));
            let subject = json!({"kind": "ServiceAccount", "namespace": namespace, "name": name});
            push(object, "subjects", &subject);
        }
        [kind, name] => {
            let kind = if *kind == "user" { "User" } else { "Group" };
            let subject = json!({"apiGroup": RBAC_GROUP, "kind": kind, "name": name});
            push(object, "subjects", &subject);
        }
        _ => {}
    }
}

fn push(object: &mut Value, key: &str, item: &impl serde::Serialize) {
    let item = serde_json::to_value(item).unwrap_or_default();
    match object[key].as_array_mut() {
        Some(list) => list.push(item),
        None => object[key] = json!([item]),
    }
}
