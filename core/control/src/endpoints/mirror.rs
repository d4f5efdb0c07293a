//! Slices that mirror the Endpoints a user wrote for a Service without selector.

use super::packing::{Identity, Slice, identity};
use super::ports::{self, Port};
use super::slices::{delete, managed, null_if_empty, reuse};
use super::subsets::{Subset, repack};
use super::{MANAGED_BY, SERVICE_NAME, TRIGGER_TIME, selector_of, slice_prefix};
use crate::fields::{elements, set_strings, text};
use crate::owners::controller_reference;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, EventNote, Object, Resource, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

const NAME: &str = "endpointslice-mirroring-controller";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Addresses of one subset that are mirrored
const MAX_PER_SUBSET: usize = 1000;

/// Mirrors Endpoints into slices.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: crate::silent,
};

fn keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let object = &event.object;
    let key = || {
        Key::new(
            Resource::ENDPOINTS,
            &object.meta.namespace,
            &object.meta.name,
        )
    };
    match object.resource {
        Resource::ENDPOINTS => {
            let old = event.old.as_ref();
            let mirrored = is_mirrored(object) || old.is_some_and(|old| is_mirrored(old));
            mirrored.then(key).into_iter().collect()
        }
        Resource::SERVICES => selector_matters(event).then(key).into_iter().collect(),
        Resource::ENDPOINT_SLICES => super::slices::services_of_slice(event, MANAGER)
            .into_iter()
            .map(|key| Key::new(Resource::ENDPOINTS, &key.namespace, &key.name))
            .collect(),
        _ => Vec::new(),
    }
}

/// Endpoints that serve as locks, or whose author asks for it, are not mirrored.
fn is_mirrored(endpoints: &Object) -> bool {
    let label = "endpointslice.kubernetes.io/skip-mirror";
    let leader = "control-plane.alpha.kubernetes.io/leader";
    endpoints
        .meta
        .labels
        .get(label)
        .is_none_or(|value| value != "true")
        && !endpoints.meta.annotations.contains_key(leader)
}

