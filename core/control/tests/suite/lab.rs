//! A cluster in memory: enough of an API server to let the controllers work against each other.

use control::{Context, Controller, Key, Memory, Settings, controllers};
use model::{ApiError, Event, EventKind, Object, ObjectKey, Resource, Timestamp, View, Write};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Seconds since the epoch at which every case begins.
const START: i64 = 1_700_000_000;

#[derive(Default)]
struct Store {
    objects: BTreeMap<ObjectKey, Arc<Object>>,
}

impl View for Store {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.objects
            .get(&ObjectKey::new(resource, namespace, name))
            .cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let all = self.objects.iter().filter(|(key, _)| {
            key.resource == resource && namespace.is_none_or(|wanted| *key.namespace == *wanted)
        });
        all.map(|(_, object)| object.clone()).collect()
    }

    fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        let owned = self.objects.values().filter(|object| {
            let mut owners = object.meta.owner_references.iter();
            owners.any(|owner| owner.uid == uid)
        });
        owned.cloned().collect()
    }

    fn resources(&self) -> Vec<Resource> {
        let mut all: Vec<Resource> = self.objects.keys().map(|key| key.resource).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The cluster, its controllers and what they did.
pub(crate) struct Lab {
    store: Store,
    controllers: Vec<Controller>,
    settings: Settings,
    memory: Memory,
    now: Timestamp,
    counter: u64,
    queue: VecDeque<(usize, Key)>,
    later: Vec<(Timestamp, usize, Key)>,
    /// One line per write, in order
    pub(crate) log: Vec<String>,
    /// Takes keys from the back instead of the front
    pub(crate) backwards: bool,
}

impl Lab {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            store: Store::default(),
            controllers: controllers(&settings),
            settings,
            memory: Memory::default(),
            now: Timestamp::default().plus_seconds(START),
            counter: 0,
            queue: VecDeque::new(),
            later: Vec::new(),
            log: Vec::new(),
            backwards: false,
        }
    }

    /// Objects of a resource, in order.
    pub(crate) fn list(&self, resource: Resource) -> Vec<Value> {
        let all = self.store.list(resource, None);
        all.iter().map(|object| object.value()).collect()
    }

    /// Everything, without what no reader wants to compare.
    pub(crate) fn dump(&self) -> String {
        let mut out = String::new();
        for (key, object) in &self.store.objects {
            let mut value = object.value();
            if let Some(meta) = value["metadata"].as_object_mut() {
                for field in ["resourceVersion", "creationTimestamp", "uid"] {
                    meta.remove(field);
                }
            }
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            out.push_str(&format!("# {key}\n{text}\n"));
        }
        out
    }

    /// Creates an object as a user would.
    pub(crate) fn create(&mut self, value: &Value) {
        let resource = testkit::resource_of(value);
        self.apply(Write::Create {
            resource,
            object: value.clone(),
        })
        .unwrap_or_else(|e| panic!("{e}"));
    }

    /// Executes a write as a user's.
    pub(crate) fn act(&mut self, write: Write) {
        self.apply(write).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Lets time pass, and what waits for it happen.
    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
        let (due, later) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(at, ..)| *at <= self.now);
        self.later = later;
        let due: Vec<(Timestamp, usize, Key)> = due;
        for (_, controller, key) in due {
            self.push(controller, key);
        }
        self.settle();
    }

    /// Runs the controllers until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..20_000 {
            let next = if self.backwards {
                self.queue.pop_back()
            } else {
                self.queue.pop_front()
            };
            let Some((at, key)) = next else { return };
            let outcome = self.reconcile(at, &key);
            if let Some(delay) = outcome.again_in {
                let seconds = i64::try_from(delay.as_secs()).unwrap_or(0) + 1;
                self.later
                    .push((self.now.plus_seconds(seconds), at, key.clone()));
            }
            for write in outcome.writes {
                self.log.push(line(&write));
                if let Err(error) = self.apply(write) {
                    self.log.push(format!("  refused: {error}"));
                    self.push(at, key);
                    break;
                }
            }
        }
        panic!(
            "the controllers do not come to rest; last:\n{}",
            self.log[self.log.len() - 20..].join("\n")
        );
    }

    fn reconcile(&self, at: usize, key: &Key) -> control::Outcome {
        let context = Context {
            view: &self.store,
            now: self.now,
            settings: &self.settings,
            memory: &self.memory,
        };
        (self.controllers[at].reconcile)(&context, key)
    }

    /// Tells a controller that a write of a key was refused, and executes what it says to that.
    pub(crate) fn refuse(&mut self, name: &str, key: &Key, write: &Write, error: &ApiError) {
        let controller = self.controllers.iter().find(|one| one.name == name);
        let Some(controller) = controller.copied() else {
            panic!("no controller {name}");
        };
        let context = Context {
            view: &self.store,
            now: self.now,
            settings: &self.settings,
            memory: &self.memory,
        };
        for write in (controller.refused)(&context, key, write, error).writes {
            self.log.push(line(&write));
            self.act(write);
        }
    }

    /// What every controller would still write about every object; nothing at a point of rest.
    pub(crate) fn unrest(&self) -> Vec<String> {
        let mut found = Vec::new();
        for object in self.store.objects.values() {
            let event = Event {
                kind: EventKind::Added,
                object: object.clone(),
                old: None,
            };
            for (at, controller) in self.controllers.iter().enumerate() {
                for key in (controller.keys)(&event, &self.store) {
                    let writes = self.reconcile(at, &key).writes;
                    found.extend(
                        writes
                            .iter()
                            .map(|w| format!("{}: {}", controller.name, line(w))),
                    );
                }
            }
        }
        found
    }

    fn push(&mut self, at: usize, key: Key) {
        let job = (at, key);
        if !self.queue.contains(&job) {
            self.queue.push_back(job);
        }
    }

    fn publish(&mut self, kind: EventKind, object: Arc<Object>, old: Option<Arc<Object>>) {
        let event = Event { kind, object, old };
        for at in 0..self.controllers.len() {
            for key in (self.controllers[at].keys)(&event, &self.store) {
                self.push(at, key);
            }
        }
    }

    fn apply(&mut self, write: Write) -> Result<(), String> {
        match write {
            Write::Create { resource, object } => self.make(resource, object),
            Write::Update { resource, object } => {
                let key = key_of(resource, &object);
                self.change(&key, |old| {
                    expect_version(old, &object)?;
                    let mut new = object.clone();
                    if let Some(status) = old.get("status") {
                        new["status"] = status.clone();
                    }
                    Ok(new)
                })
            }
            Write::UpdateSubresource {
                resource,
                subresource,
                object,
            } => {
                let key = key_of(resource, &object);
                self.change(&key, |old| subresource_of(old, subresource, &object))
            }
            Write::MergePatch {
                key,
                subresource: _,
                patch,
            } => self.change(&key, |old| {
                expect_version(old, &patch)?;
                let mut new = old.clone();
                merge(&mut new, &patch);
                Ok(new)
            }),
            Write::Delete {
                key,
                uid,
                grace_seconds,
                propagation,
            } => self.delete(&key, uid, grace_seconds, propagation),
            Write::Note(_) => Ok(()),
        }
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn make(&mut self, resource: Resource, mut value: Value) -> Result<(), String> {
        let number = self.next();
        let now = self.now.rfc3339();
        let meta = &mut value["metadata"];
        if meta["name"].is_null() {
            let prefix = meta["generateName"].as_str().unwrap_or_default().to_owned();
            meta["name"] = format!("{prefix}{number:05}").into();
        }
        meta["uid"] = format!("uid-{number}").into();
        meta["creationTimestamp"] = now.into();
        meta["resourceVersion"] = number.to_string().into();
        meta["generation"] = 1.into();
        if resource == Resource::NAMESPACES {
            value["spec"] = json!({"finalizers": ["kubernetes"]});
            value["status"] = json!({"phase": "Active"});
        }
        if resource == Resource::PODS && value["status"]["phase"].is_null() {
            value["status"]["phase"] = "Pending".into();
        }
        let key = key_of(resource, &value);
        if self.store.objects.contains_key(&key) {
            return Ok(());
        }
        let ending = self.store.get(Resource::NAMESPACES, "", &key.namespace);
        if ending.is_some_and(|namespace| namespace.meta.is_deleting()) {
            return Err(format!("{key}: the namespace is being terminated"));
        }
        let object = self.put(&key, &value)?;
        self.publish(EventKind::Added, object, None);
        Ok(())
    }

    fn put(&mut self, key: &ObjectKey, value: &Value) -> Result<Arc<Object>, String> {
        let object = Object::from_value(key.resource, value).map_err(|e| e.to_string())?;
        let object = Arc::new(object);
        self.store.objects.insert(key.clone(), object.clone());
        Ok(object)
    }

    fn change(
        &mut self,
        key: &ObjectKey,
        edit: impl Fn(&Value) -> Result<Value, String>,
    ) -> Result<(), String> {
        let old = self.store.objects.get(key).cloned();
        let Some(old) = old else {
            return Err(format!("{key} not found"));
        };
        let before = old.value();
        let mut value = edit(&before)?;
        value["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        value["metadata"]["uid"] = before["metadata"]["uid"].clone();
        value["metadata"]["generation"] = before["metadata"]["generation"].clone();
        drop_nulls(&mut value);
        if value == before {
            return Ok(());
        }
        if value["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            value["metadata"]["generation"] = (generation + 1).into();
        }
        value["metadata"]["resourceVersion"] = self.next().to_string().into();
        let object = self.put(key, &value)?;
        if object.meta.is_deleting() && is_free(&value, key.resource) {
            self.store.objects.remove(key);
            self.publish(EventKind::Deleted, object, Some(old));
        } else {
            self.publish(EventKind::Modified, object, Some(old));
        }
        Ok(())
    }

    fn delete(
        &mut self,
        key: &ObjectKey,
        uid: Option<Arc<str>>,
        grace: Option<i64>,
        propagation: Option<&'static str>,
    ) -> Result<(), String> {
        let Some(old) = self.store.objects.get(key).cloned() else {
            return Ok(());
        };
        if uid.is_some_and(|uid| uid != old.meta.uid) {
            return Err(format!("{key} has another uid"));
        }
        let finalizer = match propagation {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        let mut value = old.value();
        if let Some(finalizer) = finalizer {
            let list = value["metadata"]["finalizers"].as_array().cloned();
            let mut list = list.unwrap_or_default();
            if !list.iter().any(|one| one == finalizer) {
                list.push(finalizer.into());
            }
            value["metadata"]["finalizers"] = list.into();
        }
        let running = key.resource == Resource::PODS && !value["spec"]["nodeName"].is_null();
        let held = !is_free(&value, key.resource) || (running && grace != Some(0));
        let ended = key.resource == Resource::PODS && grace == Some(0);
        let held = held && !(ended && value["metadata"]["finalizers"].is_null());
        if !held {
            self.store.objects.remove(key);
            self.publish(EventKind::Deleted, old.clone(), Some(old));
            return Ok(());
        }
        let now = self.now.rfc3339();
        self.change(key, |_| {
            let mut value = value.clone();
            value["metadata"]["deletionTimestamp"] = now.clone().into();
            if key.resource == Resource::NAMESPACES {
                value["status"]["phase"] = "Terminating".into();
            }
            Ok(value)
        })
    }
}

/// Whether nothing holds a deleted object back.
fn is_free(value: &Value, resource: Resource) -> bool {
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    empty(&value["metadata"]["finalizers"])
        && (resource != Resource::NAMESPACES || empty(&value["spec"]["finalizers"]))
        && (resource != Resource::PODS || value["metadata"]["deletionTimestamp"].is_null())
}

fn subresource_of(old: &Value, subresource: &str, new: &Value) -> Result<Value, String> {
    let mut value = old.clone();
    match subresource {
        "status" => {
            expect_version(old, new)?;
            value["metadata"] = new["metadata"].clone();
            value["status"] = new["status"].clone();
        }
        "finalize" => value["spec"]["finalizers"] = new["spec"]["finalizers"].clone(),
        "binding" => value["spec"]["nodeName"] = new["target"]["name"].clone(),
        other => return Err(format!("no subresource {other}")),
    }
    Ok(value)
}

fn expect_version(old: &Value, new: &Value) -> Result<(), String> {
    for field in ["resourceVersion", "uid"] {
        let (have, want) = (&old["metadata"][field], &new["metadata"][field]);
        if !want.is_null() && have != want {
            return Err(format!("conflict: {field} is {have}, not {want}"));
        }
    }
    Ok(())
}

fn key_of(resource: Resource, value: &Value) -> ObjectKey {
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
    ObjectKey::new(resource, text("namespace"), text("name"))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(map) = target.as_object_mut() {
                map.remove(name);
            }
        } else {
            merge(&mut target[name], value);
        }
    }
}

