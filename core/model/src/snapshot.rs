//! The typed picture of the cluster that data planes plan from.

use crate::{
    ConfigMap, EndpointSlice, Event, EventKind, Ingress, IngressClass, Namespace, NamespacedName,
    Node, Object, ObjectKey, Pod, Problem, Resource, Secret, Service, Severity,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything the data planes know, by key. A clone shares all values, but copies the maps: take
/// one where a plan has to outlive the next event, not for every event.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Namespaces by name
    pub namespaces: BTreeMap<Arc<str>, Arc<Namespace>>,
    /// Nodes by name
    pub nodes: BTreeMap<Arc<str>, Arc<Node>>,
    /// Services
    pub services: BTreeMap<NamespacedName, Arc<Service>>,
    /// EndpointSlices by their own name
    pub slices: BTreeMap<NamespacedName, Arc<EndpointSlice>>,
    /// Names of the slices of each Service
    pub slices_of: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    /// Pods
    pub pods: BTreeMap<NamespacedName, Arc<Pod>>,
    /// Ingresses
    pub ingresses: BTreeMap<NamespacedName, Arc<Ingress>>,
    /// IngressClasses by name
    pub ingress_classes: BTreeMap<Arc<str>, Arc<IngressClass>>,
    /// Secrets
    pub secrets: BTreeMap<NamespacedName, Arc<Secret>>,
    /// ConfigMaps
    pub config_maps: BTreeMap<NamespacedName, Arc<ConfigMap>>,
    /// Objects that could not be read, until a later version can
    pub unreadable: BTreeMap<ObjectKey, Problem>,
}

/// Which objects changed since the last plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedKeys {
    /// Services that changed themselves, or by one of their slices
    pub services: BTreeSet<NamespacedName>,
    /// Keys of all other objects that changed
    pub objects: BTreeSet<ObjectKey>,
}

impl ChangedKeys {
    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.services.is_empty()
    }

    /// Adds what `other` holds.
    pub fn merge(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.services.extend(other.services);
    }

    /// Whether an object of this resource changed; for Services and their slices see
    /// [`ChangedKeys::services`].
    pub fn has(&self, resource: Resource) -> bool {
        self.objects.iter().any(|key| key.resource == resource)
    }
}

impl Snapshot {
    /// Takes one event in and notes in `changed` what it touched. Resources that no data plane
    /// reads are passed over. An object that cannot be read is treated as gone and leaves a
    /// Problem in [`Snapshot::unreadable`].
    pub fn apply(&mut self, event: &Event, changed: &mut ChangedKeys) {
        self.take(event, Read::Later, changed);
    }

    /// Takes events in, one after another as [`Snapshot::apply`] does. Where there are many, other
    /// threads read objects ahead, for reading is most of the work; the result is the same.
    pub fn apply_all(&mut self, events: &[Event], changed: &mut ChangedKeys) {
        let size = events.len().div_ceil(READERS).max(ALONE);
        let mut parts = events.chunks(size);
        let first = parts.next().unwrap_or_default();
        std::thread::scope(|scope| {
            let ahead: Vec<_> = parts
                .map(|part| {
                    let read = move || part.iter().map(Read::ahead).collect::<Vec<_>>();
                    let reader = std::thread::Builder::new().spawn_scoped(scope, read);
                    (part, reader.ok())
                })
                .collect();
            for event in first {
                self.apply(event, changed);
            }
            for (part, reader) in ahead {
                let read = reader.and_then(|reader| reader.join().ok());
                let read = read.unwrap_or_default().into_iter();
                let read = read.chain(std::iter::repeat_with(|| Read::Later));
                for (event, read) in part.iter().zip(read) {
                    self.take(event, read, changed);
                }
            }
        });
    }

