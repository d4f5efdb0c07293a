//! A View over objects in memory, for tests.

use model::{Event, EventKind, Object, ObjectKey, Resource, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Memory {
    objects: Mutex<BTreeMap<ObjectKey, Arc<Object>>>,
}

impl Memory {
    pub(crate) fn of(yaml: &str) -> Self {
        let memory = Self::default();
        for document in testkit::documents(yaml) {
            memory.put(testkit::object(&document));
        }
        memory
    }

    pub(crate) fn put(&self, object: Arc<Object>) -> Event {
        let old = self
            .objects
            .lock()
            .unwrap()
            .insert(object.key(), object.clone());
        let kind = if old.is_some() {
            EventKind::Modified
        } else {
            EventKind::Added
        };
        Event { kind, object, old }
    }

    pub(crate) fn remove(&self, key: &ObjectKey) -> Option<Event> {
        let object = self.objects.lock().unwrap().remove(key)?;
        Some(Event {
            kind: EventKind::Deleted,
            object: object.clone(),
            old: Some(object),
        })
    }
}

impl View for Memory {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = ObjectKey::new(resource, namespace, name);
        self.objects.lock().unwrap().get(&key).cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = self.objects.lock().unwrap();
        let of = objects.iter().filter(|(key, _)| key.resource == resource);
        of.filter(|(key, _)| namespace.is_none_or(|namespace| &*key.namespace == namespace))
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn owned_by(&self, _uid: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }

    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }
}