fn drop_nulls(value: &mut Value) {
    if let Some(map) = value["metadata"].as_object_mut() {
        map.retain(|_, field| !field.is_null());
    }
    if let Some(map) = value.as_object_mut() {
        map.retain(|name, field| !field.is_null() || name == "endpoints" || name == "ports");
    }
}

/// A write in one line.
fn line(write: &Write) -> String {
    match write {
        Write::Create { resource, object } => {
            let key = key_of(*resource, object);
            let prefix = object["metadata"]["generateName"].as_str();
            match prefix.filter(|_| key.name.is_empty()) {
                Some(prefix) => format!("create {key}{prefix}*"),
                None => format!("create {key}"),
            }
        }
        Write::Update { resource, object } => format!("update {}", key_of(*resource, object)),
        Write::UpdateSubresource {
            resource,
            subresource,
            object,
        } => format!("{subresource} {}", key_of(*resource, object)),
        Write::MergePatch { key, patch, .. } => format!("patch {key} {patch}"),
        Write::Delete {
            key, propagation, ..
        } => format!("delete {key} {}", propagation.unwrap_or_default())
            .trim_end()
            .to_owned(),
        Write::Note(note) => format!(
            "event {} {} {}: {}",
            note.kind,
            note.reason,
            note.regarding.key(),
            note.message
        ),
    }
}
