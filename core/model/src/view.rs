//! How controllers see the cluster and what they ask of it, wherever it is stored.

use crate::{Object, ObjectKey, Resource};
use serde_json::Value;
use std::sync::Arc;

/// A consistent read of the cluster: in process when embedded, an informer's cache otherwise.
pub trait View {
    /// The object, if it exists.
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>>;
    /// All objects of a resource in one namespace, or in all; in order of namespace and name.
    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>>;
    /// All objects that name `uid` in their `ownerReferences`.
    fn owned_by(&self, uid: &str) -> Vec<Arc<Object>>;
    /// Resources that exist (built in and custom), so that collectors can visit all of them.
    fn resources(&self) -> Vec<Resource>;
    /// The resource of a kind as owner references name it, and whether its objects live in
    /// namespaces; `None` when there is no such kind. The default knows the built-in kinds.
    fn resource_of(&self, api_version: &str, kind: &str) -> Option<(Resource, bool)> {
        Resource::of_kind(api_version, kind)
    }
}

/// An Event (events.k8s.io) that a controller wants to be recorded about an object.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNote {
    /// The object it is about
    pub regarding: Arc<Object>,
    /// `Normal` or `Warning`
    pub kind: &'static str,
    /// UpperCamelCase reason
    pub reason: String,
    /// Sentence for the user
    pub message: String,
    /// The reporting controller, e.g. `deployment-controller`
    pub component: &'static str,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.resource == other.resource && self.bytes == other.bytes
    }
}

/// One write that a controller wants. Each is sent as an ordinary API request, so that validation,
/// defaulting and conflicts apply to controllers as to anyone.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// POST; `metadata.generateName` may stand for a name. "Already exists" is not an error.
    Create {
        /// Resource to create in
        resource: Resource,
        /// Whole object
        object: Value,
    },
    /// PUT of the main resource; with `metadata.resourceVersion` a conflict makes the key retry.
    Update {
        /// Resource
        resource: Resource,
        /// Whole object
        object: Value,
    },
    /// PUT of a subresource, `status` in most cases; `binding` of a Pod is a POST.
    UpdateSubresource {
        /// Resource
        resource: Resource,
        /// Subresource name
        subresource: &'static str,
        /// Whole object
        object: Value,
    },
    /// JSON merge patch (RFC 7386) of the main resource, or of a subresource.
    MergePatch {
        /// Which object
        key: ObjectKey,
        /// Empty for the main resource
        subresource: &'static str,
        /// The patch
        patch: Value,
    },
    /// DELETE, with preconditions. "Not found" is not an error.
    Delete {
        /// Which object
        key: ObjectKey,
        /// Delete only when the uid still is this one
        uid: Option<Arc<str>>,
        /// `gracePeriodSeconds`
        grace_seconds: Option<i64>,
        /// `propagationPolicy`: `Background`, `Foreground` or `Orphan`
        propagation: Option<&'static str>,
    },
    /// Record an event; equal ones are counted up rather than repeated.
    Note(EventNote),
}
