//! For tests: the verbs in a few lines over a map, so that rules meet as they do in the server.

use crate::{Context, Indexes, Subresource, builtin};
use model::{ApiError, Cidr, FieldError, Object, ObjectKey, Resource, Timestamp, User, View};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A store of objects with the rules of this crate in front of it.
pub(crate) struct Bench {
    pub(crate) objects: BTreeMap<ObjectKey, Arc<Object>>,
    pub(crate) indexes: Indexes,
    pub(crate) service_cidrs: Vec<Cidr>,
    pub(crate) node_ports: (u16, u16),
    pub(crate) loopback: bool,
    pub(crate) dry_run: bool,
    pub(crate) warnings: Vec<String>,
    seed: Cell<u64>,
    now: Cell<i64>,
}

impl View for Bench {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = ObjectKey::new(resource, namespace, name);
        self.objects.get(&key).cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let all = self.objects.values().filter(|o| o.resource == resource);
        all.filter(|o| namespace.is_none_or(|n| *o.meta.namespace == *n))
            .cloned()
            .collect()
    }

    fn owned_by(&self, _: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }

    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }
}

impl Bench {
    /// With these service ranges; further settings are fields.
    pub(crate) fn new(service_cidrs: &[&str]) -> Self {
        Self {
            objects: BTreeMap::new(),
            indexes: Indexes::default(),
            service_cidrs: service_cidrs.iter().map(|c| c.parse().unwrap()).collect(),
            node_ports: (30000, 32767),
            loopback: false,
            dry_run: false,
            warnings: Vec::new(),
            seed: Cell::new(0),
            now: Cell::new(0),
        }
    }

