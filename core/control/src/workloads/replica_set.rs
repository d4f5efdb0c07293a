//! ReplicaSets and ReplicationControllers: as many Pods as asked for.

use super::claim::Claimant;
use super::workload::refusal;
use super::{APPS, Kind, PodSet, Workload, free_pod_name, status_write, template};
use crate::fields::{nullable, set};
use crate::labels::subset;
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{ApiError, Event, Object, Resource, Timestamp, View, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// ReplicaSets
pub(super) const KIND: Kind = Kind {
    resource: Resource::REPLICA_SETS,
    api_version: APPS,
    kind: "ReplicaSet",
    component: "replicaset-controller",
};

/// ReplicationControllers
const OLD_KIND: Kind = Kind {
    resource: Resource::REPLICATION_CONTROLLERS,
    api_version: "v1",
    kind: "ReplicationController",
    component: "replication-controller",
};

/// Pods that one reconciliation makes or deletes at most
const BURST: usize = 500;
const FAILURE: &str = "ReplicaFailure";

/// Keeps the number of Pods of ReplicaSets.
pub(crate) const CONTROLLER: Controller = Controller {
    name: KIND.component,
    keys: |event, view| keys(event, view, &KIND),
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused,
};

/// Keeps the number of Pods of ReplicationControllers.
pub(crate) const OLD_CONTROLLER: Controller = Controller {
    name: "replicationcontroller-controller",
    keys: |event, view| keys(event, view, &OLD_KIND),
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused,
};

fn kind_of(object: &Object) -> &'static Kind {
    if object.resource == OLD_KIND.resource {
        &OLD_KIND
    } else {
        &KIND
    }
}

/// One ReplicaSet or ReplicationController.
pub(super) type ReplicaSet = Workload<PodSet, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    #[serde(deserialize_with = "nullable")]
    pub(super) replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) ready_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) available_replicas: i64,
    pub(super) terminating_replicas: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) observed_generation: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Vec<Value>,
}

/// Opens a set. The selector of a ReplicationController is a map of labels alone.
pub(super) fn open(object: &Arc<Object>) -> Option<ReplicaSet> {
    if object.resource != OLD_KIND.resource {
        return ReplicaSet::parse(object);
    }
    let mut value = object.value();
    let labels = value["spec"]["selector"].take();
    set(&mut value, &["spec", "selector", "matchLabels"], labels);
    let read = |part: &str| value.get(part).cloned().unwrap_or(json!({}));
    Some(ReplicaSet {
        object: object.clone(),
        spec: serde_json::from_value(read("spec")).ok()?,
        status: serde_json::from_value(read("status")).ok()?,
    })
}

impl ReplicaSet {
    /// `spec.replicas`
    pub(super) fn replicas(&self) -> i64 {
        self.spec.replicas()
    }

    /// The condition that says why Pods could not be made.
    pub(super) fn failure(&self) -> Option<&Value> {
        let mut conditions = self.status.conditions.iter();
        conditions.find(|condition| condition["type"] == FAILURE)
    }
}

fn keys(event: &Event, view: &dyn View, kind: &Kind) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        resource if resource == kind.resource => vec![object.key()],
        Resource::PODS => kind.keys_of_owned(event, view, |set| {
            open(set).is_some_and(|set| set.spec.selector.matches(&object.meta.labels))
        }),
        _ => Vec::new(),
    }
}

/// The Pods of a ReplicaSet, sorted by what can be done with them.
struct Members {
    active: Vec<Pod>,
    terminating: Vec<Pod>,
    claims: Vec<Write>,
}

