//! ServiceCIDRs and the IPAddresses of Services.

use crate::fields::{elements, nullable, set, text};
use crate::garbage::without_finalizer;
use crate::{Context, Controller, Key, Outcome};
use model::{Cidr, Event, EventKind, EventNote, Object, ObjectKey, Resource, Service, Timestamp};
use model::{View, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
const ALLOCATOR: &str = "ipallocator.k8s.io";
const REPAIR: &str = "ipallocator-repair-controller";
/// How long a deleted ServiceCIDR stays at least, so that nobody still allocates from it
const CIDR_GRACE_SECONDS: i64 = 10;
/// How long an IPAddress may be without its Service
const ORPHAN_GRACE_SECONDS: i64 = 60;

/// Readiness and deletion of ServiceCIDRs.
pub(crate) const SERVICE_CIDRS: Controller = Controller {
    name: "service-cidr-controller",
    keys: cidr_keys,
    reconcile: cidr,
    refused: crate::silent,
};

/// Consistency of Services and their IPAddresses.
pub(crate) const IP_ADDRESSES: Controller = Controller {
    name: REPAIR,
    keys: address_keys,
    reconcile: repair,
    refused: crate::silent,
};

/// `spec.cidrs` of a ServiceCIDR.
fn ranges(object: &Object) -> Vec<Cidr> {
    let value = object.value();
    let texts = elements(&value, "/spec/cidrs").iter();
    texts
        .filter_map(|text| text.as_str()?.parse().ok())
        .collect()
}

fn cidr_keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    let all = || view.list(Resource::SERVICE_CIDRS, None);
    match object.resource {
        Resource::SERVICE_CIDRS => {
            let mut keys: BTreeSet<Key> = all().iter().map(|one| one.key()).collect();
            keys.insert(object.key());
            keys.into_iter().collect()
        }
        Resource::IP_ADDRESSES if event.kind != EventKind::Modified => {
            let Ok(address) = object.meta.name.parse::<IpAddr>() else {
                return Vec::new();
            };
            let all = all();
            let deleting = all.iter().filter(|one| one.meta.is_deleting());
            let holding =
                deleting.filter(|one| ranges(one).iter().any(|range| range.contains(address)));
            holding.map(|one| one.key()).collect()
        }
        _ => Vec::new(),
    }
}

fn cidr(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let guarded = object.meta.finalizers.iter().any(|one| one == FINALIZER);
    if object.meta.is_deleting() {
        return if guarded {
            end_cidr(context, &object)
        } else {
            Outcome::default()
        };
    }
    if !guarded {
        let mut finalizers = object.meta.finalizers.clone();
        finalizers.push(FINALIZER.to_owned());
        return Outcome::of([Write::MergePatch {
            key: object.key(),
            subresource: "",
            patch: json!({"metadata": {"uid": &*object.meta.uid, "finalizers": finalizers}}),
        }]);
    }
    let message = "Kubernetes Service CIDR is ready";
    Outcome::of(ready(&object, "True", "", message, context.now))
}

/// Keeps a deleted ServiceCIDR until no address needs it.
fn end_cidr(context: &Context<'_>, object: &Object) -> Outcome {
    let others: Vec<Cidr> = context
        .view
        .list(Resource::SERVICE_CIDRS, None)
        .iter()
        .filter(|one| one.meta.name != object.meta.name)
        .flat_map(|one| ranges(one))
        .collect();
    let ranges = ranges(object);
    let within = |inner: &Cidr, outer: &Cidr| {
        outer.prefix() <= inner.prefix() && outer.contains(inner.base())
    };
    let covered = |range: &Cidr| others.iter().any(|other| within(range, other));
    let needed = !ranges.iter().all(covered)
        && context
            .view
            .list(Resource::IP_ADDRESSES, None)
            .iter()
            .filter(|one| label(one, MANAGED_BY) == Some(ALLOCATOR))
            .filter_map(|one| one.meta.name.parse::<IpAddr>().ok())
            .any(|ip| {
                let holds = |range: &Cidr| range.contains(ip);
                ranges.iter().any(holds) && !others.iter().any(holds)
            });
    if needed {
        let message = "There are still IPAddresses referencing the ServiceCIDR, please remove \
                       them or create a new ServiceCIDR";
        return Outcome::of(ready(object, "False", "Terminating", message, context.now));
    }
    let since = object.meta.deletion_timestamp.as_deref();
    let end = since.and_then(Timestamp::parse);
    let end = end.map(|since| since.plus_seconds(CIDR_GRACE_SECONDS));
    match end.and_then(|end| left_until(end, context.now)) {
        Some(left) => Outcome {
            writes: Vec::new(),
            again_in: Some(left),
        },
        None => Outcome::of([without_finalizer(object, FINALIZER)]),
    }
}

fn left_until(end: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = u64::try_from(end.micros() - now.micros()).ok()?;
    (left > 0).then(|| Duration::from_micros(left))
}

fn label<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.meta.labels.get(name).map(String::as_str)
}

