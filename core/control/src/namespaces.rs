//! Namespaces: what each has from the start, and how one ends.

use crate::fields::{object, set, text};
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, Object, ObjectKey, Resource, Timestamp, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const FINALIZER: &str = "kubernetes";
const ROOT_CA: &str = "kube-root-ca.crt";
const ROOT_CA_ABOUT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver \
     when using internal endpoints such as the internal service IP or \
     kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
     clusters.";

/// Empties and removes Namespaces that were deleted.
pub(crate) const LIFECYCLE: Controller = Controller {
    name: "namespace-controller",
    keys: lifecycle_keys,
    reconcile: end,
    refused: crate::silent,
};

/// The ServiceAccount `default` of every Namespace.
pub(crate) const SERVICE_ACCOUNT: Controller = Controller {
    name: "serviceaccount-controller",
    keys: service_account_keys,
    reconcile: service_account,
    refused: crate::silent,
};

/// The ConfigMap `kube-root-ca.crt` of every Namespace.
pub(crate) const ROOT_CA_PUBLISHER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    keys: root_ca_keys,
    reconcile: root_ca,
    refused: crate::silent,
};

fn key_of(name: &str) -> Key {
    Key::new(Resource::NAMESPACES, "", name)
}

fn lifecycle_keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    if object.resource == Resource::NAMESPACES {
        return vec![object.key()];
    }
    let namespace = &object.meta.namespace;
    let ending = !namespace.is_empty()
        && view
            .get(Resource::NAMESPACES, "", namespace)
            .is_some_and(|namespace| namespace.meta.is_deleting());
    ending.then(|| key_of(namespace)).into_iter().collect()
}

/// One pass: first ask for all Pods to go; once they are gone, for the rest; once nothing is left,
/// remove the finalizer. What remains is told in the conditions.
fn end(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(namespace) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let mut value = namespace.value();
    let finalizers = crate::fields::elements(&value, "/spec/finalizers");
    if !namespace.meta.is_deleting() || !finalizers.iter().any(|one| one == FINALIZER) {
        return Outcome::default();
    }
    let mut left = context.view.list(Resource::PODS, Some(&key.name));
    let pods_left = !left.is_empty();
    if !pods_left {
        left = content(context.view, &key.name);
    }
    let deletes: Vec<Write> = left.iter().filter_map(delete).collect();
    if !deletes.is_empty() {
        return Outcome::of(deletes);
    }
    // While Pods remain the totals are not told, as upstream has it.
    let told: &[Arc<Object>] = if pods_left { &[] } else { &left };
    let mut writes = Vec::new();
    if update_conditions(&mut value, told, context.now) {
        writes.push(Write::UpdateSubresource {
            resource: Resource::NAMESPACES,
            subresource: "status",
            object: value.clone(),
        });
    }
    if left.is_empty() {
        let mut finalizers = crate::fields::elements(&value, "/spec/finalizers").to_vec();
        finalizers.retain(|one| one != FINALIZER);
        set(&mut value, &["spec", "finalizers"], finalizers.into());
        // The status may just have been written under this version.
        crate::fields::remove(&mut value, &["metadata", "resourceVersion"]);
        writes.push(Write::UpdateSubresource {
            resource: Resource::NAMESPACES,
            subresource: "finalize",
            object: value,
        });
    }
    Outcome::of(writes)
}

fn content(view: &dyn View, namespace: &str) -> Vec<Arc<Object>> {
    let resources = view.resources().into_iter();
    let all = resources.flat_map(|resource| view.list(resource, Some(namespace)));
    let mut all: Vec<Arc<Object>> = all
        .filter(|object| *object.meta.namespace == *namespace)
        .collect();
    all.sort_by_key(|object| object.key());
    all.dedup_by_key(|object| object.meta.uid.clone());
    all
}

fn delete(object: &Arc<Object>) -> Option<Write> {
    (!object.meta.is_deleting()).then(|| Write::Delete {
        key: object.key(),
        uid: Some(object.meta.uid.clone()),
        grace_seconds: None,
        propagation: Some("Background"),
    })
}

/// Brings the five conditions up to date; says whether any changed.
fn update_conditions(namespace: &mut Value, left: &[Arc<Object>], now: Timestamp) -> bool {
    let wanted = conditions(left);
    let status = object(object(namespace).entry("status").or_insert(Value::Null));
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return false;
    };
    let before = list.clone();
    for (kind, status, reason, message) in wanted {
        let mut new = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": now.rfc3339(),
        });
        match list.iter_mut().find(|one| one["type"] == kind) {
            None => list.push(new),
            Some(old) => {
                if text(old, "/status") == status {
                    new["lastTransitionTime"] = old["lastTransitionTime"].clone();
                }
                *old = new;
            }
        }
    }
    *list != before
}

