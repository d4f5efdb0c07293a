//! Which Nodes a DaemonSet is for.

use super::spec::DaemonSet;
use crate::fields::{elements, set};
use crate::pods::Pod;
use crate::schedule;
use model::Object;
use serde_json::{Value, json};

/// What every daemon bears: Nodes that are in trouble or closed.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Whether a Pod belongs on a Node, and whether one that is there may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) run: bool,
    pub(super) stay: bool,
}

/// Judges a Node by the template.
pub(super) fn fit(template: &Value, node: &Object) -> Fit {
    let mut spec = template["spec"].clone();
    let wanted = spec["nodeName"].as_str().unwrap_or_default();
    if !wanted.is_empty() && *wanted != *node.meta.name {
        return Fit {
            run: false,
            stay: false,
        };
    }
    add_tolerations(&mut spec);
    let (chosen, untolerated) = schedule::judge(&spec, node);
    Fit {
        run: chosen && untolerated.is_empty(),
        stay: chosen && !untolerated.iter().any(|effect| effect == "NoExecute"),
    }
}

/// The taints of a Node, for comparison.
pub(super) fn taints(node: &Object) -> Value {
    let value = node.value();
    json!([value["spec"]["taints"], value["spec"]["unschedulable"]])
}

/// The Node that a Pod is on or is meant for.
pub(super) fn target(pod: &Pod) -> String {
    if !pod.spec.node_name.is_empty() {
        return pod.spec.node_name.clone();
    }
    let value = pod.object.value();
    let terms = format!("/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms");
    let mut names = elements(&value, &terms).iter().flat_map(|term| {
        let fields = elements(term, "/matchFields").iter();
        fields.filter(|field| field["key"] == "metadata.name")
    });
    let name = names.next().and_then(|field| field["values"][0].as_str());
    name.unwrap_or_default().to_owned()
}

/// The template of the Pod on one Node.
pub(super) fn template_for(set_of: &DaemonSet, template: &Value, node: &str) -> Value {
    let mut template = template.clone();
    if let Some(spec) = template.get_mut("spec") {
        add_tolerations(spec);
        pin(spec, node);
    }
    let labels = [(super::GENERATION, set_of.template_generation())];
    for (key, value) in labels {
        set(&mut template, &["metadata", "labels", key], value.into());
    }
    template
}

fn add_tolerations(spec: &mut Value) {
    let mut all = elements(spec, "/tolerations").to_vec();
    let host = spec["hostNetwork"] == true;
    let network = ("node.kubernetes.io/network-unavailable", "NoSchedule");
    for (key, effect) in TOLERATED.into_iter().chain(host.then_some(network)) {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        match all
            .iter_mut()
            .find(|one| one["key"] == key && one["effect"] == effect && one["operator"] == "Exists")
        {
            Some(held) => *held = toleration,
            None => all.push(toleration),
        }
    }
    set(spec, &["tolerations"], all.into());
}

/// Only this Node will do.
fn pin(spec: &mut Value, node: &str) {
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
    let path = ["affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms"];
    let pointer = format!("/{}", path.join("/"));
    let mut terms = elements(spec, &pointer).to_vec();
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in &mut terms {
        set(term, &["matchFields"], fields.clone());
    }
    set(spec, &path, terms.into());
}
