//! Jobs: Pods that run to their end.

mod end;
mod failure_policy;
mod indexes;
mod members;
mod spec;
mod step;
mod tracking;

use super::claim::Claimant;
use super::{BATCH, Kind};
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, Object, Resource, Timestamp, View, Write};
pub(super) use spec::Job;
use std::sync::Arc;
use std::time::Duration;

/// Jobs
pub(super) const KIND: Kind = Kind {
    resource: Resource::JOBS,
    api_version: BATCH,
    kind: "Job",
    component: "job-controller",
};

/// Keeps a Pod until its end is counted.
const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const MANAGER: &str = "kubernetes.io/job-controller";

/// Runs Jobs.
pub(crate) const CONTROLLER: Controller = Controller {
    name: KIND.component,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: |context, key, write, error| KIND.refused(context, key, write, error),
};

/// Deletes Jobs some time after their end.
pub(crate) const TTL: Controller = Controller {
    name: "ttl-after-finished-controller",
    keys: |event, _| match event.object.resource {
        Resource::JOBS if event.kind != EventKind::Deleted => vec![event.object.key()],
        _ => Vec::new(),
    },
    reconcile: expire,
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::JOBS => vec![object.key()],
        Resource::PODS => KIND.keys_of_owned(event, view, |job| {
            let job = Job::parse(job);
            job.is_some_and(|job| job.spec.selector.matches(&object.meta.labels))
        }),
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(object) = object else {
        return let_go(context, key);
    };
    let Some(job) = Job::parse(&object).filter(|job| !job.is_managed_elsewhere()) else {
        return Outcome::default();
    };
    let claimant = Claimant {
        owner: &job.object,
        kind: &KIND,
        selector: &job.spec.selector,
    };
    let mut pods = context.view.list(Resource::PODS, Some(&key.namespace));
    pods.retain(|pod| claimant.controls(pod) || pod.meta.controller().is_none());
    let (pods, claims) = claimant.claim(pods);
    if !claims.is_empty() {
        return Outcome::of(claims);
    }
    let pods: Vec<Pod> = pods.iter().filter_map(Pod::parse).collect();
    if job.is_finished() {
        let held = pods.iter().filter(|pod| is_held(&pod.object));
        return Outcome::of(held.map(|pod| release(&pod.object)));
    }
    step::run(context, &job, &pods)
}

fn is_held(pod: &Object) -> bool {
    pod.meta.finalizers.iter().any(|one| one == FINALIZER)
}

/// Takes the finalizer off a Pod, whatever version it is of by now.
fn release(pod: &Object) -> Write {
    let mut finalizers = pod.meta.finalizers.clone();
    finalizers.retain(|one| one != FINALIZER);
    let finalizers = if finalizers.is_empty() {
        serde_json::Value::Null
    } else {
        finalizers.into()
    };
    Write::MergePatch {
        key: pod.key(),
        subresource: "",
        patch: serde_json::json!({
            "metadata": {"uid": &*pod.meta.uid, "finalizers": finalizers},
        }),
    }
}

/// Lets the Pods of a Job go that is no longer there.
fn let_go(context: &Context<'_>, key: &Key) -> Outcome {
    let pods = context.view.list(Resource::PODS, Some(&key.namespace));
    let left = pods.iter().filter(|pod| {
        let owner = KIND.owner_of(pod);
        is_held(pod) && owner.is_some_and(|owner| *owner.name == *key.name)
    });
    Outcome::of(left.map(|pod| release(pod)))
}

/// `spec.ttlSecondsAfterFinished`
fn expire(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(job) = object.as_ref().and_then(Job::parse) else {
        return Outcome::default();
    };
    let due = due(&job).filter(|_| !job.object.meta.is_deleting());
    let Some(due) = due else {
        return Outcome::default();
    };
    let left = due.micros() - context.now.micros();
    if left > 0 {
        return Outcome {
            writes: Vec::new(),
            again_in: Some(Duration::from_micros(u64::try_from(left).unwrap_or(0))),
        };
    }
    Outcome::of([delete(&job.object, Some("Foreground"))])
}

fn due(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.ttl_seconds_after_finished?;
    Some(job.finish_time()?.plus_seconds(seconds))
}

fn delete(object: &Arc<Object>, propagation: Option<&'static str>) -> Write {
    Write::Delete {
        key: object.key(),
        uid: Some(object.meta.uid.clone()),
        grace_seconds: None,
        propagation,
    }
}