    fn take(&mut self, event: &Event, read: Read, changed: &mut ChangedKeys) {
        let object = &event.object;
        let gone = event.kind == EventKind::Deleted;
        let id = object.id();
        let name = id.name.clone();
        let bad = &mut self.unreadable;
        match object.resource {
            Resource::NAMESPACES => {
                let read = Ok(Namespace {
                    meta: object.meta.clone(),
                });
                put(&mut self.namespaces, name, object, gone, |_| read, bad);
            }
            Resource::NODES => put(&mut self.nodes, name, object, gone, Node::parse, bad),
            Resource::PODS => put(&mut self.pods, id, object, gone, Pod::parse, bad),
            Resource::SECRETS => put(&mut self.secrets, id, object, gone, Secret::parse, bad),
            Resource::CONFIG_MAPS => {
                put(
                    &mut self.config_maps,
                    id,
                    object,
                    gone,
                    ConfigMap::parse,
                    bad,
                );
            }
            Resource::INGRESSES => put(&mut self.ingresses, id, object, gone, Ingress::parse, bad),
            Resource::INGRESS_CLASSES => {
                put(
                    &mut self.ingress_classes,
                    name,
                    object,
                    gone,
                    IngressClass::parse,
                    bad,
                );
            }
            Resource::SERVICES => {
                changed.services.insert(id.clone());
                let read = |object: &Object| match read {
                    Read::Service(service) => *service,
                    _ => Service::parse(object),
                };
                return put(&mut self.services, id, object, gone, read, bad);
            }
            Resource::ENDPOINT_SLICES => return self.take_slice(id, event, read, changed),
            _ => return,
        }
        changed.objects.insert(object.key());
    }

    fn take_slice(
        &mut self,
        id: NamespacedName,
        event: &Event,
        read: Read,
        changed: &mut ChangedKeys,
    ) {
        let (object, gone) = (&event.object, event.kind == EventKind::Deleted);
        let bad = &mut self.unreadable;
        let read = |object: &Object| match read {
            Read::Slice(slice) => *slice,
            _ => EndpointSlice::parse(object),
        };
        let (old, new) = replace(&mut self.slices, id.clone(), object, gone, read, bad);
        let old = old.and_then(|slice| slice.service.clone());
        let new = new.and_then(|slice| slice.service.clone());
        if let Some(service) = old.filter(|old| Some(old) != new.as_ref()) {
            if let Some(names) = self.slices_of.get_mut(&service) {
                names.remove(&id);
                if names.is_empty() {
                    self.slices_of.remove(&service);
                }
            }
            changed.services.insert(service);
        }
        if let Some(service) = new {
            self.slices_of
                .entry(service.clone())
                .or_default()
                .insert(id);
            changed.services.insert(service);
        }
    }

    /// Builds a Snapshot out of whole objects, as after a first list.
    pub fn from_objects<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Self {
        let mut snapshot = Self::default();
        let mut changed = ChangedKeys::default();
        for object in objects {
            let event = Event {
                kind: EventKind::Added,
                object: object.clone(),
                old: None,
            };
            snapshot.apply(&event, &mut changed);
        }
        snapshot
    }

    /// The slices of a Service, in order of name.
    pub fn slices_of_service<'a>(
        &'a self,
        service: &NamespacedName,
    ) -> impl Iterator<Item = &'a Arc<EndpointSlice>> + use<'a> {
        let names = self.slices_of.get(service).into_iter().flatten();
        names.filter_map(|name| self.slices.get(name))
    }
}

/// Threads that read objects, at most.
const READERS: usize = 4;
/// So many events are not worth a thread.
const ALONE: usize = 250;

/// What was read of an object ahead of its turn: of the kinds of which there are many.
enum Read {
    Service(Box<Result<Service, serde_json::Error>>),
    Slice(Box<Result<EndpointSlice, serde_json::Error>>),
    Later,
}

impl Read {
    fn ahead(event: &Event) -> Self {
        let object = &event.object;
        match object.resource {
            _ if event.kind == EventKind::Deleted => Self::Later,
            Resource::SERVICES => Self::Service(Box::new(Service::parse(object))),
            Resource::ENDPOINT_SLICES => Self::Slice(Box::new(EndpointSlice::parse(object))),
            _ => Self::Later,
        }
    }
}

/// Puts in what an object says.
fn put<K: Ord, T>(
    map: &mut BTreeMap<K, Arc<T>>,
    key: K,
    object: &Object,
    gone: bool,
    parse: impl FnOnce(&Object) -> Result<T, serde_json::Error>,
    unreadable: &mut BTreeMap<ObjectKey, Problem>,
) {
    replace(map, key, object, gone, parse, unreadable);
}