/// The write of condition Ready, if it says something else now.
fn ready(
    object: &Object,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Option<Write> {
    let mut value = object.value();
    let mut conditions = elements(&value, "/status/conditions").to_vec();
    let old = conditions.iter().position(|one| one["type"] == "Ready");
    let mut new = json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": now.rfc3339(),
    });
    match old {
        None => conditions.push(new),
        Some(at) => {
            let old = &conditions[at];
            let same = |field| text(old, field) == text(&new, field);
            if same("/status") && same("/reason") && same("/message") {
                return None;
            }
            if same("/status") {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            conditions[at] = new;
        }
    }
    set(&mut value, &["status", "conditions"], conditions.into());
    Some(Write::UpdateSubresource {
        resource: object.resource,
        subresource: "status",
        object: value,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawAddress {
    #[serde(deserialize_with = "nullable")]
    spec: AddressSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AddressSpec {
    #[serde(deserialize_with = "nullable")]
    parent_ref: Parent,
}

/// What holds an address.
#[derive(Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Parent {
    #[serde(deserialize_with = "nullable")]
    group: String,
    #[serde(deserialize_with = "nullable")]
    resource: String,
    #[serde(deserialize_with = "nullable")]
    namespace: String,
    #[serde(deserialize_with = "nullable")]
    name: String,
}

fn parent(address: &Object) -> Parent {
    let raw: RawAddress = address.parse().unwrap_or_default();
    raw.spec.parent_ref
}

fn address_keys(event: &Event, _: &dyn View) -> Vec<Key> {
    match event.object.resource {
        Resource::SERVICES if event.kind == EventKind::Deleted => {
            let service = Service::parse(&event.object).ok();
            let ips = service
                .map(|service| service.cluster_ips)
                .unwrap_or_default();
            let names = ips.iter().map(IpAddr::to_string);
            names
                .map(|name| Key::new(Resource::IP_ADDRESSES, "", &name))
                .collect()
        }
        Resource::SERVICES | Resource::IP_ADDRESSES => vec![event.object.key()],
        _ => Vec::new(),
    }
}

fn repair(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, &key.namespace, &key.name) else {
        return Outcome::default();
    };
    if key.resource == Resource::SERVICES {
        return Service::parse(&object).map_or_else(
            |_| Outcome::default(),
            |service| Outcome::of(repair_service(context, &object, &service)),
        );
    }
    repair_address(context, &object)
}

/// Makes the IPAddresses that a Service should have.
fn repair_service(context: &Context<'_>, object: &Arc<Object>, service: &Service) -> Vec<Write> {
    let cidrs = context.view.list(Resource::SERVICE_CIDRS, None);
    let ranges: Vec<Cidr> = cidrs.iter().flat_map(|one| ranges(one)).collect();
    let mut writes = Vec::new();
    for ip in &service.cluster_ips {
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        let name = ip.to_string();
        if !ranges.iter().any(|range| range.contains(*ip)) {
            continue;
        }
        let stored = context.view.get(Resource::IP_ADDRESSES, "", &name);
        let ok = stored.as_ref().is_some_and(|stored| {
            let held = parent(stored);
            let labelled = label(stored, MANAGED_BY) == Some(ALLOCATOR)
                && label(stored, FAMILY) == Some(family);
            let ours = held == parent_of(service);
            // An address that two Services claim stays with the one it names.
            (ours && labelled) || (!ours && holds(context, &held, &name))
        });
        if ok {
            continue;
        }
        let message = format!("Cluster IP [{family}]: {name} is not allocated; repairing");
        writes.push(warn(object, "ClusterIPNotAllocated", message));
        writes.extend(stored.map(|stored| delete(&stored)));
        writes.push(Write::Create {
            resource: Resource::IP_ADDRESSES,
            object: new_address(&name, family, service),
        });
    }
    writes
}

fn parent_of(service: &Service) -> Parent {
    Parent {
        group: String::new(),
        resource: "services".to_owned(),
        namespace: service.id.namespace.to_string(),
        name: service.id.name.to_string(),
    }
}

fn new_address(name: &str, family: &str, service: &Service) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": name, "labels": {FAMILY: family, MANAGED_BY: ALLOCATOR}},
        "spec": {"parentRef": {
            "resource": "services", "namespace": &*service.id.namespace, "name": &*service.id.name,
        }},
    })
}

/// Whether the Service behind a reference exists and has the address.
fn holds(context: &Context<'_>, parent: &Parent, address: &str) -> bool {
    if !parent.group.is_empty() || parent.resource != "services" {
        return false;
    }
    let service = context
        .view
        .get(Resource::SERVICES, &parent.namespace, &parent.name);
    let service = service.and_then(|service| Service::parse(&service).ok());
    service.is_some_and(|service| {
        service
            .cluster_ips
            .iter()
            .any(|ip| ip.to_string() == address)
    })
}

/// Removes an IPAddress of the allocator whose Service is gone or has another address.
fn repair_address(context: &Context<'_>, object: &Arc<Object>) -> Outcome {
    let (held, name) = (parent(object), &object.meta.name);
    if label(object, MANAGED_BY) != Some(ALLOCATOR) || holds(context, &held, name) {
        return Outcome::default();
    }
    let created = Timestamp::parse(&object.meta.creation_timestamp);
    let end = created.map(|created| created.plus_seconds(ORPHAN_GRACE_SECONDS));
    if let Some(left) = end.and_then(|end| left_until(end, context.now)) {
        return Outcome {
            writes: Vec::new(),
            again_in: Some(left),
        };
    }
    let (namespace, service) = (&held.namespace, &held.name);
    let message = format!(
        "IPAddress: {name} for Service {namespace}/{service} appears to have leaked: cleaning up"
    );
    let event = warn(object, "IPAddressNotAllocated", message);
    Outcome::of([event, delete(object)])
}

fn delete(object: &Object) -> Write {
    Write::Delete {
        key: ObjectKey::new(object.resource, "", &object.meta.name),
        uid: Some(object.meta.uid.clone()),
        grace_seconds: None,
        propagation: None,
    }
}

fn warn(object: &Arc<Object>, reason: &str, message: String) -> Write {
    Write::Note(EventNote {
        regarding: object.clone(),
        kind: "Warning",
        reason: reason.to_owned(),
        message,
        component: REPAIR,
    })
}