type Condition = (&'static str, &'static str, &'static str, String);

fn conditions(left: &[Arc<Object>]) -> Vec<Condition> {
    let fine = |kind, reason, message: &str| (kind, "False", reason, message.to_owned());
    let mut found = vec![
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
    ];
    let remaining = counted(left.iter().map(|object| {
        let resource = object.resource;
        format!("{}.{} has", resource.plural(), resource.group())
    }));
    found.push(if remaining.is_empty() {
        let message = "All content successfully removed";
        fine("NamespaceContentRemaining", "ContentRemoved", message)
    } else {
        let message = format!("Some resources are remaining: {remaining}");
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            message,
        )
    });
    let finalizers = left.iter().flat_map(|object| &object.meta.finalizers);
    let finalizers = counted(finalizers.map(|name| format!("{name} in")));
    found.push(if finalizers.is_empty() {
        let message = "All content-preserving finalizers finished";
        fine(
            "NamespaceFinalizersRemaining",
            "ContentHasNoFinalizers",
            message,
        )
    } else {
        let message =
            format!("Some content in the namespace has finalizers remaining: {finalizers}");
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            message,
        )
    });
    found
}

/// `x has 2 resource instances, y has 1 resource instances`
fn counted(subjects: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for subject in subjects {
        *counts.entry(subject).or_insert(0) += 1;
    }
    let texts: Vec<String> = counts
        .iter()
        .map(|(subject, count)| format!("{subject} {count} resource instances"))
        .collect();
    texts.join(", ")
}

/// The Namespace, unless it is missing or going away.
fn active(context: &Context<'_>, key: &Key) -> bool {
    let namespace = context.view.get(Resource::NAMESPACES, "", &key.name);
    namespace.is_some_and(|namespace| {
        !namespace.meta.is_deleting() && text(&namespace.value(), "/status/phase") != "Terminating"
    })
}

fn service_account_keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let (object, kind) = (&event.object, event.kind);
    match object.resource {
        Resource::NAMESPACES if kind != EventKind::Deleted => vec![object.key()],
        Resource::SERVICE_ACCOUNTS
            if kind == EventKind::Deleted && *object.meta.name == *"default" =>
        {
            vec![key_of(&object.meta.namespace)]
        }
        _ => Vec::new(),
    }
}

fn service_account(context: &Context<'_>, key: &Key) -> Outcome {
    let resource = Resource::SERVICE_ACCOUNTS;
    let there = context.view.get(resource, &key.name, "default").is_some();
    if there || !active(context, key) {
        return Outcome::default();
    }
    let metadata = json!({"name": "default", "namespace": &*key.name});
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    Outcome::of([Write::Create { resource, object }])
}

fn root_ca_keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::NAMESPACES if event.kind != EventKind::Deleted => vec![object.key()],
        Resource::CONFIG_MAPS if *object.meta.name == *ROOT_CA => {
            vec![key_of(&object.meta.namespace)]
        }
        _ => Vec::new(),
    }
}

fn root_ca(context: &Context<'_>, key: &Key) -> Outcome {
    let (resource, pem) = (Resource::CONFIG_MAPS, &context.settings.ca_pem);
    if pem.is_empty() || !active(context, key) {
        return Outcome::default();
    }
    let data = json!({"ca.crt": pem});
    let about = "kubernetes.io/description";
    let key = ObjectKey::new(resource, &key.name, ROOT_CA);
    let Some(stored) = context.view.get(resource, &key.namespace, ROOT_CA) else {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {
                "name": ROOT_CA, "namespace": &*key.namespace, "annotations": {about: ROOT_CA_ABOUT},
            },
        });
        return Outcome::of([Write::Create { resource, object }]);
    };
    let mut object = stored.value();
    let described = stored.meta.annotations.get(about).map(String::as_str) == Some(ROOT_CA_ABOUT);
    if object["data"] == data && described {
        return Outcome::default();
    }
    set(&mut object, &["data"], data);
    set(
        &mut object,
        &["metadata", "annotations", about],
        ROOT_CA_ABOUT.into(),
    );
    Outcome::of([Write::Update { resource, object }])
}
