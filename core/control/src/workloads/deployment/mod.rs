//! Deployments: ReplicaSets by template, rolled out step by step.

mod conditions;
mod revisions;
mod rollout;
mod scaling;
mod spec;

use super::claim::Claimant;
use super::replica_set::ReplicaSet;
use super::{APPS, namespace_terminating, note};
use crate::owners::controller_of;
use crate::{Context, Controller, Key, Outcome};
use model::{ApiError, Event, EventKind, Resource, View, Write};
pub(super) use revisions::without_empty;
use spec::Deployment;
use std::collections::BTreeSet;

const NAME: &str = "deployment-controller";
const KIND: &str = "Deployment";
const HASH_LABEL: &str = "pod-template-hash";

/// Rolls Deployments out.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::DEPLOYMENTS => vec![object.key()],
        Resource::REPLICA_SETS => keys_of_set(event, view),
        // A Recreate waits for the last old Pod to go.
        Resource::PODS if event.kind == EventKind::Deleted => {
            let namespace = &object.meta.namespace;
            let set = controller_of(object, APPS, "ReplicaSet")
                .and_then(|owner| view.get(Resource::REPLICA_SETS, namespace, &owner.name));
            let owner = set
                .as_deref()
                .and_then(|set| controller_of(set, APPS, KIND));
            let key = owner.map(|owner| Key::new(Resource::DEPLOYMENTS, namespace, &owner.name));
            key.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn keys_of_set(event: &Event, view: &dyn View) -> Vec<Key> {
    let set = &event.object;
    let namespace = &set.meta.namespace;
    let versions = [Some(set), event.old.as_ref()];
    let owners = versions.into_iter().flatten();
    let owners = owners.filter_map(|set| controller_of(set, APPS, KIND));
    let mut found: BTreeSet<Key> = owners
        .map(|owner| Key::new(Resource::DEPLOYMENTS, namespace, &owner.name))
        .collect();
    if set.meta.controller().is_none() && event.kind != EventKind::Deleted {
        let all = view.list(Resource::DEPLOYMENTS, Some(namespace));
        let adopting = all
            .iter()
            .filter_map(Deployment::parse)
            .filter(|one| one.spec.selector.matches(&set.meta.labels));
        found.extend(adopting.map(|one| one.object.key()));
    }
    found.into_iter().collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(deployment) = object.as_ref().and_then(Deployment::parse) else {
        return Outcome::default();
    };
    let claimant = Claimant {
        owner: &deployment.object,
        kind: KIND,
        selector: &deployment.spec.selector,
    };
    let mut sets = context
        .view
        .list(Resource::REPLICA_SETS, Some(&key.namespace));
    sets.retain(|set| claimant.controls(set) || set.meta.controller().is_none());
    let (owned, claims) = claimant.claim(sets);
    if !claims.is_empty() {
        return Outcome::of(claims);
    }
    let sets = owned.iter().filter_map(ReplicaSet::parse).collect();
    rollout::Rollout::new(context, deployment, sets).run()
}

/// Tells of a ReplicaSet that could not be made, in the Progressing condition and as an event.
fn refused(context: &Context<'_>, key: &Key, write: &Write, error: &ApiError) -> Outcome {
    let Write::Create { object: set, .. } = write else {
        return Outcome::default();
    };
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(mut deployment) = object.as_ref().and_then(Deployment::parse) else {
        return Outcome::default();
    };
    if namespace_terminating(error) {
        return Outcome::default();
    }
    let name = crate::fields::text(set, "/metadata/name");
    let message = format!("Failed to create new replica set \"{name}\": {error}");
    let reason = "ReplicaSetCreateError";
    let event = note(NAME, "Warning", &deployment.object, reason, message.clone());
    if deployment.spec.has_deadline() {
        deployment.set_condition("Progressing", "False", reason, message, context.now);
    }
    let mut writes = vec![event];
    writes.extend(deployment.write());
    Outcome::of(writes)
}
