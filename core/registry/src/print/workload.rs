//! Rows of what makes Pods.

use super::cells::{age, items, name, number, text};
use super::selector::selector;
use model::Timestamp;
use serde_json::Value;

pub(super) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(spec);
    vec![
        name(object),
        ready(object).into(),
        number(&status["updatedReplicas"]).into(),
        number(&status["availableReplicas"]).into(),
        age(object, now),
        names,
        images,
        selector(&spec["selector"])
            .unwrap_or_else(|| "<invalid>".to_owned())
            .into(),
    ]
}

pub(super) fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(spec);
    let labels = match selector(&spec["selector"]) {
        None => "<error>".to_owned(),
        Some(labels) if labels.is_empty() => "<none>".to_owned(),
        Some(labels) => labels,
    };
    vec![
        name(object),
        number(&spec["replicas"]).into(),
        number(&status["replicas"]).into(),
        number(&status["readyReplicas"]).into(),
        age(object, now),
        names,
        images,
        labels.into(),
    ]
}

pub(super) fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(&object["spec"]);
    vec![
        name(object),
        ready(object).into(),
        age(object, now),
        names,
        images,
    ]
}

pub(super) fn controller_revision(object: &Value, now: Timestamp) -> Vec<Value> {
    let owners = items(&object["metadata"]["ownerReferences"]);
    let owner = owners.iter().find(|owner| owner["controller"] == true);
    vec![
        name(object),
        owner.map_or_else(|| "<none>".to_owned(), owner_name).into(),
        number(&object["revision"]).into(),
        age(object, now),
    ]
}

/// `statefulset.apps/web`
fn owner_name(owner: &Value) -> String {
    let kind = text(&owner["kind"]);
    let qualified = match text(&owner["apiVersion"]).split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    };
    let name = text(&owner["name"]);
    if qualified.is_empty() {
        return name.to_owned();
    }
    format!("{}/{name}", qualified.to_lowercase())
}

fn ready(object: &Value) -> String {
    let ready = number(&object["status"]["readyReplicas"]);
    format!("{ready}/{}", number(&object["spec"]["replicas"]))
}

/// Names and images of the template's containers.
fn containers(spec: &Value) -> [Value; 2] {
    let containers = items(&spec["template"]["spec"]["containers"]);
    ["name", "image"].map(|field| {
        let texts: Vec<&str> = containers
            .iter()
            .map(|container| text(&container[field]))
            .collect();
        texts.join(",").into()
    })
}