    pub(crate) fn with_context<T>(&self, ask: impl FnOnce(&Context<'_>) -> T) -> T {
        let random = || {
            // Knuth's MMIX generator: any spread will do, as long as it is the same each time.
            let next = self.seed.get().wrapping_mul(6_364_136_223_846_793_005);
            self.seed.set(next.wrapping_add(1_442_695_040_888_963_407));
            self.seed.get() >> 33
        };
        let user = User {
            name: "tester".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..User::default()
        };
        ask(&Context {
            now: Timestamp::default(),
            view: self,
            random: &random,
            service_cidrs: &self.service_cidrs,
            node_ports: self.node_ports,
            indexes: &self.indexes,
            loopback_endpoints: self.loopback,
            dry_run: self.dry_run,
            user: &user,
            name: "",
            api_version: "",
        })
    }

    /// POST
    pub(crate) fn create(&mut self, mut object: Value) -> Result<Value, ApiError> {
        let resource = testkit::resource_of(&object);
        let rules = builtin(resource);
        let (companions, warnings) = self.with_context(|context| {
            rules.default(&mut object);
            rules.admit(&mut object, None, context)?;
            let companions = rules.allocate(&mut object, None, context)?;
            rules.prepare_create(&mut object, context);
            let mut errors = name_errors(resource, &object);
            errors.extend(rules.validate(&object, context));
            refuse(&object, resource, &errors)?;
            Ok((companions, rules.warnings(&object, None, context)))
        })?;
        self.warnings = warnings;
        let second = self.now.replace(self.now.get() + 1);
        object["metadata"]["creationTimestamp"] =
            Timestamp::from_micros(second * 1_000_000).rfc3339().into();
        if !self.dry_run {
            self.settle(companions, resource, &object);
        }
        Ok(object)
    }

    /// PUT
    pub(crate) fn update(&mut self, mut object: Value) -> Result<Value, ApiError> {
        let resource = testkit::resource_of(&object);
        let rules = builtin(resource);
        let old = self.stored(resource, &object).unwrap_or_default();
        for key in ["creationTimestamp", "generation"] {
            if let Some(kept) = old["metadata"].get(key) {
                object["metadata"][key] = kept.clone();
            }
        }
        let (companions, warnings) = self.with_context(|context| {
            rules.default(&mut object);
            rules.admit(&mut object, Some(&old), context)?;
            let companions = rules.allocate(&mut object, Some(&old), context)?;
            rules.prepare_update(&mut object, &old, context);
            let errors = rules.validate_update(&object, &old, context);
            refuse(&object, resource, &errors)?;
            Ok((companions, rules.warnings(&object, Some(&old), context)))
        })?;
        self.warnings = warnings;
        if !self.dry_run {
            self.settle(companions, resource, &object);
        }
        Ok(object)
    }

    /// PUT, which creates as well
    pub(crate) fn put(&mut self, object: Value) -> Result<Value, ApiError> {
        match self.stored(testkit::resource_of(&object), &object) {
            Some(_) => self.update(object),
            None => self.create(object),
        }
    }

    /// As `kubectl apply`: POST, or a patch where there is one of the name already; what has a
    /// status and no spec is a patch of the status.
    pub(crate) fn apply(&mut self, object: Value) -> Result<Value, ApiError> {
        let stored = self.stored(testkit::resource_of(&object), &object);
        match (stored, object.get("status")) {
            (None, _) => self.create(object),
            (Some(_), Some(_)) if object.get("spec").is_none() => self.patch_status(&object),
            (Some(_), _) => self.patch(&object),
        }
    }

    /// PUT of `/status`
    pub(crate) fn update_status(&mut self, mut object: Value) -> Result<Value, ApiError> {
        let resource = testkit::resource_of(&object);
        let rules = builtin(resource);
        let Some(old) = self.stored(resource, &object) else {
            return Err(ApiError::new(404, "NotFound", "no such object"));
        };
        let warnings = self.with_context(|context| {
            rules.default(&mut object);
            rules.prepare_subresource(Subresource::Status, &mut object, &old, context);
            let errors = rules.validate_subresource(Subresource::Status, &object, &old, context);
            refuse(&object, resource, &errors)?;
            Ok(rules.subresource_warnings(Subresource::Status, &object, &old, context))
        })?;
        self.warnings = warnings;
        self.settle(crate::Companions::default(), resource, &object);
        Ok(object)
    }

    /// PATCH with a merge patch, which names the kind and the object too
    pub(crate) fn patch(&mut self, patch: &Value) -> Result<Value, ApiError> {
        let old = self.stored(testkit::resource_of(patch), patch);
        self.update(merged(old.unwrap_or_default(), patch))
    }

    /// PATCH of `/status`
    pub(crate) fn patch_status(&mut self, patch: &Value) -> Result<Value, ApiError> {
        let old = self.stored(testkit::resource_of(patch), patch);
        self.update_status(merged(old.unwrap_or_default(), patch))
    }

    /// DELETE
    pub(crate) fn delete(&mut self, object: &Value) {
        let resource = testkit::resource_of(object);
        let Some(old) = self.stored(resource, object) else {
            return;
        };
        let companions = self.with_context(|context| builtin(resource).release(&old, context));
        for key in companions
            .delete
            .into_iter()
            .chain([key_of(resource, &old)])
        {
            self.write(key, None);
        }
    }

    fn stored(&self, resource: Resource, object: &Value) -> Option<Value> {
        let object = self.objects.get(&key_of(resource, object))?;
        Some(object.value())
    }

    fn settle(&mut self, companions: crate::Companions, resource: Resource, object: &Value) {
        for (resource, companion) in companions.create {
            let taken = self.write(key_of(resource, &companion), Some(&companion));
            assert!(!taken, "given out twice: {companion}");
        }
        for key in companions.delete {
            self.write(key, None);
        }
        self.write(key_of(resource, object), Some(object));
    }

    /// True when there was one before.
    fn write(&mut self, key: ObjectKey, value: Option<&Value>) -> bool {
        let new = value.map(|v| Arc::new(Object::from_value(key.resource, v).unwrap()));
        let old = self.objects.get(&key).cloned();
        self.indexes.apply(old.as_deref(), new.as_deref());
        match new {
            Some(new) => self.objects.insert(key, new),
            None => self.objects.remove(&key),
        };
        old.is_some()
    }
}

fn key_of(resource: Resource, object: &Value) -> ObjectKey {
    let part = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    ObjectKey::new(resource, part("namespace"), part("name"))
}

fn name_errors(resource: Resource, object: &Value) -> Vec<FieldError> {
    let name = &object["metadata"]["name"];
    let texts = builtin(resource).validate_name(name.as_str().unwrap_or_default(), false);
    let all = texts.iter();
    all.map(|text| FieldError::invalid("metadata.name", name, text))
        .collect()
}

fn refuse(object: &Value, resource: Resource, errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    Err(ApiError::invalid(resource.group(), &kind, &name, errors))
}

/// RFC 7386
pub(crate) fn merged(mut target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    if !target.is_object() {
        target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            let old = target[key].take();
            target[key] = merged(old, value);
        }
    }
    target
}