fn members(context: &Context<'_>, set: &ReplicaSet) -> Members {
    let claimant = Claimant {
        owner: &set.object,
        kind: kind_of(&set.object),
        selector: &set.spec.selector,
    };
    let namespace = &set.object.meta.namespace;
    let mut pods = context.view.list(Resource::PODS, Some(namespace));
    pods.retain(|pod| claimant.controls(pod) || pod.meta.controller().is_none());
    let (terminating, rest): (Vec<_>, Vec<_>) =
        pods.into_iter().partition(|pod| pod.meta.is_deleting());
    let alive = rest.into_iter().filter(|pod| {
        let pod = Pod::parse(pod);
        pod.is_some_and(|pod| pod.is_active())
    });
    let (active, claims) = claimant.claim(alive.collect());
    let terminating = terminating
        .iter()
        .filter(|pod| claimant.controls(pod) && set.spec.selector.matches(&pod.meta.labels));
    Members {
        active: active.iter().filter_map(Pod::parse).collect(),
        terminating: terminating
            .filter_map(Pod::parse)
            .filter(|pod| !pod.is_terminal())
            .collect(),
        claims,
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, &key.namespace, &key.name) else {
        return Outcome::default();
    };
    let Some(set) = open(&object) else {
        return Outcome::default();
    };
    let members = members(context, &set);
    let mut writes = members.claims.clone();
    if !object.meta.is_deleting() {
        let wanted = usize::try_from(set.replicas()).unwrap_or(0);
        let present = members.active.len();
        if present < wanted {
            writes.extend(grow(context, &set, (wanted - present).min(BURST)));
        } else if present > wanted {
            writes.extend(shrink(context, &set, &members.active, present - wanted));
        }
    }
    let status = status(context, &set, &members, None);
    writes.extend(status_write(&object, status));
    Outcome {
        writes,
        again_in: next_check(context, &set, &members.active),
    }
}

fn grow(context: &Context<'_>, set: &ReplicaSet, count: usize) -> Vec<Write> {
    let (mut writes, mut names) = (Vec::new(), Vec::new());
    let prefix = format!("{}-", set.name());
    for _ in 0..count {
        let name = free_pod_name(context, &set.object.meta.namespace, &prefix, &names);
        let mut object = template::pod(&set.spec.template, &set.object, kind_of(&set.object));
        set_name(&mut object, &prefix, &name);
        writes.push(Write::Create {
            resource: Resource::PODS,
            object,
        });
        let message = format!("Created pod: {name}");
        let kind = kind_of(&set.object);
        writes.push(kind.note("Normal", &set.object, "SuccessfulCreate", message));
        names.push(name);
    }
    writes
}

fn set_name(pod: &mut Value, prefix: &str, name: &str) {
    set(pod, &["metadata", "generateName"], prefix.into());
    set(pod, &["metadata", "name"], name.into());
}

fn shrink(context: &Context<'_>, set: &ReplicaSet, active: &[Pod], excess: usize) -> Vec<Write> {
    let ranks = colocated(context, set);
    let rank = |pod: &Pod| ranks.get(&pod.spec.node_name).copied().unwrap_or(0);
    let mut pods: Vec<&Pod> = active.iter().collect();
    pods.sort_by_cached_key(|pod| deletion_order(pod, rank(pod), context.now));
    let chosen = pods.into_iter().take(excess.min(BURST));
    let writes = chosen.flat_map(|pod| {
        let message = format!("Deleted pod: {}", pod.name());
        [
            Write::Delete {
                key: pod.object.key(),
                uid: Some(pod.object.meta.uid.clone()),
                grace_seconds: None,
                propagation: None,
            },
            kind_of(&set.object).note("Normal", &set.object, "SuccessfulDelete", message),
        ]
    });
    writes.collect()
}

/// How many Pods of the same Deployment (or of this set alone) run on each node.
fn colocated(context: &Context<'_>, set: &ReplicaSet) -> BTreeMap<String, usize> {
    let related: BTreeSet<String> = match set.object.meta.controller() {
        Some(owner) => {
            let owned = context.view.owned_by(&owner.uid);
            let sets = owned
                .iter()
                .filter(|one| one.resource == set.object.resource);
            sets.map(|one| one.meta.uid.to_string()).collect()
        }
        None => BTreeSet::from([set.object.meta.uid.to_string()]),
    };
    let mut count = BTreeMap::new();
    let namespace = &set.object.meta.namespace;
    for object in context.view.list(Resource::PODS, Some(namespace)) {
        let owner = object.meta.controller();
        if !owner.is_some_and(|owner| related.contains(&owner.uid)) {
            continue;
        }
        if let Some(pod) = Pod::parse(&object).filter(Pod::is_active) {
            *count.entry(pod.spec.node_name).or_insert(0) += 1;
        }
    }
    count
}

