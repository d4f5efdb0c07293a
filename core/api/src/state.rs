//! All objects, by resource and by `namespace/name`, and who owns whom.

use model::{Event, EventKind, Object, ObjectKey, Resource, View};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Objects of one resource by `namespace/name` (or `name`), which is the order of lists.
pub(crate) type Shelf = BTreeMap<Arc<str>, Arc<Object>>;

/// A set of objects. Cheap parts are shared: an object is an `Arc`.
#[derive(Clone, Default)]
pub struct State {
    shelves: BTreeMap<Resource, Shelf>,
    owned: BTreeMap<Arc<str>, BTreeSet<ObjectKey>>,
}

/// Where an object stands on its shelf.
pub(crate) fn place(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

impl State {
    /// Objects of a resource in order; all of them, or those of a namespace.
    pub(crate) fn range<'a>(
        &'a self,
        resource: Resource,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Object>)> + use<'a> {
        let prefix = namespace.map(|namespace| format!("{namespace}/"));
        let start: Arc<str> = prefix.as_deref().unwrap_or_default().into();
        let shelf = self.shelves.get(&resource);
        shelf
            .into_iter()
            .flat_map(move |shelf| shelf.range(start.clone()..))
            .take_while(move |(place, _)| prefix.as_deref().is_none_or(|p| place.starts_with(p)))
    }

    /// Objects of a resource in order, from a place on.
    pub(crate) fn range_from<'a>(
        &'a self,
        resource: Resource,
        from: &str,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Object>)> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let shelf = self.shelves.get(&resource);
        shelf
            .map(|shelf| shelf.range::<str, _>(bounds))
            .into_iter()
            .flatten()
    }

    /// Takes a change over.
    pub fn apply(&mut self, event: &Event) {
        if let Some(old) = &event.old {
            self.disown(old);
        }
        let object = &event.object;
        let place = place(&object.meta.namespace, &object.meta.name);
        let shelf = self.shelves.entry(object.resource).or_default();
        if event.kind == EventKind::Deleted {
            shelf.remove(place.as_str());
        } else {
            shelf.insert(place.into(), object.clone());
            self.own(object);
        }
    }

    /// Puts an object in that was stored before.
    pub fn insert(&mut self, object: Arc<Object>) {
        self.own(&object);
        let place = place(&object.meta.namespace, &object.meta.name);
        let shelf = self.shelves.entry(object.resource).or_default();
        shelf.insert(place.into(), object);
    }

    /// Number of objects of each resource.
    pub fn counts(&self) -> impl Iterator<Item = (Resource, usize)> {
        self.shelves
            .iter()
            .map(|(resource, shelf)| (*resource, shelf.len()))
    }

    /// Every object.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.shelves.values().flat_map(BTreeMap::values)
    }

    fn own(&mut self, object: &Arc<Object>) {
        for owner in &object.meta.owner_references {
            let dependents = self.owned.entry(owner.uid.as_str().into()).or_default();
            dependents.insert(object.key());
        }
    }

    fn disown(&mut self, object: &Arc<Object>) {
        for owner in &object.meta.owner_references {
            let Some(dependents) = self.owned.get_mut(owner.uid.as_str()) else {
                continue;
            };
            dependents.remove(&object.key());
            if dependents.is_empty() {
                self.owned.remove(owner.uid.as_str());
            }
        }
    }
}

impl View for State {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let shelf = self.shelves.get(&resource)?;
        shelf.get(place(namespace, name).as_str()).cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        self.range(resource, namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        let keys = self.owned.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.get(key.resource, &key.namespace, &key.name))
            .collect()
    }

    fn resources(&self) -> Vec<Resource> {
        self.shelves.keys().copied().collect()
    }
}
