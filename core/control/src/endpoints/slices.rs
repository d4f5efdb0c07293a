//! EndpointSlices of Services with a selector.

use super::packing::{Identity, Packed, Slice, identity, pack};
use super::ports::{self, Port};
use super::{HEADLESS, MANAGED_BY, SERVICE_NAME, TRIGGER_TIME};
use super::{selected, selector_of, services_of_pod, slice_prefix, trigger};
use crate::fields::{set, set_strings};
use crate::owners::controller_reference;
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, IpFamily, Object, ObjectKey, Resource, Service, View, Write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NAME: &str = "endpointslice-controller";
/// Value of the label `endpointslice.kubernetes.io/managed-by`
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Makes and keeps the slices of Services.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    match event.object.resource {
        Resource::SERVICES => vec![event.object.key()],
        Resource::PODS => services_of_pod(event, view),
        Resource::ENDPOINT_SLICES => services_of_slice(event, MANAGER),
        Resource::NODES if event.kind == EventKind::Added => {
            let services = view.list(Resource::SERVICES, None);
            let with_pods = services.iter().filter(|one| !selector_of(one).is_empty());
            with_pods.map(|service| service.key()).collect()
        }
        _ => Vec::new(),
    }
}

/// Keys of the Services whose slice, made by `manager`, was changed or removed.
pub(super) fn services_of_slice(event: &Event, manager: &str) -> Vec<Key> {
    let versions = [Some(&event.object), event.old.as_ref()];
    let mut found: Vec<Key> = versions
        .into_iter()
        .flatten()
        .filter(|slice| {
            slice
                .meta
                .labels
                .get(MANAGED_BY)
                .is_some_and(|by| by == manager)
        })
        .filter_map(|slice| {
            let service = slice.meta.labels.get(SERVICE_NAME)?;
            Some(Key::new(Resource::SERVICES, &slice.meta.namespace, service))
        })
        .collect();
    found.dedup();
    found
}

/// The slices of a Service that `manager` made and nobody is deleting.
pub(super) fn managed(
    view: &dyn View,
    namespace: &str,
    name: &str,
    manager: &str,
) -> Vec<Arc<Object>> {
    let mut slices = view.list(Resource::ENDPOINT_SLICES, Some(namespace));
    slices.retain(|slice| {
        let label = |key: &str| slice.meta.labels.get(key).map(String::as_str);
        label(SERVICE_NAME) == Some(name)
            && label(MANAGED_BY) == Some(manager)
            && !slice.meta.is_deleting()
    });
    slices
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, &key.namespace, &key.name) else {
        context.memory.forget(NAME, key);
        return Outcome::default();
    };
    let Some((service, pods)) = selected(context, &object) else {
        return Outcome::default();
    };
    let time = trigger(context, NAME, key, &service, &pods);
    let plan = Plan {
        context,
        object: &object,
        service: &service,
        pods: &pods,
        labels: slice_labels(&service),
        time: time.map(model::Timestamp::rfc3339),
    };
    Outcome {
        writes: plan.writes(),
        again_in: None,
    }
}

/// Labels of the Service without reserved ones, and the three that slices carry.
fn slice_labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.meta.labels.clone();
    for reserved in [SERVICE_NAME, MANAGED_BY, HEADLESS] {
        labels.remove(reserved);
    }
    if service.cluster_ips.is_empty() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.id.name.to_string());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// The endpoints of one set of ports.
struct Group {
    /// In the order of the Service
    ports: Vec<Port>,
    endpoints: BTreeMap<Identity, Value>,
}

struct Plan<'a> {
    context: &'a Context<'a>,
    object: &'a Object,
    service: &'a Service,
    pods: &'a [Pod],
    labels: BTreeMap<String, String>,
    time: Option<String>,
}

/// Writes of one address family, before creates and deletes are turned into updates.
#[derive(Default)]
struct Changes {
    create: Vec<Value>,
    update: Vec<Slice>,
    delete: Vec<Slice>,
}