/// Pods that are the least loss come first: not assigned, earlier in their start, not ready,
/// cheaper, doubled up, ready for a shorter time, restarted more often, younger.
fn deletion_order(pod: &Pod, rank: usize, now: Timestamp) -> impl Ord + use<> {
    let phase = match pod.status.phase.as_str() {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let meta = &pod.object.meta;
    let cost = meta
        .annotations
        .get("controller.kubernetes.io/pod-deletion-cost");
    let cost: i64 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
    let ready_for = pod.ready_changed().filter(|_| pod.is_ready());
    let ready_for = ready_for.map_or(0, |since| magnitude(now, since));
    let age = Timestamp::parse(&meta.creation_timestamp).map_or(0, |since| magnitude(now, since));
    (
        (!pod.spec.node_name.is_empty(), phase, pod.is_ready(), cost),
        (Reverse(rank), ready_for, Reverse(pod.restarts()), age),
        meta.uid.clone(),
    )
}

/// Ages that differ by less than a factor of two count as equal.
fn magnitude(now: Timestamp, since: Timestamp) -> u32 {
    let nanos = i128::from(now.micros() - since.micros()) * 1000;
    u128::try_from(nanos).map_or(0, |nanos| 128 - nanos.leading_zeros())
}

/// Status out of the Pods; `failure` is why the number could not be reached.
fn status(
    context: &Context<'_>,
    set: &ReplicaSet,
    members: &Members,
    failure: Option<(&str, String)>,
) -> Value {
    let labels: BTreeMap<String, String> = set
        .spec
        .template
        .pointer("/metadata/labels")
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_default();
    let count =
        |holds: &dyn Fn(&Pod) -> bool| members.active.iter().filter(|pod| holds(pod)).count();
    let ready = count(&Pod::is_ready);
    let available = count(&|pod| pod.is_available(set.spec.min_ready_seconds, context.now));
    let labelled = count(&|pod| subset(&labels, &pod.object.meta.labels));
    let mut status = json!({"replicas": members.active.len()});
    if set.object.resource == KIND.resource {
        status["terminatingReplicas"] = members.terminating.len().into();
    }
    for (field, value) in [
        ("fullyLabeledReplicas", labelled as i64),
        ("readyReplicas", ready as i64),
        ("availableReplicas", available as i64),
        ("observedGeneration", set.object.meta.generation),
    ] {
        if value != 0 {
            status[field] = value.into();
        }
    }
    let mut conditions = set.status.conditions.clone();
    match failure {
        None => conditions.retain(|condition| condition["type"] != FAILURE),
        Some(_) if set.failure().is_some() => {}
        Some((reason, message)) => conditions.push(json!({
            "type": FAILURE, "status": "True", "lastTransitionTime": context.now.rfc3339(),
            "reason": reason, "message": message,
        })),
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    status
}

/// When the next Pod becomes available by its age alone.
fn next_check(context: &Context<'_>, set: &ReplicaSet, active: &[Pod]) -> Option<Duration> {
    super::next_availability(active.iter(), set.spec.min_ready_seconds, context.now)
}

/// Tells of Pods that could not be made or deleted, in the status and as an event.
fn refused(context: &Context<'_>, key: &Key, write: &Write, error: &ApiError) -> Outcome {
    let Some((word, reason)) = refusal(write) else {
        return Outcome::default();
    };
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(set) = object.as_ref().and_then(open) else {
        return Outcome::default();
    };
    if super::namespace_terminating(error) {
        return Outcome::default();
    }
    let members = members(context, &set);
    let message = format!("Error {word}: {error}");
    let status = status(context, &set, &members, Some((reason, error.to_string())));
    let mut writes = vec![kind_of(&set.object).note("Warning", &set.object, reason, message)];
    writes.extend(status_write(&set.object, status));
    Outcome::of(writes)
}