/// What was there, and what is there now.
type Replaced<T> = (Option<Arc<T>>, Option<Arc<T>>);

/// Puts in what an object says, and tells what it took the place of.
fn replace<K: Ord, T>(
    map: &mut BTreeMap<K, Arc<T>>,
    key: K,
    object: &Object,
    gone: bool,
    parse: impl FnOnce(&Object) -> Result<T, serde_json::Error>,
    unreadable: &mut BTreeMap<ObjectKey, Problem>,
) -> Replaced<T> {
    if !unreadable.is_empty() {
        unreadable.remove(&object.key());
    }
    if gone {
        return (map.remove(&key), None);
    }
    match parse(object) {
        Ok(value) => {
            let value = Arc::new(value);
            (map.insert(key, value.clone()), Some(value))
        }
        Err(error) => {
            unreadable.insert(object.key(), unreadable_problem(object, &error));
            (map.remove(&key), None)
        }
    }
}

fn unreadable_problem(object: &Object, error: &serde_json::Error) -> Problem {
    Problem {
        object: object.key(),
        field: String::new(),
        severity: Severity::Error,
        reason: "Unreadable",
        message: format!("The object cannot be read: {error}."),
        cure: "Give the field the type that its kind's schema says.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_a_service_and_reports_one_that_cannot_be_read() {
        let read = |port: serde_json::Value| {
            let value = json!({"metadata": {"name": "s", "namespace": "a"},
                "spec": {"selector": {"app": "x"}, "ports": [{"name": "http", "port": port}]}});
            let object = Object::from_value(Resource::SERVICES, &value).unwrap();
            Snapshot::from_objects([&Arc::new(object)])
        };
        let snapshot = read(json!(80));
        assert_eq!(snapshot.unreadable, BTreeMap::new());
        assert_eq!(snapshot.services.len(), 1);
        let snapshot = read(json!("http"));
        assert_eq!(snapshot.unreadable.len(), 1);
        assert!(snapshot.services.is_empty());
    }
    #[test]
    fn many_events_at_once_are_events_one_by_one() {
        let event = |kind, number: usize, port: serde_json::Value| {
            let value = json!({"metadata": {"name": format!("s{}", number % 900), "namespace": "a"},
                "spec": {"ports": [{"port": port}]}});
            let object = Object::from_value(Resource::SERVICES, &value).unwrap();
            let object = Arc::new(object);
            Event {
                kind,
                object,
                old: None,
            }
        };
        let slice = |number: usize| {
            let value = json!({"metadata": {"name": format!("e{}", number % 500), "namespace": "a",
                "labels": {"kubernetes.io/service-name": format!("s{}", number % 7)}},
                "addressType": "IPv4", "endpoints": [{"addresses": [format!("10.0.0.{}", number % 250)]}]});
            let object = Object::from_value(Resource::ENDPOINT_SLICES, &value).unwrap();
            let object = Arc::new(object);
            Event {
                kind: EventKind::Added,
                object,
                old: None,
            }
        };
        let events: Vec<Event> = (0..2_000)
            .map(|number| match number % 5 {
                0 => event(EventKind::Deleted, number / 3, json!(1)),
                1 => event(EventKind::Modified, number, json!("no number")),
                2 => slice(number),
                _ => event(EventKind::Added, number * 7, json!(number)),
            })
            .collect();
        let (mut one, mut all) = (Snapshot::default(), Snapshot::default());
        let (mut ones, mut alls) = (ChangedKeys::default(), ChangedKeys::default());
        events.iter().for_each(|event| one.apply(event, &mut ones));
        all.apply_all(&events, &mut alls);
        assert_eq!(ones, alls);
        assert_eq!(one.services, all.services);
        assert_eq!(one.slices, all.slices);
        assert_eq!(one.slices_of, all.slices_of);
        assert_eq!(one.unreadable, all.unreadable);
        assert!(one.services.len() > 100 && !one.unreadable.is_empty());
    }
}