impl Plan<'_> {
    fn writes(&self) -> Vec<Write> {
        let (namespace, name) = (&self.object.meta.namespace, &self.object.meta.name);
        let stored = managed(self.context.view, namespace, name, MANAGER);
        let mut by_family: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        for slice in stored.iter().map(|object| Slice::open(object)) {
            by_family
                .entry(slice.family.clone())
                .or_default()
                .push(slice);
        }
        let mut writes = Vec::new();
        for family in self.families() {
            let slices = by_family.remove(family).unwrap_or_default();
            writes.extend(self.finish(self.plan_family(family, slices)));
        }
        let foreign = by_family.into_values().flatten();
        writes.extend(foreign.map(|slice| delete(&slice)));
        writes
    }

    fn families(&self) -> BTreeSet<&'static str> {
        let named = self.service.ip_families.iter().map(|one| match one {
            IpFamily::IPv4 => "IPv4",
            IpFamily::IPv6 => "IPv6",
        });
        let named: BTreeSet<&str> = named.collect();
        if !named.is_empty() {
            return named;
        }
        match self.service.cluster_ips.first() {
            Some(ip) if ip.is_ipv4() => BTreeSet::from(["IPv4"]),
            Some(_) => BTreeSet::from(["IPv6"]),
            None => BTreeSet::from(["IPv4", "IPv6"]),
        }
    }

    fn plan_family(&self, family: &str, slices: Vec<Slice>) -> Changes {
        let had = slices.len();
        let mut groups = self.groups(family);
        let mut by_ports: BTreeMap<Vec<Port>, Vec<Slice>> = BTreeMap::new();
        let mut changes = Changes::default();
        for slice in slices {
            if self.owns(&slice) {
                by_ports.entry(slice.ports.clone()).or_default().push(slice);
            } else {
                changes.delete.push(slice);
            }
        }
        for (ports, group) in &mut groups {
            let slices = by_ports.remove(ports).unwrap_or_default();
            let endpoints = std::mem::take(&mut group.endpoints);
            let packed = pack(slices, endpoints, |slice| self.labels_differ(slice));
            self.take(&mut changes, packed, family, &group.ports);
        }
        changes.delete.extend(by_ports.into_values().flatten());
        if had == changes.delete.len() && changes.create.is_empty() {
            self.place_holder(&mut changes, family);
        }
        changes
    }

    fn take(&self, changes: &mut Changes, packed: Packed, family: &str, ports: &[Port]) {
        changes.update.extend(packed.update);
        changes.delete.extend(packed.delete);
        let new = packed.create.into_iter();
        changes
            .create
            .extend(new.map(|endpoints| self.new_slice(family, ports, endpoints)));
    }

    /// A Service always has a slice, if need be an empty one.
    fn place_holder(&self, changes: &mut Changes, family: &str) {
        if let [only] = changes.delete.as_slice()
            && only.ports.is_empty()
            && only.endpoints.is_empty()
            && !self.all_labels_differ(only)
        {
            changes.delete.clear();
            return;
        }
        changes.create.push(self.new_slice(family, &[], Vec::new()));
    }

    fn groups(&self, family: &str) -> BTreeMap<Vec<Port>, Group> {
        let mut groups: BTreeMap<Vec<Port>, Group> = BTreeMap::new();
        for pod in self.pods {
            if pod.is_terminal() || !pod.has_address() {
                continue;
            }
            let ports = ports::of_pod(self.service, pod);
            let group = groups
                .entry(ports::sorted(ports.clone()))
                .or_insert_with(|| Group {
                    ports,
                    endpoints: BTreeMap::new(),
                });
            if let Some(endpoint) = self.endpoint(pod, family) {
                group.endpoints.insert(identity(&endpoint), endpoint);
            }
        }
        groups
    }

    /// The endpoint of a Pod; `None` without an address of the family, or on an unknown node.
    fn endpoint(&self, pod: &Pod, family: &str) -> Option<Value> {
        let ips = pod.ips().into_iter();
        let ips = ips.filter(|ip| ip.is_ipv4() == (family == "IPv4"));
        let addresses: Vec<String> = ips.map(|ip| ip.to_string()).collect();
        let node = self
            .context
            .view
            .get(Resource::NODES, "", &pod.spec.node_name);
        let publish = self.service.publish_not_ready;
        if addresses.is_empty() || (node.is_none() && !publish) {
            return None;
        }
        let (serving, terminating) = (pod.is_ready(), pod.is_terminating());
        let ready = publish || (serving && !terminating);
        let mut endpoint = json!({
            "addresses": addresses,
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "targetRef": target(pod),
        });
        let zone = node.as_ref().and_then(|node| {
            let zone = node.meta.labels.get("topology.kubernetes.io/zone");
            zone.filter(|zone| !zone.is_empty())
        });
        if let Some(zone) = zone {
            endpoint["zone"] = zone.as_str().into();
        }
        if !pod.spec.node_name.is_empty() {
            endpoint["nodeName"] = pod.spec.node_name.as_str().into();
        }
        if names_host(pod, self.service) {
            endpoint["hostname"] = pod.spec.hostname.as_str().into();
        }
        if ready && let Some(hints) = self.hints(zone, &pod.spec.node_name) {
            endpoint["hints"] = hints;
        }
        Some(endpoint)
    }

    /// Hints by `spec.trafficDistribution`, which the older annotation overrides.
    fn hints(&self, zone: Option<&String>, node: &str) -> Option<Value> {
        let wanted = self.service.traffic_distribution.as_deref()?;
        if !matches!(wanted, "PreferClose" | "PreferSameZone" | "PreferSameNode")
            || topology_mode_is_auto(self.service)
        {
            return None;
        }
        let mut hints = json!({});
        if let Some(zone) = zone {
            hints["forZones"] = json!([{"name": zone}]);
        }
        if wanted == "PreferSameNode" && !node.is_empty() {
            hints["forNodes"] = json!([{"name": node}]);
        }
        hints
            .as_object()
            .is_some_and(|map| !map.is_empty())
            .then_some(hints)
    }

    fn owns(&self, slice: &Slice) -> bool {
        let owners = crate::fields::elements(&slice.value, "/metadata/ownerReferences");
        owners.iter().any(|owner| {
            owner["uid"] == *self.object.meta.uid
                && owner["kind"] == "Service"
                && owner["apiVersion"] == "v1"
        })
    }

    /// Reserved labels alone do not make a slice stale.
    fn labels_differ(&self, slice: &Slice) -> bool {
        let plain = |labels: &BTreeMap<String, String>| {
            let mut labels = labels.clone();
            for reserved in [SERVICE_NAME, MANAGED_BY, HEADLESS] {
                labels.remove(reserved);
            }
            labels
        };
        plain(&labels_of(slice)) != plain(&self.labels)
    }

    fn all_labels_differ(&self, slice: &Slice) -> bool {
        labels_of(slice) != self.labels
    }

    fn new_slice(&self, family: &str, ports: &[Port], endpoints: Vec<Value>) -> Value {
        let mut slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": slice_prefix(&self.object.meta.name),
                "namespace": &*self.object.meta.namespace,
                "ownerReferences": [controller_reference("v1", "Service", &self.object.meta)],
            },
            "addressType": family,
            "endpoints": null_if_empty(endpoints),
            "ports": null_if_empty(ports.iter().map(Port::in_slice).collect()),
        });
        set_strings(&mut slice, "labels", &self.labels);
        slice
    }

    /// Turns pairs of a delete and a create into updates and stamps the trigger time.
    fn finish(&self, mut changes: Changes) -> Vec<Write> {
        let mut updates: Vec<Value> = Vec::new();
        for slice in changes.update {
            let mut value = slice.value;
            set(&mut value, &["endpoints"], null_if_empty(slice.endpoints));
            set_strings(&mut value, "labels", &self.labels);
            updates.push(value);
        }
        let mut at = 0;
        while at < changes.delete.len() && !changes.create.is_empty() {
            if !self.owns(&changes.delete[at]) {
                at += 1;
                continue;
            }
            let old = changes.delete.remove(at).value;
            updates.extend(changes.create.pop().map(|new| reuse(old, new)));
        }
        if self.object.meta.is_deleting() {
            changes.create.clear();
        }
        let created = changes.create.into_iter().map(|slice| Write::Create {
            resource: Resource::ENDPOINT_SLICES,
            object: self.stamp(slice),
        });
        let updated = updates.into_iter().map(|slice| Write::Update {
            resource: Resource::ENDPOINT_SLICES,
            object: self.stamp(slice),
        });
        let deleted = changes.delete.iter().map(delete);
        created.chain(updated).chain(deleted).collect()
    }

    fn stamp(&self, mut slice: Value) -> Value {
        match &self.time {
            Some(time) => set(
                &mut slice,
                &["metadata", "annotations", TRIGGER_TIME],
                time.as_str().into(),
            ),
            None => {
                let path = ["metadata", "annotations", TRIGGER_TIME];
                crate::fields::remove(&mut slice, &path);
                if slice["metadata"]["annotations"] == json!({}) {
                    crate::fields::remove(&mut slice, &path[..2]);
                }
            }
        }
        slice
    }
}

