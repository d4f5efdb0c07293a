//! Endpoints (v1) of Services with a selector.

use super::ports;
use super::slices::{names_host, target};
use super::subsets::{Subset, repack};
use super::{HEADLESS, TRIGGER_TIME, selected, services_of_pod, trigger};
use crate::fields::{elements, remove, set, set_strings};
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, IpFamily, Object, Resource, Service, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAME: &str = "endpoints-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Addresses in one Endpoints object
const MAX_ADDRESSES: usize = 1000;

/// Makes and keeps the Endpoints of Services.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    let key = || {
        Key::new(
            Resource::SERVICES,
            &object.meta.namespace,
            &object.meta.name,
        )
    };
    match object.resource {
        Resource::SERVICES => vec![key()],
        Resource::PODS => services_of_pod(event, view),
        Resource::ENDPOINTS if event.kind == EventKind::Deleted || is_ours(object) => vec![key()],
        _ => Vec::new(),
    }
}

fn is_ours(endpoints: &Object) -> bool {
    let manager = endpoints.meta.labels.get(MANAGED_BY);
    manager.is_some_and(|manager| manager == MANAGER)
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let (namespace, name) = (&*key.namespace, &*key.name);
    let stored = context.view.get(Resource::ENDPOINTS, namespace, name);
    let Some(object) = context.view.get(key.resource, namespace, name) else {
        context.memory.forget(NAME, key);
        let gone = stored.map(|endpoints| Write::Delete {
            key: endpoints.key(),
            uid: Some(endpoints.meta.uid.clone()),
            grace_seconds: None,
            propagation: None,
        });
        return Outcome::of(gone);
    };
    let Some((service, pods)) = selected(context, &object) else {
        return Outcome::default();
    };
    let time = trigger(context, NAME, key, &service, &pods).map(model::Timestamp::rfc3339);
    let subsets = repack(&subsets_of(&service, &pods));
    if stored
        .as_deref()
        .is_some_and(|stored| is_right(stored, &service, &subsets))
    {
        return Outcome::default();
    }
    let endpoints = endpoints(stored.as_deref(), &service, subsets, time);
    let resource = Resource::ENDPOINTS;
    Outcome::of([match stored {
        None if object.meta.is_deleting() => return Outcome::default(),
        None => Write::Create {
            resource,
            object: endpoints,
        },
        Some(_) => Write::Update {
            resource,
            object: endpoints,
        },
    }])
}

fn subsets_of(service: &Service, pods: &[Pod]) -> Vec<Subset> {
    let mut subsets = Vec::new();
    for pod in pods {
        let terminating = pod.is_terminating() && !service.publish_not_ready;
        if pod.is_terminal() || !pod.has_address() || terminating {
            continue;
        }
        let Some(address) = address(service, pod) else {
            continue;
        };
        let ports = ports::of_pod(service, pod);
        if ports.is_empty() && !(service.headless && service.ports.is_empty()) {
            continue;
        }
        let mut subset = Subset {
            ports,
            ..Subset::default()
        };
        if service.publish_not_ready || pod.is_ready() {
            subset.ready.push(address);
        } else {
            subset.not_ready.push(address);
        }
        subsets.push(subset);
    }
    subsets
}

/// Endpoints know one family, the Service's first.
fn address(service: &Service, pod: &Pod) -> Option<Value> {
    let ips = pod.ips();
    let v4 = match (service.ip_families.first(), service.cluster_ips.first()) {
        (Some(family), _) => *family == IpFamily::IPv4,
        (None, Some(ip)) => ip.is_ipv4(),
        (None, None) => ips.first()?.is_ipv4(),
    };
    let ip = ips.iter().find(|ip| ip.is_ipv4() == v4)?;
    let mut address = json!({
        "ip": ip.to_string(), "nodeName": pod.spec.node_name, "targetRef": target(pod),
    });
    if names_host(pod, service) {
        address["hostname"] = pod.spec.hostname.as_str().into();
    }
    Some(address)
}

fn is_right(stored: &Object, service: &Service, subsets: &[Subset]) -> bool {
    let value = stored.value();
    let present: Vec<Subset> = elements(&value, "/subsets")
        .iter()
        .map(Subset::parse)
        .collect();
    let mut labels = stored.meta.labels.clone();
    labels.remove(HEADLESS);
    labels.remove(MANAGED_BY);
    let mut wanted = service.meta.labels.clone();
    wanted.remove(HEADLESS);
    wanted.remove(MANAGED_BY);
    let mut truncated = subsets.to_vec();
    let over = truncate(&mut truncated);
    is_ours(stored)
        && labels == wanted
        && (present == truncated || repack(&present) == truncated)
        && over == stored.meta.annotations.contains_key(OVER_CAPACITY)
}

fn endpoints(
    stored: Option<&Object>,
    service: &Service,
    mut subsets: Vec<Subset>,
    time: Option<String>,
) -> Value {
    let mut value = stored.map_or_else(
        || {
            let id = &service.id;
            let metadata = json!({"name": &*id.name, "namespace": &*id.namespace});
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata})
        },
        Object::value,
    );
    let over = truncate(&mut subsets);
    if subsets.is_empty() {
        remove(&mut value, &["subsets"]);
    } else {
        let subsets = subsets.iter().map(Subset::value).collect();
        set(&mut value, &["subsets"], subsets);
    }
    let mut labels = service.meta.labels.clone();
    labels.remove(HEADLESS);
    if service.cluster_ips.is_empty() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    set_strings(&mut value, "labels", &labels);
    let mut annotations = stored.map_or_else(BTreeMap::new, |one| one.meta.annotations.clone());
    annotations.remove(TRIGGER_TIME);
    annotations.remove(OVER_CAPACITY);
    annotations.extend(time.map(|time| (TRIGGER_TIME.to_owned(), time)));
    annotations.extend(over.then(|| (OVER_CAPACITY.to_owned(), "truncated".to_owned())));
    set_strings(&mut value, "annotations", &annotations);
    value
}

/// Cuts down to the capacity, not ready addresses first; each subset keeps its share. Says whether
/// anything was cut.
fn truncate(subsets: &mut [Subset]) -> bool {
    let ready: usize = subsets.iter().map(|subset| subset.ready.len()).sum();
    let rest: usize = subsets.iter().map(|subset| subset.not_ready.len()).sum();
    if ready + rest <= MAX_ADDRESSES {
        return false;
    }
    let cut_ready = ready > MAX_ADDRESSES;
    let (room, total) = if cut_ready {
        (MAX_ADDRESSES, ready)
    } else {
        (MAX_ADDRESSES - ready, rest)
    };
    let mut left = room;
    for subset in subsets {
        let list = if cut_ready {
            subset.not_ready.clear();
            &mut subset.ready
        } else {
            &mut subset.not_ready
        };
        let share = (list.len() * room).div_ceil(total.max(1)).min(left);
        list.truncate(share);
        left -= list.len();
    }
    true
}
