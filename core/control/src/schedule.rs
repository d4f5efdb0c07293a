//! Binding of Pods to the one local node.

use crate::fields::{elements, nullable};
use crate::labels::{Requirement, subset};
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, EventNote, Object, Resource, View, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAME: &str = "default-scheduler";

/// Binds Pods that no node was chosen for.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile,
    refused: crate::silent,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPod {
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    node_name: String,
    #[serde(deserialize_with = "nullable")]
    scheduler_name: String,
    #[serde(deserialize_with = "nullable")]
    scheduling_gates: Vec<Value>,
    #[serde(deserialize_with = "nullable")]
    node_selector: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    tolerations: Vec<Toleration>,
    #[serde(deserialize_with = "nullable")]
    affinity: Affinity,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affinity {
    #[serde(deserialize_with = "nullable")]
    node_affinity: NodeAffinity,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeSelector {
    #[serde(deserialize_with = "nullable")]
    node_selector_terms: Vec<Term>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Term {
    #[serde(deserialize_with = "nullable")]
    match_expressions: Vec<Requirement>,
    #[serde(deserialize_with = "nullable")]
    match_fields: Vec<Requirement>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Toleration {
    #[serde(deserialize_with = "nullable")]
    key: String,
    #[serde(deserialize_with = "nullable")]
    operator: String,
    #[serde(deserialize_with = "nullable")]
    value: String,
    #[serde(deserialize_with = "nullable")]
    effect: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawNode {
    #[serde(deserialize_with = "nullable")]
    spec: NodeSpec,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(default)]
struct NodeSpec {
    #[serde(deserialize_with = "nullable")]
    unschedulable: bool,
    #[serde(deserialize_with = "nullable")]
    taints: Vec<Taint>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(default)]
struct Taint {
    #[serde(deserialize_with = "nullable")]
    key: String,
    #[serde(deserialize_with = "nullable")]
    value: String,
    #[serde(deserialize_with = "nullable")]
    effect: String,
}

fn spec_of(pod: &Object) -> Spec {
    let raw: RawPod = pod.parse().unwrap_or_default();
    raw.spec
}

fn node_spec(node: &Object) -> NodeSpec {
    let raw: RawNode = node.parse().unwrap_or_default();
    raw.spec
}

impl Spec {
    /// No node yet, and nobody else is to choose one.
    fn waits(&self) -> bool {
        self.node_name.is_empty()
            && matches!(self.scheduler_name.as_str(), "" | NAME)
            && self.scheduling_gates.is_empty()
    }
}

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::PODS if event.kind != EventKind::Deleted && spec_of(object).waits() => {
            vec![object.key()]
        }
        Resource::NODES => {
            let old = event
                .old
                .as_ref()
                .filter(|_| event.kind == EventKind::Modified);
            let same = old.is_some_and(|old| {
                old.meta.labels == object.meta.labels && node_spec(old) == node_spec(object)
            });
            if same {
                return Vec::new();
            }
            let pods = view.list(Resource::PODS, None);
            let waiting = pods.iter().filter(|pod| spec_of(pod).waits());
            waiting.map(|pod| pod.key()).collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let pod = context.view.get(key.resource, &key.namespace, &key.name);
    let (Some(pod), Some(name)) = (pod, &context.settings.node) else {
        return Outcome::default();
    };
    let spec = spec_of(&pod);
    if pod.meta.is_deleting() || !spec.waits() {
        return Outcome::default();
    }
    let node = context.view.get(Resource::NODES, "", name);
    match node.as_deref().map(|node| obstacles(&spec, node)) {
        Some(obstacles) if obstacles.is_empty() => Outcome::of(bind(&pod, name)),
        Some(obstacles) => {
            let why = obstacles.join(", ");
            let message = format!("0/1 nodes are available: {why}.");
            Outcome::of(refuse(context, &pod, message))
        }
        None => {
            let message = "no nodes available to schedule pods".to_owned();
            Outcome::of(refuse(context, &pod, message))
        }
    }
}

/// Whether a Pod with this spec chooses a node, and the effects of taints that it does not bear.
pub(crate) fn judge(spec: &Value, node: &Object) -> (bool, Vec<String>) {
    let pod: Spec = serde_json::from_value(spec.clone()).unwrap_or_default();
    let node_spec = node_spec(node);
    let closed = node_spec.unschedulable.then(cordon);
    let taints = node_spec.taints.iter().chain(&closed);
    let untolerated = taints
        .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
        .filter(|taint| !pod.tolerates(taint))
        .map(|taint| taint.effect.clone());
    (pod.chooses(node), untolerated.collect())
}

/// Why a Pod may not run on a node, in the scheduler's words.
fn obstacles(pod: &Spec, node: &Object) -> Vec<String> {
    let spec = node_spec(node);
    let mut found = Vec::new();
    if spec.unschedulable && !pod.tolerates(&cordon()) {
        found.push("1 node(s) were unschedulable".to_owned());
    }
    let repelling = |taint: &&Taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
            && taint.key != cordon().key
            && !pod.tolerates(taint)
    };
    if let Some(taint) = spec.taints.iter().find(repelling) {
        let (key, value) = (&taint.key, &taint.value);
        found.push(format!(
            "1 node(s) had untolerated taint {{{key}: {value}}}"
        ));
    }
    if !pod.chooses(node) {
        found.push("1 node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    found
}

/// The taint that stands for `spec.unschedulable`.
fn cordon() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
    }
}

impl Spec {
    fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|one| {
            let key = one.key == taint.key || (one.key.is_empty() && one.operator == "Exists");
            let effect = one.effect.is_empty() || one.effect == taint.effect;
            key && effect && (one.operator == "Exists" || one.value == taint.value)
        })
    }

    /// `nodeSelector` and the required node affinity.
    fn chooses(&self, node: &Object) -> bool {
        let affinity = &self.affinity.node_affinity;
        let required = &affinity.required_during_scheduling_ignored_during_execution;
        let fields = BTreeMap::from([("metadata.name".to_owned(), node.meta.name.to_string())]);
        let fits = |term: &Term| {
            let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
            let by_label = |one: &Requirement| one.holds(&node.meta.labels);
            !empty
                && term.match_expressions.iter().all(by_label)
                && term.match_fields.iter().all(|one| one.holds(&fields))
        };
        subset(&self.node_selector, &node.meta.labels)
            && required
                .as_ref()
                .is_none_or(|required| required.node_selector_terms.iter().any(fits))
    }
}

fn bind(pod: &Arc<Object>, node: &str) -> Vec<Write> {
    let meta = &pod.meta;
    let (namespace, name) = (&meta.namespace, &meta.name);
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"namespace": &**namespace, "name": &**name, "uid": &*meta.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    vec![
        Write::UpdateSubresource {
            resource: Resource::PODS,
            subresource: "binding",
            object: binding,
        },
        note(pod, "Normal", "Scheduled", message),
    ]
}

/// Condition PodScheduled and an event, once per reason.
fn refuse(context: &Context<'_>, pod: &Arc<Object>, message: String) -> Vec<Write> {
    let value = pod.value();
    let mut conditions = elements(&value, "/status/conditions").to_vec();
    let old = conditions
        .iter()
        .position(|one| one["type"] == "PodScheduled");
    let mut new = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": message, "lastProbeTime": null, "lastTransitionTime": context.now.rfc3339(),
    });
    match old {
        None => conditions.push(new),
        Some(at) => {
            let old = &conditions[at];
            if old["status"] == "False" {
                if old["message"] == new["message"] {
                    return Vec::new();
                }
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            conditions[at] = new;
        }
    }
    vec![
        Write::MergePatch {
            key: pod.key(),
            subresource: "status",
            patch: json!({
                "metadata": {"uid": &*pod.meta.uid},
                "status": {"conditions": conditions},
            }),
        },
        note(pod, "Warning", "FailedScheduling", message),
    ]
}

fn note(pod: &Arc<Object>, kind: &'static str, reason: &str, message: String) -> Write {
    Write::Note(EventNote {
        regarding: pod.clone(),
        kind,
        reason: reason.to_owned(),
        message,
        component: NAME,
    })
}
