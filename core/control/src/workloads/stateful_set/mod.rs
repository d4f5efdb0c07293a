//! StatefulSets: Pods with stable names, one after the other.

mod claims;
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
        Resource::VOLUME_CLAIMS => keys_of_claim(object, view),
        _ => Vec::new(),
    }
}

/// Orphans belong to the set whose name they carry.
fn keys_of_owned(event: &Event, view: &dyn View) -> Vec<Key> {
    let parent = parent_and_ordinal(&event.object.meta.name).map(|(parent, _)| parent);
    KIND.keys_of_owned(event, view, |set| parent == Some(&*set.meta.name))
}

/// Sets whose Pods can have a claim of that name.
fn keys_of_claim(claim: &Object, view: &dyn View) -> Vec<Key> {
    let Some((parent, _)) = parent_and_ordinal(&claim.meta.name) else {
        return Vec::new();
    };
    let sets = view.list(Resource::STATEFUL_SETS, Some(&claim.meta.namespace));
    let mut keys: Vec<Key> = sets.iter().map(|set| set.key()).collect();
    keys.retain(|key| {
        let rest = parent.strip_suffix(&*key.name);
        rest.is_some_and(|rest| rest.ends_with('-'))
    });
    keys
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

/// Tells of a Pod or claim that could not be made or deleted.
fn refused(context: &Context<'_>, key: &Key, write: &Write, error: &ApiError) -> Outcome {
    let created = |object| crate::fields::text(object, "/metadata/name").to_owned();
    let (verb, what) = match write {
        Write::Create { resource, object } if *resource == Resource::PODS => {
            ("Create", format!("Pod {}", created(object)))
        }
        Write::Create { resource, object } if *resource == Resource::VOLUME_CLAIMS => {
            let claim = created(object);
            let ordinal = parent_and_ordinal(&claim).map_or(0, |(_, ordinal)| ordinal);
            let pod = format!("{}-{ordinal}", key.name);
            ("Create", format!("Claim {claim} for Pod {pod}"))
        }
        Write::Delete { key, .. } if key.resource == Resource::PODS => {
            ("Delete", format!("Pod {}", key.name))
        }
        _ => return Outcome::default(),
    };
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(object) = object.filter(|_| !namespace_terminating(error)) else {
        return Outcome::default();
    };
    let set = &object.meta.name;
    let message = format!("{verb} {what} in StatefulSet {set} failed error: {error}");
    let reason = format!("Failed{verb}");
    Outcome::of([KIND.note("Warning", &object, &reason, message)])
}
