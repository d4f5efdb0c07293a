//! DaemonSets: one Pod on each Node that is chosen.

mod nodes;
mod spec;
mod step;
mod update;

use super::claim::Claimant;
use super::{APPS, Kind};
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, Resource, View};
use spec::DaemonSet;

const KIND: Kind = Kind {
    resource: Resource::DAEMON_SETS,
    api_version: APPS,
    kind: "DaemonSet",
    component: "daemonset-controller",
};

/// Names the template's revision, on Pods and on revisions.
const REVISION: &str = "controller-revision-hash";
/// Counts the changes of the template, on Pods and on the set.
const GENERATION: &str = "pod-template-generation";
const GENERATION_OF_SET: &str = "deprecated.daemonset.template.generation";

/// Keeps the Pods of DaemonSets.
pub(crate) const CONTROLLER: Controller = Controller {
    name: KIND.component,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: |context, key, write, error| KIND.refused(context, key, write, error),
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::DAEMON_SETS => vec![object.key()],
        Resource::PODS | Resource::CONTROLLER_REVISIONS => KIND.keys_of_owned(event, view, |set| {
            let set = DaemonSet::parse(set);
            set.is_some_and(|set| set.spec.selector.matches(&object.meta.labels))
        }),
        Resource::NODES if matters(event) => {
            let sets = view.list(Resource::DAEMON_SETS, None);
            sets.iter().map(|set| set.key()).collect()
        }
        _ => Vec::new(),
    }
}

/// Heartbeats of a Node change nothing for its Pods.
fn matters(event: &Event) -> bool {
    let old = event
        .old
        .as_ref()
        .filter(|_| event.kind == EventKind::Modified);
    old.is_none_or(|old| {
        old.meta.labels != event.object.meta.labels
            || nodes::taints(old) != nodes::taints(&event.object)
    })
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(set) = object.as_ref().and_then(DaemonSet::parse) else {
        return Outcome::default();
    };
    let claimant = Claimant {
        owner: &set.object,
        kind: &KIND,
        selector: &set.spec.selector,
    };
    let owned = |resource| {
        let mut all = context.view.list(resource, Some(&key.namespace));
        all.retain(|one| claimant.controls(one) || one.meta.controller().is_none());
        claimant.claim(all)
    };
    let (pods, mut claims) = owned(Resource::PODS);
    let (revisions, adopted) = owned(Resource::CONTROLLER_REVISIONS);
    claims.extend(adopted);
    if !claims.is_empty() {
        return Outcome::of(claims);
    }
    let pods: Vec<Pod> = pods.iter().filter_map(Pod::parse).collect();
    step::run(context, &set, &pods, &revisions)
}
