//! CustomResourceDefinitions: which of their names are accepted, when their kinds are served, and how
//! they end (apiextensions-apiserver's naming, establishing, approval and finalizing controllers).

use crate::fields::{elements, set, text};
use crate::{Context, Controller, Key, Outcome};
use base64::Engine;
use model::{Event, EventKind, Object, Resource, Timestamp, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
const APPROVED: &str = "api-approved.kubernetes.io";
const ENHANCEMENT: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// Accepts names and lets kinds be served.
pub(crate) const NAMES: Controller = Controller {
    name: "customresourcedefinition-naming-controller",
    keys: name_keys,
    reconcile: accept,
    refused: crate::silent,
};

/// Removes the objects of definitions that were deleted, then lets these go.
pub(crate) const FINALIZING: Controller = Controller {
    name: "customresourcedefinition-finalizing-controller",
    keys: end_keys,
    reconcile: end,
    refused: crate::silent,
};

type Condition = (&'static str, &'static str, &'static str, String);

/// Sets a condition; the time changes with the status alone.
fn set_condition(definition: &mut Value, condition: &Condition, now: Timestamp) {
    let (kind, status, reason, message) = condition;
    let mut new = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": now.rfc3339(),
    });
    let mut all = elements(definition, "/status/conditions").to_vec();
    match all.iter_mut().find(|one| one["type"] == *kind) {
        None => all.push(new),
        Some(old) => {
            if old["status"] == *status {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            if let Some(generation) = old.get("observedGeneration") {
                new["observedGeneration"] = generation.clone();
            }
            *old = new;
        }
    }
    set(definition, &["status", "conditions"], all.into());
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut all = elements(definition, "/status/conditions").iter();
    all.find(|one| one["type"] == kind)
}

fn is_true(definition: &Value, kind: &str) -> bool {
    condition(definition, kind).is_some_and(|one| one["status"] == "True")
}

fn update_status(definition: Value) -> Write {
    Write::UpdateSubresource {
        resource: Resource::DEFINITIONS,
        subresource: "status",
        object: definition,
    }
}

fn key_of(name: &str) -> Key {
    Key::new(Resource::DEFINITIONS, "", name)
}

/// A definition itself; those of its group too when its names are decided or may be free again.
fn name_keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    if object.resource != Resource::DEFINITIONS {
        return Vec::new();
    }
    let names = |object: &Object| {
        let value = object.value();
        let decided = condition(&value, "NamesAccepted").is_some();
        (decided, value["status"]["acceptedNames"].clone())
    };
    let freed = event.kind == EventKind::Deleted
        || event
            .old
            .as_ref()
            .is_some_and(|old| names(old) != names(object));
    if !freed {
        return vec![object.key()];
    }
    let group = text(&object.value(), "/spec/group").to_owned();
    let others = view.list(Resource::DEFINITIONS, None).into_iter();
    let mut keys: Vec<Key> = others
        .filter(|other| text(&other.value(), "/spec/group") == group)
        .map(|other| other.key())
        .collect();
    keys.push(object.key());
    keys.sort();
    keys.dedup();
    keys
}

/// One step: the names, then the condition `Established`, each as a write of its own.
fn accept(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let old = object.value();
    let mut new = old.clone();
    if let Some(approval) = approval(&old) {
        set_when_other(&mut new, &approval, context.now);
    }
    if old["spec"]["names"] != old["status"]["acceptedNames"] {
        if waits_for_earlier(context.view, &old) {
            return Outcome::default();
        }
        accept_names(&mut new, &used_names(context.view, &old), context.now);
    } else if is_true(&old, "NamesAccepted") && !is_true(&old, "Established") {
        set_when_other(&mut new, &established(&old), context.now);
    }
    if new == old {
        return Outcome::default();
    }
    Outcome::of([update_status(new)])
}

fn set_when_other(definition: &mut Value, wanted: &Condition, now: Timestamp) {
    let (kind, status, reason, message) = wanted;
    let same = condition(definition, kind).is_some_and(|one| {
        one["status"] == *status && one["reason"] == *reason && one["message"] == *message
    });
    if !same {
        set_condition(definition, wanted, now);
    }
}