fn labels_of(slice: &Slice) -> BTreeMap<String, String> {
    let labels = slice.value.pointer("/metadata/labels");
    labels
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_default()
}

/// A new slice under the name and version of one that is no longer needed.
pub(super) fn reuse(old: Value, mut new: Value) -> Value {
    for field in ["name", "uid", "resourceVersion"] {
        let kept = old["metadata"][field].clone();
        set(&mut new, &["metadata", field], kept);
    }
    new
}

pub(super) fn delete(slice: &Slice) -> Write {
    let namespace = crate::fields::text(&slice.value, "/metadata/namespace");
    let uid = crate::fields::text(&slice.value, "/metadata/uid");
    Write::Delete {
        key: ObjectKey::new(Resource::ENDPOINT_SLICES, namespace, slice.name()),
        uid: Some(uid.into()),
        grace_seconds: None,
        propagation: None,
    }
}

/// Go clients write empty lists of this kind as `null`.
pub(super) fn null_if_empty(list: Vec<Value>) -> Value {
    if list.is_empty() {
        Value::Null
    } else {
        Value::Array(list)
    }
}

/// Reference to a Pod.
pub(super) fn target(pod: &Pod) -> Value {
    let meta = &pod.object.meta;
    json!({
        "kind": "Pod", "namespace": &*meta.namespace, "name": &*meta.name, "uid": &*meta.uid,
    })
}

/// Whether the Pod's host name belongs under the Service's name.
pub(super) fn names_host(pod: &Pod, service: &Service) -> bool {
    !pod.spec.hostname.is_empty() && pod.spec.subdomain == *service.id.name
}

fn topology_mode_is_auto(service: &Service) -> bool {
    let annotation = |name: &str| service.meta.annotations.get(name);
    annotation("service.kubernetes.io/topology-aware-hints")
        .or_else(|| annotation("service.kubernetes.io/topology-mode"))
        .is_some_and(|mode| mode == "Auto" || mode == "auto")
}
