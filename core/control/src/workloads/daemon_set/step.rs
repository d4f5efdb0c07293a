//! One step of a DaemonSet towards what is wanted.

use super::nodes::{Fit, fit, target, template_for};
use super::spec::DaemonSet;
use super::{KIND, REVISION, update};
use crate::fields::set;
use crate::pods::Pod;
use crate::workloads::history::{History, Owner, history};
use crate::workloads::{free_pod_name, next_availability, status_write, template};
use crate::{Context, Outcome};
use model::{Object, Resource, Write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pods that one step makes or deletes at most
const BURST: usize = 250;

/// A Node with its Pods.
pub(super) struct Place<'a> {
    pub(super) node: String,
    pub(super) fit: Fit,
    /// Those that are not on their way out, oldest first
    pub(super) pods: Vec<&'a Pod>,
    /// Some are on their way out, and have to be gone first
    pub(super) waits: bool,
}

/// What the updates look at.
pub(super) struct Step<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) set: &'a DaemonSet,
    pub(super) hash: String,
    pub(super) places: Vec<Place<'a>>,
}

impl Step<'_> {
    /// Of the present template.
    pub(super) fn is_new(&self, pod: &Pod) -> bool {
        pod.object.meta.labels.get(REVISION) == Some(&self.hash)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pod.is_available(self.set.spec.min_ready_seconds, self.context.now)
    }
}

pub(super) fn run(
    context: &Context<'_>,
    set: &DaemonSet,
    pods: &[Pod],
    revisions: &[Arc<Object>],
) -> Outcome {
    let owner = Owner {
        kind: &KIND,
        object: &set.object,
        template: &set.spec.template,
        collisions: set.status.collision_count,
        current: "",
        hash_label: REVISION,
    };
    let history = match history(context, &owner, revisions) {
        Ok(history) => history,
        Err(collisions) => {
            let mut status = set.object.value()["status"].clone();
            crate::fields::set(&mut status, &["collisionCount"], collisions.into());
            return Outcome::of(status_write(&set.object, status));
        }
    };
    let step = Step {
        context,
        set,
        hash: hash_of(&history, set),
        places: places(context, set, pods),
    };
    let mut writes = history.writes.clone();
    if !set.object.meta.is_deleting() {
        writes.extend(manage(&step));
        if !set.spec.updates_on_delete() {
            writes.extend(update::rolling(&step));
        }
    }
    writes.extend(status_write(&set.object, status(&step, pods)));
    let used: BTreeSet<String> = pods
        .iter()
        .filter_map(|pod| pod.object.meta.labels.get(REVISION))
        .map(|hash| format!("{}-{hash}", set.name()))
        .collect();
    writes.extend(history.truncate(set.spec.history_limit(), &used));
    Outcome {
        writes,
        again_in: next_availability(pods.iter(), set.spec.min_ready_seconds, context.now),
    }
}

/// What stands behind the set's name in the name of its revision.
fn hash_of(history: &History, set: &DaemonSet) -> String {
    let name = &history.update.name;
    let prefix = format!("{}-", set.name());
    name.strip_prefix(&prefix).unwrap_or(name).to_owned()
}

fn places<'a>(context: &Context<'_>, set: &DaemonSet, pods: &'a [Pod]) -> Vec<Place<'a>> {
    let mut by_node: BTreeMap<String, Vec<&Pod>> = BTreeMap::new();
    let mut going = BTreeSet::new();
    for pod in pods {
        if pod.is_terminating() {
            going.insert(target(pod));
        } else {
            by_node.entry(target(pod)).or_default().push(pod);
        }
    }
    let nodes = context.view.list(Resource::NODES, None);
    let mut places: Vec<Place<'a>> = nodes
        .iter()
        .map(|node| Place {
            node: node.meta.name.to_string(),
            fit: fit(&set.spec.template, node),
            pods: by_node.remove(&*node.meta.name).unwrap_or_default(),
            waits: going.contains(&*node.meta.name),
        })
        .collect();
    for place in &mut places {
        place.pods.sort_by_key(|pod| {
            let meta = &pod.object.meta;
            let unbound = pod.spec.node_name.is_empty();
            (unbound, meta.creation_timestamp.clone(), meta.name.clone())
        });
    }
    places
}

