//! The garbage collector: what happens to objects when their owners go.

use crate::fields::{elements, set};
use crate::workloads::{patch_owners, references};
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventKind, EventNote, Object, OwnerReference, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Collects objects whose owners are gone, and ends foreground and orphaning deletes.
pub(crate) const CONTROLLER: Controller = Controller {
    name: "garbage-collector-controller",
    keys,
    reconcile,
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    let mut found = BTreeSet::new();
    if event.kind == EventKind::Deleted {
        found.extend(dependents(view, object).map(|one| one.key()));
        found.extend(waiting_owners(view, object));
        return found.into_iter().collect();
    }
    let old = event.old.as_deref();
    let refs_changed =
        old.is_none_or(|old| old.meta.owner_references != object.meta.owner_references);
    if refs_changed {
        if !object.meta.owner_references.is_empty() {
            found.insert(object.key());
        }
        found.extend(old.into_iter().flat_map(|old| waiting_owners(view, old)));
    }
    let state = |object: &Object| (object.meta.is_deleting(), object.meta.finalizers.clone());
    let state_changed = old.is_none_or(|old| state(old) != state(object));
    if state_changed && object.meta.is_deleting() {
        found.insert(object.key());
        found.extend(waiting_owners(view, object));
        if waits_for_dependents(object) {
            found.extend(dependents(view, object).map(|one| one.key()));
        }
    }
    found.into_iter().collect()
}

fn dependents(view: &dyn View, owner: &Object) -> impl Iterator<Item = Arc<Object>> {
    view.owned_by(&owner.meta.uid).into_iter()
}

/// Keys of the owners that are being deleted.
fn waiting_owners(view: &dyn View, object: &Object) -> Vec<Key> {
    let owners = object.meta.owner_references.iter();
    let owners = owners.filter_map(|owner| match look_up(view, object, owner) {
        Owner::Waiting(owner) | Owner::Solid(owner) if owner.meta.is_deleting() => {
            Some(owner.key())
        }
        _ => None,
    });
    owners.collect()
}

fn has_finalizer(object: &Object, name: &str) -> bool {
    object.meta.finalizers.iter().any(|one| one == name)
}

fn waits_for_dependents(object: &Object) -> bool {
    object.meta.is_deleting() && has_finalizer(object, FOREGROUND)
}

/// What stands behind an owner reference.
enum Owner {
    /// It is there
    Solid(Arc<Object>),
    /// It is there until its dependents are gone
    Waiting(Arc<Object>),
    /// It is gone, or another object has its name
    Dangling,
    /// The reference cannot be followed: unknown kind, or a namespaced owner of a cluster object
    Unknown,
}

