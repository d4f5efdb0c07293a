//! StatefulSets: Pods with stable names, one after the other.

mod spec;
mod step;

use super::claim::Claimant;
use super::{APPS, Kind, namespace_terminating};
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{ApiError, Event, Object, Resource, View, Write};
use spec::StatefulSet;
use std::sync::Arc;

const NAME: &str = "statefulset-controller";
const KIND: Kind = Kind {
    resource: Resource::STATEFUL_SETS,
    api_version: APPS,
    kind: "StatefulSet",
    component: NAME,
};
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
const REVISION: &str = "controller-revision-hash";
const HASH: &str = "controller.kubernetes.io/hash";

/// Keeps the Pods of StatefulSets.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::STATEFUL_SETS => vec![object.key()],
        Resource::PODS | Resource::CONTROLLER_REVISIONS => keys_of_owned(event, view),
        _ => Vec::new(),
    }
}

/// Orphans belong to the set whose name they carry.
fn keys_of_owned(event: &Event, view: &dyn View) -> Vec<Key> {
    let parent = parent_and_ordinal(&event.object.meta.name).map(|(parent, _)| parent);
    KIND.keys_of_owned(event, view, |set| parent == Some(&*set.meta.name))
}

/// `web-7` → `web` and 7; `None` for names that no StatefulSet gives.
fn parent_and_ordinal(name: &str) -> Option<(&str, i64)> {
    let (parent, ordinal) = name.rsplit_once('-')?;
    let digits = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
    let ordinal: i32 = ordinal.parse().ok().filter(|_| digits)?;
    (!parent.is_empty()).then_some((parent, i64::from(ordinal)))
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(set) = object.as_ref().and_then(StatefulSet::parse) else {
        return Outcome::default();
    };
    let claimant = Claimant {
        owner: &set.object,
        kind: &KIND,
        selector: &set.spec.selector,
    };
    let own = |object: &Arc<Object>| {
        let parent = parent_and_ordinal(&object.meta.name).map(|(parent, _)| parent);
        claimant.controls(object)
            || (object.meta.controller().is_none() && parent == Some(&*set.object.meta.name))
    };
    let mut pods = context.view.list(Resource::PODS, Some(&key.namespace));
    pods.retain(own);
    let (pods, mut claims) = claimant.claim(pods);
    let revisions = context
        .view
        .list(Resource::CONTROLLER_REVISIONS, Some(&key.namespace));
    let (revisions, adopted) = claimant.claim(revisions);
    claims.extend(adopted);
    if !claims.is_empty() {
        return Outcome::of(claims);
    }
    let pods = pods.iter().filter_map(Pod::parse).collect();
    step::run(context, &set, pods, &revisions)
}

/// Tells of a Pod that could not be made or deleted.
fn refused(context: &Context<'_>, key: &Key, write: &Write, error: &ApiError) -> Outcome {
    let (verb, name) = match write {
        Write::Create { resource, object } if *resource == Resource::PODS => (
            "Create",
            crate::fields::text(object, "/metadata/name").to_owned(),
        ),
        Write::Delete { key, .. } if key.resource == Resource::PODS => {
            ("Delete", key.name.to_string())
        }
        _ => return Outcome::default(),
    };
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(object) = object.filter(|_| !namespace_terminating(error)) else {
        return Outcome::default();
    };
    let set = &object.meta.name;
    let message = format!("{verb} Pod {name} in StatefulSet {set} failed error: {error}");
    let reason = format!("Failed{verb}");
    Outcome::of([KIND.note("Warning", &object, &reason, message)])
}
