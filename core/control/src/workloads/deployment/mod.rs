//! Deployments: ReplicaSets by template, rolled out step by step.

mod conditions;
mod revisions;
mod rollout;
mod scaling;
mod spec;

use super::claim::Claimant;
use super::replica_set::{self, ReplicaSet};
use super::{APPS, Kind, namespace_terminating};
use crate::{Context, Controller, Key, Outcome};
use model::{ApiError, Event, EventKind, Resource, View, Write};
pub(super) use revisions::without_empty;
use spec::Deployment;
pub(crate) use spec::scaled;

const NAME: &str = "deployment-controller";
pub(super) const KIND: Kind = Kind {
    resource: Resource::DEPLOYMENTS,
    api_version: APPS,
    kind: "Deployment",
    component: NAME,
};
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
            let set = replica_set::KIND
                .owner_of(object)
                .and_then(|owner| view.get(Resource::REPLICA_SETS, namespace, &owner.name));
            let owner = set.as_deref().and_then(|set| KIND.owner_of(set));
            let key = owner.map(|owner| KIND.key(namespace, &owner.name));
            key.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn keys_of_set(event: &Event, view: &dyn View) -> Vec<Key> {
    KIND.keys_of_owned(event, view, |object| {
        let deployment = Deployment::parse(object);
        deployment.is_some_and(|one| one.spec.selector.matches(&event.object.meta.labels))
    })
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(deployment) = object.as_ref().and_then(Deployment::parse) else {
        return Outcome::default();
    };
    let claimant = Claimant {
        owner: &deployment.object,
        kind: &KIND,
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
    let event = KIND.note("Warning", &deployment.object, reason, message.clone());
    if deployment.spec.has_deadline() {
        deployment.set_condition("Progressing", "False", reason, message, context.now);
    }
    let mut writes = vec![event];
    writes.extend(deployment.write());
    Outcome::of(writes)
}
