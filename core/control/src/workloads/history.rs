//! ControllerRevisions: the templates that a StatefulSet or DaemonSet had.

use super::deployment::without_empty;
use super::workload::Kind;
use super::{APPS, template};
use crate::Context;
use crate::fields::{number, set, set_strings, text};
use model::{Object, Resource, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One revision.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) name: String,
    number: i64,
    data: Value,
    object: Option<Arc<Object>>,
}

/// The revisions a reconciliation works with.
pub(super) struct History {
    /// What Pods have that are not updated yet
    pub(super) current: Revision,
    /// What Pods should have
    pub(super) update: Revision,
    /// `status.collisionCount`
    pub(super) collisions: i64,
    /// Writes that make it so
    pub(super) writes: Vec<Write>,
    stored: Vec<Revision>,
}

impl Revision {
    fn open(object: &Arc<Object>) -> Self {
        let value = object.value();
        Self {
            name: object.meta.name.to_string(),
            number: number(&value, "/revision").unwrap_or(0),
            data: value["data"].clone(),
            object: Some(object.clone()),
        }
    }

    /// The Pod template of this revision.
    pub(super) fn template(&self) -> Value {
        let mut template = self.data["spec"]["template"].clone();
        crate::fields::remove(&mut template, &["$patch"]);
        template
    }
}

/// Whose history it is.
pub(super) struct Owner<'a> {
    pub(super) kind: &'a Kind,
    pub(super) object: &'a Object,
    /// The present template
    pub(super) template: &'a Value,
    /// `status.collisionCount`
    pub(super) collisions: i64,
    /// The revision that Pods have which are not updated yet; empty when there is none
    pub(super) current: &'a str,
    /// A label for the hash, on revisions
    pub(super) hash_label: &'static str,
}

/// The state of a set that a revision keeps: its template, as a patch that restores it.
fn data_of(owner: &Owner<'_>) -> Value {
    let mut template = owner.template.clone();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

fn same(one: &Value, other: &Value) -> bool {
    let (mut one, mut other) = (one.clone(), other.clone());
    without_empty(&mut one);
    without_empty(&mut other);
    one == other
}

/// Finds or makes the revision of the present template. `Err` is the status's collision count
/// when the name of a new revision is taken.
pub(super) fn history(
    context: &Context<'_>,
    owner: &Owner<'_>,
    objects: &[Arc<Object>],
) -> Result<History, i64> {
    let mut stored: Vec<Revision> = objects.iter().map(Revision::open).collect();
    stored.sort_by_key(|one| {
        let created = one
            .object
            .as_ref()
            .map(|o| o.meta.creation_timestamp.clone());
        (one.number, created, one.name.clone())
    });
    let data = data_of(owner);
    let next = stored.last().map_or(1, |last| last.number + 1);
    let mut writes = Vec::new();
    let found = stored.iter().rposition(|one| same(&one.data, &data));
    let update = match found {
        Some(at) if at + 1 == stored.len() => stored[at].clone(),
        Some(at) => {
            let again = &stored[at];
            writes.extend(renumber(again, next));
            again.clone()
        }
        None => {
            let (made, write) = make(context, owner, data, next)?;
            writes.push(write);
            made
        }
    };
    let current = stored.iter().find(|one| one.name == owner.current);
    Ok(History {
        current: current.unwrap_or(&update).clone(),
        update,
        collisions: owner.collisions,
        writes,
        stored,
    })
}

/// A template that comes back is the newest revision again.
fn renumber(revision: &Revision, number: i64) -> Option<Write> {
    let mut value = revision.object.as_ref()?.value();
    set(&mut value, &["revision"], number.into());
    Some(Write::Update {
        resource: Resource::CONTROLLER_REVISIONS,
        object: value,
    })
}

fn make(
    context: &Context<'_>,
    owner: &Owner<'_>,
    data: Value,
    number: i64,
) -> Result<(Revision, Write), i64> {
    const MAX_PREFIX: usize = 223;
    let meta = &owner.object.meta;
    let collisions = owner.collisions;
    let hash = template::hash(&data, collisions);
    let prefix: String = meta.name.chars().take(MAX_PREFIX).collect();
    let name = format!("{prefix}-{hash}");
    let resource = Resource::CONTROLLER_REVISIONS;
    if context.view.get(resource, &meta.namespace, &name).is_some() {
        return Err(collisions + 1);
    }
    let mut value = json!({
        "apiVersion": APPS,
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": &*meta.namespace,
            "labels": owner.template["metadata"]["labels"],
            "ownerReferences": [owner.kind.reference(meta)],
        },
        "data": data,
        "revision": number,
    });
    crate::fields::set(
        &mut value,
        &["metadata", "labels", owner.hash_label],
        hash.into(),
    );
    set_strings(&mut value, "annotations", &meta.annotations);
    let revision = Revision {
        name: text(&value, "/metadata/name").to_owned(),
        number,
        data: value["data"].clone(),
        object: None,
    };
    Ok((
        revision,
        Write::Create {
            resource,
            object: value,
        },
    ))
}

impl History {
    /// Deletes the oldest revisions that nothing uses, beyond the limit.
    pub(super) fn truncate(&self, limit: Option<usize>, used: &BTreeSet<String>) -> Vec<Write> {
        let live = |name: &String| {
            *name == self.current.name || *name == self.update.name || used.contains(name)
        };
        let dead: Vec<&Revision> = self.stored.iter().filter(|one| !live(&one.name)).collect();
        let excess = limit.map_or(0, |limit| dead.len().saturating_sub(limit));
        let objects = dead
            .into_iter()
            .take(excess)
            .filter_map(|one| one.object.as_ref());
        objects
            .map(|object| Write::Delete {
                key: object.key(),
                uid: Some(object.meta.uid.clone()),
                grace_seconds: None,
                propagation: None,
            })
            .collect()
    }
}
