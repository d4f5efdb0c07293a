//! An object as stored: canonical JSON bytes beside the metadata that everyone asks for.

use crate::lenient::nullable;
use crate::{NamespacedName, Resource};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Which object: resource, namespace (empty when cluster-scoped) and name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The resource, e.g. `services`
    pub resource: Resource,
    /// `metadata.namespace`; empty for cluster-scoped objects
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
}

impl ObjectKey {
    /// Makes a key out of its parts.
    pub fn new(resource: Resource, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return write!(f, "{}/{}", self.resource, self.name);
        }
        write!(f, "{}/{}/{}", self.resource, self.namespace, self.name)
    }
}

/// `metadata`, as far as code reads it; the rest stays in the object's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `metadata.name`
    #[serde(deserialize_with = "nullable")]
    pub name: Arc<str>,
    /// `metadata.namespace`, empty for cluster-scoped objects
    #[serde(deserialize_with = "nullable")]
    pub namespace: Arc<str>,
    /// `metadata.uid`
    #[serde(deserialize_with = "nullable")]
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`; zero when unset
    #[serde(deserialize_with = "crate::lenient::number_in_string")]
    pub resource_version: u64,
    /// `metadata.generation`
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    /// `metadata.creationTimestamp` in RFC 3339, whole seconds; empty when unset
    #[serde(deserialize_with = "nullable")]
    pub creation_timestamp: Arc<str>,
    /// `metadata.deletionTimestamp`; set while finalizers or a grace period hold the object
    pub deletion_timestamp: Option<Arc<str>>,
    /// `metadata.deletionGracePeriodSeconds`
    pub deletion_grace_period_seconds: Option<i64>,
    /// `metadata.labels`
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`
    #[serde(deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// `metadata.finalizers`
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<String>,
    /// `metadata.ownerReferences`
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<OwnerReference>,
}

impl Meta {
    /// True once a delete was asked for and the object still exists.
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The owner with `controller: true`, of which there is at most one.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }
}

/// `metadata.ownerReferences[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apiVersion`
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    /// `kind`
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    /// `name`
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// `uid`
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    /// `controller`
    pub controller: Option<bool>,
    /// `blockOwnerDeletion`
    pub block_owner_deletion: Option<bool>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    metadata: Meta,
}

/// One version of one object. Cheap to share, never changed.
pub struct Object {
    /// The resource it is stored under
    pub resource: Resource,
    /// Its metadata, parsed once
    pub meta: Arc<Meta>,
    /// The whole object as canonical JSON (keys sorted), `apiVersion` and `kind` included
    pub bytes: Arc<[u8]>,
}

impl Object {
    /// Takes stored bytes.
    ///
    /// # Errors
    /// The JSON error, when the bytes are no object with well-formed metadata.
    pub fn from_bytes(resource: Resource, bytes: Arc<[u8]>) -> Result<Self, serde_json::Error> {
        let envelope: Envelope = serde_json::from_slice(&bytes)?;
        Ok(Self {
            resource,
            meta: Arc::new(envelope.metadata),
            bytes,
        })
    }

    /// Serialises `value` and takes it.
    ///
    /// # Errors
    /// As [`Object::from_bytes`].
    pub fn from_value(resource: Resource, value: &Value) -> Result<Self, serde_json::Error> {
        Self::from_bytes(resource, serde_json::to_vec(value)?.into())
    }

    /// Parses the whole object; use it where the object is edited, not to read one field.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// Parses the object into a type of the caller's that names just the fields it needs.
    ///
    /// # Errors
    /// The JSON error when a field has another type than the caller expects.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        // Text is looked over once as a whole, which is quicker than string by string.
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(&self.bytes),
        }
    }

    /// Its namespace and name.
    pub fn id(&self) -> NamespacedName {
        NamespacedName {
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
        }
    }

    /// The object's key.
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            resource: self.resource,
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key(), self.meta.resource_version)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is new
    Added,
    /// It has a new version
    Modified,
    /// It is gone; the event's object is its last state, under the deletion's resourceVersion
    Deleted,
}

/// A change of one object, in the order of commits.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened
    pub kind: EventKind,
    /// The object after the change (its last state when deleted)
    pub object: Arc<Object>,
    /// The object before the change; `None` when added
    pub old: Option<Arc<Object>>,
}