/// Whether a definition of the group that came before is not decided yet: its decision wakes this
/// one up again. Two that are made at once could not see each other's names otherwise.
fn waits_for_earlier(view: &dyn View, definition: &Value) -> bool {
    let age = |one: &Value| {
        let part = |pointer: &str| text(one, pointer).to_owned();
        (part("/metadata/creationTimestamp"), part("/metadata/name"))
    };
    view.list(Resource::DEFINITIONS, None).iter().any(|other| {
        let other = other.value();
        other["spec"]["group"] == definition["spec"]["group"]
            && condition(&other, "NamesAccepted").is_none()
            && age(&other) < age(definition)
    })
}

/// Names that definitions of a group hold.
#[derive(Default)]
struct Used {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

fn used_names(view: &dyn View, definition: &Value) -> Used {
    let mut used = Used::default();
    for other in view.list(Resource::DEFINITIONS, None) {
        let other = other.value();
        if other["spec"]["group"] != definition["spec"]["group"] {
            continue;
        }
        let names = &other["status"]["acceptedNames"];
        let name = |key: &str| names[key].as_str().unwrap_or_default().to_owned();
        used.resources.extend(["plural", "singular"].map(name));
        let short = elements(names, "/shortNames").iter();
        let short = short.filter_map(Value::as_str).map(str::to_owned);
        used.resources.extend(short);
        used.kinds.extend(["kind", "listKind"].map(name));
    }
    used
}

/// Takes over each name that is free or its own already.
fn accept_names(definition: &mut Value, used: &Used, now: Timestamp) {
    let wanted = definition["spec"]["names"].clone();
    let mut accepted = definition["status"]["acceptedNames"].clone();
    let mut conflict: Option<(&'static str, String)> = None;
    for (key, taken, reason) in [
        ("plural", &used.resources, "PluralConflict"),
        ("singular", &used.resources, "SingularConflict"),
        ("shortNames", &used.resources, "ShortNamesConflict"),
        ("kind", &used.kinds, "KindConflict"),
        ("listKind", &used.kinds, "ListKindConflict"),
    ] {
        let conflicts = match key {
            "shortNames" => short_name_conflicts(&wanted, &accepted, taken),
            key => name_conflict(text_of(&wanted, key), text_of(&accepted, key), taken),
        };
        match conflicts {
            Some(message) => conflict = Some((reason, message)),
            None => take_over(&mut accepted, &wanted, key),
        }
    }
    take_over(&mut accepted, &wanted, "categories");
    set(definition, &["status", "acceptedNames"], accepted);
    let names: Condition = match conflict {
        None => (
            "NamesAccepted",
            "True",
            "NoConflicts",
            "no conflicts found".to_owned(),
        ),
        Some((reason, message)) => ("NamesAccepted", "False", reason, message),
    };
    let good = names.1 == "True";
    set_condition(definition, &names, now);
    if is_true(definition, "Established") {
        return;
    }
    let established: Condition = if good {
        let text = "the initial names have been accepted";
        ("Established", "False", "Installing", text.to_owned())
    } else if condition(definition, "Established").is_some() {
        return;
    } else {
        let text = "not all names are accepted";
        ("Established", "False", "NotAccepted", text.to_owned())
    };
    set_condition(definition, &established, now);
}

fn text_of<'a>(names: &'a Value, key: &str) -> &'a str {
    names[key].as_str().unwrap_or_default()
}

fn take_over(accepted: &mut Value, wanted: &Value, key: &str) {
    match wanted.get(key) {
        Some(name) => set(accepted, &[key], name.clone()),
        None => crate::fields::remove(accepted, &[key]),
    }
}

fn name_conflict(wanted: &str, accepted: &str, used: &BTreeSet<String>) -> Option<String> {
    (wanted != accepted && used.contains(wanted)).then(|| format!("\"{wanted}\" is already in use"))
}

fn short_name_conflicts(
    wanted: &Value,
    accepted: &Value,
    used: &BTreeSet<String>,
) -> Option<String> {
    let own = elements(accepted, "/shortNames");
    let new = elements(wanted, "/shortNames").iter();
    let new = new
        .filter(|name| !own.contains(name))
        .filter_map(Value::as_str);
    let mut texts: Vec<String> = new
        .filter_map(|name| name_conflict(name, "", used))
        .collect();
    texts.dedup();
    match texts.len() {
        0 => None,
        1 => texts.pop(),
        _ => Some(format!("[{}]", texts.join(", "))),
    }
}

