//! Endpoints of Services in their two forms, slices and the older Endpoints objects, and the
//! mirroring of hand-written Endpoints into slices.

pub(crate) mod legacy;
pub(crate) mod mirror;
mod packing;
mod ports;
pub(crate) mod slices;
mod subsets;

use crate::fields::nullable;
use crate::labels::subset;
use crate::pods::Pod;
use crate::{Context, Key};
use model::{Event, EventKind, Object, Resource, Service, ServiceType, Timestamp, View};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The part of a Service that decides which Pods it has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SelectorOnly {
    #[serde(deserialize_with = "nullable")]
    spec: SelectorSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SelectorSpec {
    #[serde(deserialize_with = "nullable")]
    selector: BTreeMap<String, String>,
}

fn selector_of(service: &Object) -> BTreeMap<String, String> {
    let read: SelectorOnly = service.parse().unwrap_or_default();
    read.spec.selector
}

/// The Service of a key when its endpoints are made from Pods, and those Pods.
fn selected(context: &Context<'_>, object: &Arc<Object>) -> Option<(Service, Vec<Pod>)> {
    let service = Service::parse(object).ok()?;
    if service.kind == ServiceType::ExternalName {
        return None;
    }
    let selector = service.selector.as_ref()?;
    let pods = context
        .view
        .list(Resource::PODS, Some(&object.meta.namespace))
        .iter()
        .filter(|pod| subset(selector, &pod.meta.labels))
        .filter_map(Pod::parse)
        .collect();
    Some((service, pods))
}

/// The time to stamp on endpoints that change now.
fn trigger(
    context: &Context<'_>,
    controller: &'static str,
    key: &Key,
    service: &Service,
    pods: &[Pod],
) -> Option<Timestamp> {
    let created = Timestamp::parse(&service.meta.creation_timestamp);
    let changes = pods
        .iter()
        .filter_map(|pod| Some((pod.name().to_owned(), pod.ready_changed()?)))
        .collect();
    context.memory.trigger(controller, key, created, changes)
}

/// Keys of the Services that an event of a Pod concerns.
fn services_of_pod(event: &Event, view: &dyn View) -> Vec<Key> {
    let Some(labels) = concerned_labels(event) else {
        return Vec::new();
    };
    let namespace = &event.object.meta.namespace;
    view.list(Resource::SERVICES, Some(namespace))
        .iter()
        .filter(|service| {
            let selector = selector_of(service);
            !selector.is_empty() && labels.iter().any(|labels| subset(&selector, labels))
        })
        .map(|service| service.key())
        .collect()
}

/// Labels before and after, if the event can change endpoints at all.
fn concerned_labels(event: &Event) -> Option<BTreeSet<&BTreeMap<String, String>>> {
    let new = &event.object;
    let Some(old) = event
        .old
        .as_ref()
        .filter(|_| event.kind == EventKind::Modified)
    else {
        return Some(BTreeSet::from([&new.meta.labels]));
    };
    let same_meta = old.meta.labels == new.meta.labels
        && old.meta.deletion_timestamp == new.meta.deletion_timestamp;
    if same_meta && face(old) == face(new) {
        return None;
    }
    Some(BTreeSet::from([&old.meta.labels, &new.meta.labels]))
}

/// What endpoints show of a Pod.
fn face(object: &Arc<Object>) -> Option<impl PartialEq> {
    let pod = Pod::parse(object)?;
    let ips = pod.ips();
    Some((pod.is_ready(), pod.is_terminal(), ips, pod.spec))
}

/// Prefix of generated slice names; the dash goes when the name would become too long.
fn slice_prefix(name: &str) -> String {
    if name.len() < 253 {
        format!("{name}-")
    } else {
        name.to_owned()
    }
}
