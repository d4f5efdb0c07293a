use super::*;
use crate::{Memory, Settings};
use model::ObjectKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A handful of objects.
#[derive(Default)]
struct Shelf(BTreeMap<ObjectKey, Arc<Object>>);

impl Shelf {
    fn put(&mut self, resource: Resource, value: &Value) {
        let object = Object::from_value(resource, value).expect("an object");
        self.0.insert(object.key(), Arc::new(object));
    }

    fn definition(&self, name: &str) -> Value {
        let found = self.get(Resource::DEFINITIONS, "", name);
        found.expect("the definition").value()
    }

    /// Reconciles until nothing is asked for any more; answers the other writes.
    fn settle(&mut self, reconcile: fn(&Context<'_>, &Key) -> Outcome, name: &str) -> Vec<Write> {
        for _ in 0..8 {
            let settings = Settings::default();
            let memory = Memory::default();
            let context = Context {
                view: self,
                now: Timestamp::default(),
                settings: &settings,
                memory: &memory,
            };
            let writes = reconcile(&context, &key_of(name)).writes;
            if writes.is_empty() {
                return Vec::new();
            }
            let mut others = Vec::new();
            for write in writes {
                match write {
                    Write::UpdateSubresource { object, .. } => {
                        self.put(Resource::DEFINITIONS, &object);
                    }
                    other => others.push(other),
                }
            }
            if !others.is_empty() {
                return others;
            }
        }
        panic!("it never settles");
    }
}

impl View for Shelf {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.0
            .get(&ObjectKey::new(resource, namespace, name))
            .cloned()
    }

    fn list(&self, resource: Resource, _: Option<&str>) -> Vec<Arc<Object>> {
        let all = self.0.values().filter(|object| object.resource == resource);
        all.cloned().collect()
    }

    fn owned_by(&self, _: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }

    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }
}

fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com"), "uid": plural, "resourceVersion": "1"},
        "spec": {"group": "example.com", "names": {
            "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")}},
        "status": {"acceptedNames": {"plural": "", "kind": ""}, "conditions": null, "storedVersions": ["v1"]},
    })
}

fn reasons(definition: &Value) -> Vec<&str> {
    let conditions = elements(definition, "/status/conditions").iter();
    conditions.map(|one| text(one, "/reason")).collect()
}

#[test]
fn free_names_are_accepted_and_then_served() {
    let mut shelf = Shelf::default();
    shelf.put(Resource::DEFINITIONS, &definition("foos", "Foo"));
    assert_eq!(shelf.settle(accept, "foos.example.com"), []);
    let foos = shelf.definition("foos.example.com");
    assert_eq!(reasons(&foos), ["NoConflicts", "InitialNamesAccepted"]);
    assert!(is_true(&foos, "Established"));
    assert_eq!(foos["status"]["acceptedNames"], foos["spec"]["names"]);
}

#[test]
fn names_that_others_hold_are_not_accepted() {
    let mut shelf = Shelf::default();
    shelf.put(Resource::DEFINITIONS, &definition("foos", "Foo"));
    shelf.settle(accept, "foos.example.com");
    let mut second = definition("bars", "Bar");
    second["spec"]["names"]["kind"] = "Foo".into();
    shelf.put(Resource::DEFINITIONS, &second);
    shelf.settle(accept, "bars.example.com");
    let bars = shelf.definition("bars.example.com");
    assert_eq!(reasons(&bars), ["KindConflict", "NotAccepted"]);
    assert_eq!(
        text(&bars, "/status/conditions/0/message"),
        "\"Foo\" is already in use"
    );
    assert_eq!(bars["status"]["acceptedNames"]["plural"], "bars");
    // Once the name is free it is taken.
    shelf.0.remove(&key_of("foos.example.com"));
    shelf.settle(accept, "bars.example.com");
    assert!(is_true(
        &shelf.definition("bars.example.com"),
        "Established"
    ));
}

#[test]
fn one_decides_after_the_other() {
    let mut shelf = Shelf::default();
    let mut second = definition("foos", "Foo");
    second["spec"]["names"]["shortNames"] = json!(["bar"]);
    shelf.put(Resource::DEFINITIONS, &definition("bars", "Bar"));
    shelf.put(Resource::DEFINITIONS, &second);
    shelf.settle(accept, "foos.example.com");
    assert_eq!(reasons(&shelf.definition("foos.example.com")), [""; 0]);
    shelf.settle(accept, "bars.example.com");
    shelf.settle(accept, "foos.example.com");
    let foos = shelf.definition("foos.example.com");
    assert_eq!(reasons(&foos), ["ShortNamesConflict", "NotAccepted"]);
}

#[test]
fn a_definition_goes_after_its_objects() {
    let mut shelf = Shelf::default();
    let mut foos = definition("foos", "Foo");
    foos["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    foos["metadata"]["finalizers"] = json!([FINALIZER]);
    foos["status"]["acceptedNames"] = foos["spec"]["names"].clone();
    foos["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    shelf.put(Resource::DEFINITIONS, &foos);
    let resource = Resource::new("example.com", "foos");
    let object = json!({"apiVersion": "example.com/v1", "kind": "Foo",
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "2"}});
    shelf.put(resource, &object);
    let writes = shelf.settle(end, "foos.example.com");
    let key = ObjectKey::new(resource, "n", "a");
    assert!(matches!(&writes[..], [Write::Delete { key: found, .. }] if *found == key));
    shelf.0.remove(&key);
    assert_eq!(shelf.settle(end, "foos.example.com"), []);
    let foos = shelf.definition("foos.example.com");
    assert_eq!(foos["metadata"]["finalizers"], json!([]));
    assert_eq!(
        text(&foos, "/status/conditions/1/reason"),
        "InstanceDeletionCompleted"
    );
}