fn established(definition: &Value) -> Condition {
    let bundle = text(definition, "/spec/conversion/webhook/clientConfig/caBundle");
    if !bundle.is_empty() && !is_bundle(bundle) {
        let text = "The conversion webhook CABundle is invalid";
        return ("Established", "False", "InvalidCABundle", text.to_owned());
    }
    let text = "the initial names have been accepted";
    (
        "Established",
        "True",
        "InitialNamesAccepted",
        text.to_owned(),
    )
}

/// Whether the base64 text holds a certificate in PEM.
fn is_bundle(base64: &str) -> bool {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
    bytes.is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        text.contains("-----BEGIN CERTIFICATE-----")
    })
}

/// What is told about groups of the Kubernetes project.
fn approval(definition: &Value) -> Option<Condition> {
    let group = text(definition, "/spec/group");
    let protected = ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        let rest = group.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    if !protected {
        return None;
    }
    let said = definition["metadata"]["annotations"][APPROVED].as_str();
    let said = said.unwrap_or_default();
    let wanted = format!("protected groups must have approval annotation \"{APPROVED}\"");
    let (status, reason, message) = if said.is_empty() {
        (
            "False",
            "MissingAnnotation",
            format!("{wanted}, {ENHANCEMENT}"),
        )
    } else if said.starts_with("unapproved") {
        (
            "False",
            "UnapprovedAnnotation",
            format!("not approved: \"{said}\""),
        )
    } else if said.contains("://") {
        ("True", "ApprovedAnnotation", format!("approved in {said}"))
    } else {
        let either = "with either a URL or a reason starting with \"unapproved\"";
        (
            "False",
            "InvalidAnnotation",
            format!("{wanted} {either}, {ENHANCEMENT}"),
        )
    };
    Some((
        "KubernetesAPIApprovalPolicyConformant",
        status,
        reason,
        message,
    ))
}

/// A definition that goes, also when one of its objects changes: the resource of these has the
/// definition's name.
fn end_keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    let key = if object.resource == Resource::DEFINITIONS {
        object.key()
    } else if event.kind == EventKind::Deleted {
        key_of(object.resource.as_str())
    } else {
        return Vec::new();
    };
    let going = view
        .get(key.resource, "", &key.name)
        .is_some_and(|definition| definition.meta.is_deleting());
    going.then_some(key).into_iter().collect()
}

fn end(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(definition) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let held = definition
        .meta
        .finalizers
        .iter()
        .any(|one| one == FINALIZER);
    if !definition.meta.is_deleting() || !held {
        return Outcome::default();
    }
    let mut value = definition.value();
    let condition = |status, reason, message: &str| -> Condition {
        ("Terminating", status, reason, message.to_owned())
    };
    if !is_true(&value, "Established") {
        let told = "resource was never established";
        let never = condition("False", "NeverEstablished", told);
        return release(value, &never, context.now);
    }
    let told = "CustomResource deletion is in progress";
    let under_way = condition("True", "InstanceDeletionInProgress", told);
    let resource = Resource::new(
        text(&value, "/spec/group"),
        text(&value, "/status/acceptedNames/plural"),
    );
    let left = context.view.list(resource, None);
    if left.is_empty() {
        let done = condition(
            "False",
            "InstanceDeletionCompleted",
            "removed all instances",
        );
        return release(value, &done, context.now);
    }
    let mut writes = Vec::new();
    let before = value.clone();
    set_when_other(&mut value, &under_way, context.now);
    if value != before {
        writes.push(update_status(value));
    }
    let going = left.iter().filter(|object| !object.meta.is_deleting());
    writes.extend(going.map(|object| Write::Delete {
        key: object.key(),
        uid: Some(object.meta.uid.clone()),
        grace_seconds: None,
        propagation: None,
    }));
    Outcome::of(writes)
}

/// The objects are gone: so may the definition be.
fn release(mut definition: Value, condition: &Condition, now: Timestamp) -> Outcome {
    set_condition(&mut definition, condition, now);
    let mut finalizers = elements(&definition, "/metadata/finalizers").to_vec();
    finalizers.retain(|one| one != FINALIZER);
    set(
        &mut definition,
        &["metadata", "finalizers"],
        finalizers.into(),
    );
    Outcome::of([update_status(definition)])
}

#[cfg(test)]
mod tests;
