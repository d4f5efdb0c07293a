//! Rows of what makes Pods.

use super::cells::{age, items, name, number, text};
use super::selector::{labels, selector};
use model::Timestamp;
use serde_json::Value;

pub(super) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(&spec["template"]);
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
    let [names, images] = containers(&spec["template"]);
    vec![
        name(object),
        number(&spec["replicas"]).into(),
        number(&status["replicas"]).into(),
        number(&status["readyReplicas"]).into(),
        age(object, now),
        names,
        images,
        selector_or(&spec["selector"]),
    ]
}

/// A selector, `<none>` when nothing is asked for, `<error>` when it makes no sense.
pub(super) fn selector_or(found: &Value) -> Value {
    match selector(found) {
        None => "<error>".into(),
        Some(labels) if labels.is_empty() => "<none>".into(),
        Some(labels) => labels.into(),
    }
}

pub(super) fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(&spec["template"]);
    let count = |key: &str| number(&status[key]).into();
    vec![
        name(object),
        count("desiredNumberScheduled"),
        count("currentNumberScheduled"),
        count("numberReady"),
        count("updatedNumberScheduled"),
        count("numberAvailable"),
        labels(&spec["template"]["spec"]["nodeSelector"]).into(),
        age(object, now),
        names,
        images,
        selector_or(&spec["selector"]),
    ]
}

pub(super) fn replication_controller(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(object),
        number(&spec["replicas"]).into(),
        number(&status["replicas"]).into(),
        number(&status["readyReplicas"]).into(),
        age(object, now),
        names,
        images,
        labels(&spec["selector"]).into(),
    ]
}

pub(super) fn pod_template(object: &Value, _: Timestamp) -> Vec<Value> {
    let template = &object["template"];
    let [names, images] = containers(template);
    let labels = labels(&template["metadata"]["labels"]);
    vec![name(object), names, images, labels.into()]
}

pub(super) fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(&object["spec"]["template"]);
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

/// Names and images of a template's containers.
pub(super) fn containers(template: &Value) -> [Value; 2] {
    let containers = items(&template["spec"]["containers"]);
    ["name", "image"].map(|field| {
        let texts: Vec<&str> = containers
            .iter()
            .map(|container| text(&container[field]))
            .collect();
        texts.join(",").into()
    })
}