fn manage(step: &Step<'_>) -> Vec<Write> {
    let (mut writes, mut names) = (Vec::new(), Vec::new());
    for place in &step.places {
        if names.len() >= BURST {
            break;
        }
        let (ended, alive): (Vec<&Pod>, Vec<&Pod>) =
            place.pods.iter().partition(|pod| pod.is_terminal());
        for pod in &ended {
            writes.push(tell_of_end(step, pod, &place.node));
            writes.extend(delete(step, pod));
        }
        if !place.fit.stay {
            writes.extend(alive.iter().flat_map(|pod| delete(step, pod)));
        } else if place.fit.run && place.pods.is_empty() && !place.waits {
            writes.extend(create(step, &place.node, &mut names));
        } else if step.set.spec.max_surge(1) == 0 {
            writes.extend(alive.iter().skip(1).flat_map(|pod| delete(step, pod)));
        }
    }
    writes
}

fn tell_of_end(step: &Step<'_>, pod: &Pod, node: &str) -> Write {
    let meta = &pod.object.meta;
    let (kind, word) = match pod.status.phase.as_str() {
        "Failed" => ("Warning", "Failed"),
        _ => ("Normal", "Succeeded"),
    };
    let message = format!(
        "Found {} daemon pod {}/{} on node {node}, will try to {} it",
        word.to_lowercase(),
        meta.namespace,
        meta.name,
        if word == "Failed" { "kill" } else { "delete" }
    );
    KIND.note(kind, &step.set.object, &format!("{word}DaemonPod"), message)
}

pub(super) fn delete(step: &Step<'_>, pod: &Pod) -> [Write; 2] {
    let message = format!("Deleted pod: {}", pod.name());
    [
        Write::Delete {
            key: pod.object.key(),
            uid: Some(pod.object.meta.uid.clone()),
            grace_seconds: None,
            propagation: None,
        },
        KIND.note("Normal", &step.set.object, "SuccessfulDelete", message),
    ]
}

pub(super) fn create(step: &Step<'_>, node: &str, names: &mut Vec<String>) -> [Write; 2] {
    let owner = &step.set.object;
    let prefix = format!("{}-", step.set.name());
    let name = free_pod_name(step.context, &owner.meta.namespace, &prefix, names);
    let made = template_for(step.set, &step.set.spec.template, node);
    let mut object = template::pod(&made, owner, &KIND);
    set(
        &mut object,
        &["metadata", "labels", REVISION],
        step.hash.as_str().into(),
    );
    set(&mut object, &["metadata", "generateName"], prefix.into());
    set(&mut object, &["metadata", "name"], name.as_str().into());
    names.push(name.clone());
    let message = format!("Created pod: {name}");
    [
        Write::Create {
            resource: Resource::PODS,
            object,
        },
        KIND.note("Normal", owner, "SuccessfulCreate", message),
    ]
}

fn status(step: &Step<'_>, pods: &[Pod]) -> Value {
    let mut counts = [0_i64; 6];
    let [desired, current, misplaced, ready, updated, available] = &mut counts;
    for place in &step.places {
        let here = pods.iter().filter(|pod| target(pod) == place.node);
        let oldest = here.min_by_key(|pod| {
            let meta = &pod.object.meta;
            (
                pod.spec.node_name.is_empty(),
                meta.creation_timestamp.clone(),
                meta.name.clone(),
            )
        });
        if !place.fit.run {
            *misplaced += i64::from(oldest.is_some());
            continue;
        }
        *desired += 1;
        let Some(pod) = oldest else { continue };
        *current += 1;
        let is_ready = pod.is_ready();
        *ready += i64::from(is_ready);
        *available += i64::from(is_ready && step.is_available(pod));
        *updated += i64::from(step.is_new(pod));
    }
    let mut status = json!({
        "currentNumberScheduled": *current,
        "numberMisscheduled": *misplaced,
        "desiredNumberScheduled": *desired,
        "numberReady": *ready,
    });
    for (field, count) in [
        ("observedGeneration", step.set.object.meta.generation),
        ("updatedNumberScheduled", *updated),
        ("numberAvailable", *available),
        ("numberUnavailable", *desired - *available),
        ("collisionCount", step.set.status.collision_count),
    ] {
        if count != 0 {
            status[field] = count.into();
        }
    }
    status
}