fn look_up(view: &dyn View, object: &Object, owner: &OwnerReference) -> Owner {
    let Some((resource, namespaced)) = view.resource_of(&owner.api_version, &owner.kind) else {
        return Owner::Unknown;
    };
    let namespace = &object.meta.namespace;
    if namespaced && namespace.is_empty() {
        return Owner::Unknown;
    }
    let namespace: &str = if namespaced { namespace } else { "" };
    match view.get(resource, namespace, &owner.name) {
        Some(found) if *found.meta.uid != *owner.uid => Owner::Dangling,
        Some(found) if waits_for_dependents(&found) => Owner::Waiting(found),
        Some(found) => Owner::Solid(found),
        None => Owner::Dangling,
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let view = context.view;
    let Some(object) = view.get(key.resource, &key.namespace, &key.name) else {
        return Outcome::default();
    };
    if object.meta.is_deleting() {
        if has_finalizer(&object, ORPHAN) {
            return Outcome::of(orphan_dependents(view, &object));
        }
        if has_finalizer(&object, FOREGROUND) {
            return Outcome::of(end_foreground(view, &object));
        }
        return Outcome::default();
    }
    collect(context, &object)
}

/// Decides about an object by its owners.
fn collect(context: &Context<'_>, object: &Arc<Object>) -> Outcome {
    let view = context.view;
    let (mut solid, mut waiting, mut gone) = (false, false, BTreeSet::new());
    let mut told = Vec::new();
    for owner in &object.meta.owner_references {
        match look_up(view, object, owner) {
            Owner::Solid(_) => solid = true,
            Owner::Waiting(_) => {
                waiting = true;
                gone.insert(owner.uid.as_str());
            }
            Owner::Dangling => {
                gone.insert(owner.uid.as_str());
                told.extend(stray(context, object, owner));
            }
            Owner::Unknown => return Outcome::of(stray(context, object, owner)),
        }
    }
    if gone.is_empty() {
        return Outcome::default();
    }
    if solid {
        let mut owners = references(object);
        owners.retain(|owner| !owner["uid"].as_str().is_some_and(|uid| gone.contains(uid)));
        told.push(patch_owners(object, owners));
        return Outcome::of(told);
    }
    let dependents: Vec<_> = dependents(view, object).collect();
    if waiting && !dependents.is_empty() {
        let circle = dependents.iter().any(|one| waits_for_dependents(one));
        let unblock = circle.then(|| unblock_owners(object)).flatten();
        told.extend(unblock);
        told.push(delete(object, "Foreground"));
        return Outcome::of(told);
    }
    let policy = if has_finalizer(object, ORPHAN) {
        "Orphan"
    } else if has_finalizer(object, FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    };
    told.push(delete(object, policy));
    Outcome::of(told)
}

/// Tells of an owner that is there, but in another namespace: it owns nothing.
fn stray(context: &Context<'_>, object: &Arc<Object>, owner: &OwnerReference) -> Option<Write> {
    let (resource, _) = context.view.resource_of(&owner.api_version, &owner.kind)?;
    let all = context.view.list(resource, None);
    all.iter().find(|one| *one.meta.uid == *owner.uid)?;
    let (namespace, uid) = (&object.meta.namespace, &owner.uid);
    let message = format!(
        "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {uid}] does not exist in \
         namespace \"{namespace}\"",
        owner.api_version, owner.kind, owner.name
    );
    let news = context
        .memory
        .is_news(CONTROLLER.name, &object.key(), &message);
    news.then(|| {
        Write::Note(EventNote {
            regarding: object.clone(),
            kind: "Warning",
            reason: "OwnerRefInvalidNamespace".to_owned(),
            message,
            component: CONTROLLER.name,
        })
    })
}

fn delete(object: &Object, propagation: &'static str) -> Write {
    Write::Delete {
        key: object.key(),
        uid: Some(object.meta.uid.clone()),
        grace_seconds: None,
        propagation: Some(propagation),
    }
}

/// In a circle of owners nobody may block anybody.
fn unblock_owners(object: &Object) -> Option<Write> {
    let mut owners = references(object);
    let blocking = |owner: &Value| owner["blockOwnerDeletion"] == true;
    if !owners.iter().any(blocking) {
        return None;
    }
    for owner in &mut owners {
        set(owner, &["blockOwnerDeletion"], false.into());
    }
    // The delete that follows must find the version that this patch makes.
    let key = object.key();
    let patch = json!({"metadata": {"uid": &*object.meta.uid, "ownerReferences": owners}});
    Some(Write::MergePatch {
        key,
        subresource: "",
        patch,
    })
}

/// Takes the owner out of its dependents, then lets it go.
fn orphan_dependents(view: &dyn View, owner: &Object) -> Vec<Write> {
    let mut writes: Vec<Write> = dependents(view, owner)
        .map(|dependent| {
            let mut owners = references(&dependent);
            owners.retain(|one| one["uid"] != *owner.meta.uid);
            patch_owners(&dependent, owners)
        })
        .collect();
    writes.push(without_finalizer(owner, ORPHAN));
    writes
}

/// Lets an owner go once no dependent blocks it any more.
fn end_foreground(view: &dyn View, owner: &Object) -> Option<Write> {
    let blocked = dependents(view, owner).any(|dependent| {
        let mut owners = dependent.meta.owner_references.iter();
        owners.any(|one| *one.uid == *owner.meta.uid && one.block_owner_deletion == Some(true))
    });
    (!blocked).then(|| without_finalizer(owner, FOREGROUND))
}

/// Removes one finalizer of exactly this version of an object.
pub(crate) fn without_finalizer(object: &Object, name: &str) -> Write {
    let value = object.value();
    let mut finalizers = elements(&value, "/metadata/finalizers").to_vec();
    finalizers.retain(|one| one != name);
    let finalizers = if finalizers.is_empty() {
        Value::Null
    } else {
        Value::Array(finalizers)
    };
    Write::MergePatch {
        key: object.key(),
        subresource: "",
        patch: json!({"metadata": {
            "uid": &*object.meta.uid,
            "resourceVersion": object.meta.resource_version.to_string(),
            "finalizers": finalizers,
        }}),
    }
}
