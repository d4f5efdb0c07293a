//! Taints of Nodes that follow from their conditions.
//!
//! A Node is born with the taint `not-ready`; it goes once the Node says that it is ready.

use crate::fields::{elements, set};
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, Resource, View, Write};
use serde_json::{Value, json};

/// Keeps the taints of Nodes.
pub(crate) const CONTROLLER: Controller = Controller {
    name: "node-lifecycle-controller",
    keys,
    reconcile,
    refused: crate::silent,
};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions that are bad when they are true, with their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    (
        "NetworkUnavailable",
        "node.kubernetes.io/network-unavailable",
    ),
];

fn keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let node = &event.object;
    let relevant = node.resource == Resource::NODES && event.kind != EventKind::Deleted;
    let keys = relevant.then(|| node.key());
    keys.into_iter().collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let node = context.view.get(key.resource, "", &key.name);
    let Some(node) = node.filter(|node| !node.meta.is_deleting()) else {
        return Outcome::default();
    };
    let mut value = node.value();
    let before = elements(&value, "/spec/taints").to_vec();
    let after = taints(&value, &before);
    if after == before {
        return Outcome::default();
    }
    set(&mut value, &["spec", "taints"], after.into());
    Outcome::of([Write::Update {
        resource: Resource::NODES,
        object: value,
    }])
}

fn taints(node: &Value, before: &[Value]) -> Vec<Value> {
    let mut taints = before.to_vec();
    let mut want = |key: &str, wanted: bool| {
        let held = |taint: &Value| taint["key"] == key && taint["effect"] == "NoSchedule";
        if !wanted {
            taints.retain(|taint| !held(taint));
        } else if !taints.iter().any(held) {
            taints.push(json!({"key": key, "effect": "NoSchedule"}));
        }
    };
    let condition = |kind: &str| {
        let mut conditions = elements(node, "/status/conditions").iter();
        let found = conditions.find(|one| one["type"] == kind);
        found.and_then(|one| one["status"].as_str())
    };
    if let Some(ready) = condition("Ready") {
        want(NOT_READY, ready == "False");
        want(UNREACHABLE, !matches!(ready, "True" | "False"));
    }
    for (kind, key) in PRESSURES {
        if let Some(status) = condition(kind) {
            want(key, status == "True");
        }
    }
    want(UNSCHEDULABLE, node["spec"]["unschedulable"] == true);
    taints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(node: &Value, before: &[Value]) -> Vec<String> {
        let taints = taints(node, before);
        let texts = taints
            .iter()
            .map(|taint| taint["key"].as_str().unwrap().to_owned());
        texts.collect()
    }

    #[test]
    fn a_node_that_is_ready_takes_pods() {
        let born = [json!({"key": NOT_READY, "effect": "NoSchedule"})];
        assert_eq!(keys_of(&json!({}), &born), [NOT_READY]);
        let with =
            |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(keys_of(&with("True"), &born).is_empty());
        assert_eq!(keys_of(&with("False"), &[]), [NOT_READY]);
        assert_eq!(keys_of(&with("Unknown"), &born), [UNREACHABLE]);
        let closed = json!({"spec": {"unschedulable": true}});
        assert_eq!(keys_of(&closed, &[]), [UNSCHEDULABLE]);
    }
}
