//! What all workloads have in common: their kind, the Pods they select and the template of these.

use crate::fields::nullable;
use crate::labels::Selector;
use crate::owners::{controller_of, controller_reference};
use crate::{Context, Key, Outcome};
use model::{
    ApiError, Event, EventKind, EventNote, Meta, Object, OwnerReference, Resource, View, Write,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A kind of workload, and the controller that looks after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) resource: Resource,
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    /// Whose events they are
    pub(crate) component: &'static str,
}

impl Kind {
    /// The key of one workload.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key::new(self.resource, namespace, name)
    }

    /// The controller of an object, when it is of this kind.
    pub(crate) fn owner_of<'a>(&self, object: &'a Object) -> Option<&'a OwnerReference> {
        controller_of(object, self.api_version, self.kind)
    }

    /// The reference that makes a workload the controller of an object.
    pub(crate) fn reference(&self, owner: &Meta) -> Value {
        controller_reference(self.api_version, self.kind, owner)
    }

    /// An Event about a workload.
    pub(crate) fn note(
        &self,
        kind: &'static str,
        object: &Arc<Object>,
        reason: &str,
        message: String,
    ) -> Write {
        Write::Note(EventNote {
            regarding: object.clone(),
            kind,
            reason: reason.to_owned(),
            message,
            component: self.component,
        })
    }

    /// Keys of the workloads that own an object, or did; for an orphan those that `adopt` it.
    pub(crate) fn keys_of_owned(
        &self,
        event: &Event,
        view: &dyn View,
        adopt: impl Fn(&Arc<Object>) -> bool,
    ) -> Vec<Key> {
        let object = &event.object;
        let namespace = &object.meta.namespace;
        let versions = [Some(object), event.old.as_ref()];
        let owners = versions.into_iter().flatten();
        let owners = owners.filter_map(|one| self.owner_of(one));
        let mut found: BTreeSet<Key> = owners
            .map(|owner| self.key(namespace, &owner.name))
            .collect();
        if object.meta.controller().is_none() && event.kind != EventKind::Deleted {
            let all = view.list(self.resource, Some(namespace));
            found.extend(all.iter().filter(|one| adopt(one)).map(|one| one.key()));
        }
        found.into_iter().collect()
    }

    /// Tells of a Pod that could not be made or deleted.
    pub(crate) fn refused(
        &self,
        context: &Context<'_>,
        key: &Key,
        write: &Write,
        error: &ApiError,
    ) -> Outcome {
        let Some((word, reason)) = refusal(write) else {
            return Outcome::default();
        };
        let object = context.view.get(key.resource, &key.namespace, &key.name);
        let Some(object) = object.filter(|_| !super::namespace_terminating(error)) else {
            return Outcome::default();
        };
        let message = format!("Error {word}: {error}");
        Outcome::of([self.note("Warning", &object, reason, message)])
    }
}

/// How the refusal of a Pod's create or delete is told.
pub(crate) fn refusal(write: &Write) -> Option<(&'static str, &'static str)> {
    match write {
        Write::Create { .. } => Some(("creating", "FailedCreate")),
        Write::Delete { .. } => Some(("deleting", "FailedDelete")),
        _ => None,
    }
}

/// One workload, opened.
#[derive(Clone, Debug)]
pub(crate) struct Workload<S, T> {
    pub(crate) object: Arc<Object>,
    pub(crate) spec: S,
    pub(crate) status: T,
}

#[derive(Deserialize)]
#[serde(
    default,
    bound = "S: DeserializeOwned + Default, T: DeserializeOwned + Default"
)]
#[derive(Default)]
struct Raw<S, T> {
    #[serde(deserialize_with = "nullable")]
    spec: S,
    #[serde(deserialize_with = "nullable")]
    status: T,
}

impl<S, T> Workload<S, T>
where
    S: DeserializeOwned + Default,
    T: DeserializeOwned + Default,
{
    /// Reads a stored workload; one that cannot be read is passed over.
    pub(crate) fn parse(object: &Arc<Object>) -> Option<Self> {
        let raw: Raw<S, T> = object.parse().ok()?;
        Some(Self {
            object: object.clone(),
            spec: raw.spec,
            status: raw.status,
        })
    }

    /// `metadata.name`
    pub(crate) fn name(&self) -> &str {
        &self.object.meta.name
    }
}

/// The fields of a spec that say which Pods are wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSet {
    replicas: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) min_ready_seconds: i64,
    #[serde(deserialize_with = "nullable")]
    pub(crate) selector: Selector,
    #[serde(deserialize_with = "nullable")]
    pub(crate) template: Value,
}

impl PodSet {
    /// `spec.replicas`
    pub(crate) fn replicas(&self) -> i64 {
        self.replicas.unwrap_or(1)
    }
}