fn selector_matters(event: &Event) -> bool {
    let without = selector_of(&event.object).is_empty();
    match (&event.old, event.kind) {
        (Some(old), EventKind::Modified) => selector_of(old).is_empty() != without,
        _ => without,
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let (namespace, name) = (&*key.namespace, &*key.name);
    let stored = managed(context.view, namespace, name, MANAGER);
    let slices: Vec<Slice> = stored.iter().map(|object| Slice::open(object)).collect();
    let service = context.view.get(Resource::SERVICES, namespace, name);
    let by_hand = service.is_some_and(|service| selector_of(&service).is_empty());
    let endpoints = context.view.get(Resource::ENDPOINTS, namespace, name);
    let endpoints = endpoints.filter(|endpoints| by_hand && is_mirrored(endpoints));
    match endpoints {
        Some(endpoints) => mirror(&endpoints, slices),
        None => Outcome::of(slices.iter().map(delete)),
    }
}

/// Endpoints of one family and set of ports.
#[derive(Default)]
struct Group {
    ports: Vec<Port>,
    endpoints: BTreeMap<Identity, Value>,
}

type Groups = BTreeMap<(&'static str, Vec<Port>), Group>;

#[derive(Default)]
struct Skipped {
    invalid: usize,
    over: usize,
}

fn mirror(endpoints: &Arc<Object>, slices: Vec<Slice>) -> Outcome {
    let (groups, skipped) = groups(endpoints);
    let mut by_group: BTreeMap<(String, Vec<Port>), Vec<Slice>> = BTreeMap::new();
    for slice in slices {
        let group = (slice.family.clone(), slice.ports.clone());
        by_group.entry(group).or_default().push(slice);
    }
    let (mut create, mut update, mut spare) = (Vec::new(), Vec::new(), Vec::new());
    for ((family, ports), group) in groups {
        let mut stored = by_group
            .remove(&(family.to_owned(), ports))
            .unwrap_or_default()
            .into_iter();
        let wanted = slice(endpoints, family, group);
        match stored.next() {
            None => create.push(wanted),
            Some(old) if same(&old.value, &wanted) => {}
            Some(old) => update.push(reuse(old.value, wanted)),
        }
        spare.extend(stored);
    }
    spare.extend(by_group.into_values().flatten());
    recycle(&mut create, &mut update, &mut spare);
    if endpoints.meta.is_deleting() {
        create.clear();
    }
    let resource = Resource::ENDPOINT_SLICES;
    let created = create
        .into_iter()
        .map(|object| Write::Create { resource, object });
    let updated = update
        .into_iter()
        .map(|object| Write::Update { resource, object });
    let mut writes: Vec<Write> = created.chain(updated).collect();
    writes.extend(spare.iter().map(delete));
    if !writes.is_empty() {
        writes.extend(skipped.notes(endpoints));
    }
    Outcome::of(writes)
}

/// A slice to create takes over one of its family that would go.
fn recycle(create: &mut Vec<Value>, update: &mut Vec<Value>, spare: &mut Vec<Slice>) {
    let mut kept = Vec::new();
    for new in create.drain(..) {
        let family = text(&new, "/addressType");
        match spare.iter().position(|old| old.family == family) {
            Some(at) => update.push(reuse(spare.remove(at).value, new)),
            None => kept.push(new),
        }
    }
    *create = kept;
}

fn groups(endpoints: &Object) -> (Groups, Skipped) {
    let value = endpoints.value();
    let subsets: Vec<Subset> = elements(&value, "/subsets")
        .iter()
        .map(Subset::parse)
        .collect();
    let (mut groups, mut skipped) = (Groups::new(), Skipped::default());
    for subset in repack(&subsets) {
        let sorted = ports::sorted(subset.ports.clone());
        let ready = subset.ready.iter().map(|address| (address, true));
        let not_ready = subset.not_ready.iter().map(|address| (address, false));
        let mut added = 0;
        for (address, ready) in ready.chain(not_ready) {
            if added >= MAX_PER_SUBSET {
                skipped.over += 1;
                continue;
            }
            let Some((family, endpoint)) = endpoint(address, ready) else {
                skipped.invalid += 1;
                continue;
            };
            added += 1;
            let group = groups.entry((family, sorted.clone())).or_default();
            group.ports.clone_from(&subset.ports);
            group.endpoints.insert(identity(&endpoint), endpoint);
        }
    }
    (groups, skipped)
}

fn endpoint(address: &Value, ready: bool) -> Option<(&'static str, Value)> {
    let ip: IpAddr = text(address, "/ip").parse().ok()?;
    let mut endpoint = json!({
        "addresses": [ip.to_string()], "conditions": {"ready": ready},
    });
    for field in ["targetRef", "nodeName", "hostname"] {
        match address.get(field) {
            None | Some(Value::Null) => {}
            Some(value) if field == "hostname" && value == "" => {}
            Some(value) => endpoint[field] = value.clone(),
        }
    }
    Some((if ip.is_ipv4() { "IPv4" } else { "IPv6" }, endpoint))
}

fn slice(endpoints: &Object, family: &str, group: Group) -> Value {
    let meta = &endpoints.meta;
    let mut slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": slice_prefix(&meta.name),
            "namespace": &*meta.namespace,
            "ownerReferences": [controller_reference("v1", "Endpoints", meta)],
        },
        "addressType": family,
        "endpoints": null_if_empty(group.endpoints.into_values().collect()),
        "ports": null_if_empty(group.ports.iter().map(Port::in_slice).collect()),
    });
    let mut labels = meta.labels.clone();
    labels.insert(SERVICE_NAME.to_owned(), meta.name.to_string());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    set_strings(&mut slice, "labels", &labels);
    let mut annotations = meta.annotations.clone();
    annotations.remove(TRIGGER_TIME);
    annotations.remove(LAST_APPLIED);
    set_strings(&mut slice, "annotations", &annotations);
    slice
}

/// Equal but for the order of lists and what the server fills in.
fn same(stored: &Value, wanted: &Value) -> bool {
    let fields = ["labels", "annotations", "ownerReferences"];
    let by_identity = |slice: &Value| -> BTreeMap<Identity, Value> {
        let list = elements(slice, "/endpoints").iter();
        list.map(|one| (identity(one), one.clone())).collect()
    };
    fields
        .iter()
        .all(|field| stored["metadata"].get(field) == wanted["metadata"].get(field))
        && by_identity(stored) == by_identity(wanted)
        && elements(stored, "/endpoints").len() == elements(wanted, "/endpoints").len()
}

impl Skipped {
    fn notes(&self, endpoints: &Arc<Object>) -> Vec<Write> {
        let note = |reason: &str, message: String| {
            Write::Note(EventNote {
                regarding: endpoints.clone(),
                kind: "Warning",
                reason: reason.to_owned(),
                message,
                component: NAME,
            })
        };
        let mut notes = Vec::new();
        if self.invalid > 0 {
            let count = self.invalid;
            notes.push(note(
                "InvalidIPAddress",
                format!("Skipped {count} invalid IP addresses when mirroring to EndpointSlices"),
            ));
        }
        if self.over > 0 {
            let (count, max) = (self.over + self.invalid, MAX_PER_SUBSET);
            notes.push(note(
                "TooManyAddressesToMirror",
                format!(
                    "A max of {max} addresses can be mirrored to EndpointSlices per Endpoints \
                     subset. {count} addresses were skipped"
                ),
            ));
        }
        notes
    }
}
