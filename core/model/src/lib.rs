//! The words that every other crate speaks: Kubernetes objects as stored, the typed [`Snapshot`]
//! that data planes plan from, and [`Problem`], the one form in which a user's mistake is told.
//!
//! ```text
//! stored bytes ─Object─► ObjectEvent ─Snapshot::apply─► Snapshot + ChangedKeys ─► plan(…)
//! ```
//!
//! **Invariants.** An [`Object`] never changes after it was made; the Snapshot shares per-object
//! values by `Arc`, so that a clone of it is cheap; what an object says wrongly becomes a
//! `Problem` and never stops another object.
//!
//! **Does not** do I/O, read a clock, draw random numbers or log.
#![forbid(unsafe_code)]

mod cidr;
mod cron;
mod ingress;
mod lenient;
mod node;
mod object;
mod pod;
mod problem;
mod resource;
mod secret;
mod service;
mod slice;
mod snapshot;
mod status;
mod time;
mod user;
mod view;

pub use cidr::{Cidr, CidrError};
pub use cron::Cron;
pub use ingress::{
    Ingress, IngressBackend, IngressClass, IngressPath, IngressRule, IngressTls, PathType,
    ServiceBackendPort,
};
pub use node::{Node, Taint};
pub use object::{Event, EventKind, Meta, Object, ObjectKey, OwnerReference};
pub use pod::{ContainerPort, Pod};
pub use problem::{Problem, Severity};
pub use resource::Resource;
pub use secret::{ConfigMap, Namespace, Secret};
pub use service::{IpFamily, LbIngress, Protocol, Service, ServicePort, ServiceType, TargetPort};
pub use slice::{AddressType, Endpoint, EndpointPort, EndpointSlice, TargetRef};
pub use snapshot::{ChangedKeys, Snapshot};
pub use status::{ApiError, Cause, FieldError, FieldErrorKind, go_quote, render_value};
pub use time::Timestamp;
pub use user::User;
pub use view::{EventNote, View, Write};

/// Namespace and name of a namespaced object; the namespace is empty for cluster-scoped ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespacedName {
    /// `metadata.namespace`
    pub namespace: std::sync::Arc<str>,
    /// `metadata.name`
    pub name: std::sync::Arc<str>,
}

impl NamespacedName {
    /// Makes the pair out of its two parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
