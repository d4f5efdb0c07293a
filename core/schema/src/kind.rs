//! What is known about a kind beside its fields.

use crate::custom::Custom;
use model::Resource;
use std::sync::Arc;

/// Group, version and kind; the group is empty for core kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// API group, e.g. `apps`
    pub group: String,
    /// Version, e.g. `v1`
    pub version: String,
    /// Kind, e.g. `Deployment`
    pub kind: String,
}

impl GroupVersionKind {
    /// `v1` or `apps/v1`, as in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// A path below an object, e.g. `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// `status`, `scale`, `log`…
    pub name: String,
    /// The kind that is read and written there
    pub kind: GroupVersionKind,
    /// Verbs as in discovery, sorted
    pub verbs: Vec<String>,
}

/// One kind in one version of one group.
///
/// Kinds that exist only as bodies (`DeleteOptions`, `Scale`, `Eviction`…) have an empty
/// [`Kind::plural`] and no verbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group
    pub group: String,
    /// Version, e.g. `v1`
    pub version: String,
    /// Kind, e.g. `Service`
    pub kind: String,
    /// Kind of the list, e.g. `ServiceList`
    pub list_kind: String,
    /// Name in URLs, e.g. `services`; empty when the kind is not served
    pub plural: String,
    /// e.g. `service`
    pub singular: String,
    /// Under which resource objects are stored: `events.events.k8s.io` is stored as `events`
    pub resource: Resource,
    /// Whether objects live in a namespace
    pub namespaced: bool,
    /// e.g. `svc`
    pub short_names: Vec<String>,
    /// e.g. `all`
    pub categories: Vec<String>,
    /// Verbs as in discovery, sorted
    pub verbs: Vec<String>,
    /// Paths below an object, in the order of discovery
    pub subresources: Vec<Subresource>,
    /// Go's name of the package with the internal type, e.g. `core` in `core.ConfigMap`
    pub internal_package: String,
    /// Where the fields are described
    pub(crate) body: Body,
}

/// What describes the fields of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A built-in struct, by its number
    Struct(usize),
    /// A version of a CustomResourceDefinition
    Custom(Arc<Custom>),
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// What a CustomResourceDefinition says about the kind; `None` for built-in ones.
    pub fn custom(&self) -> Option<&Arc<Custom>> {
        match &self.body {
            Body::Struct(_) => None,
            Body::Custom(custom) => Some(custom),
        }
    }

    /// The struct of a built-in kind.
    pub(crate) fn structure(&self) -> Option<usize> {
        match self.body {
            Body::Struct(id) => Some(id),
            Body::Custom(_) => None,
        }
    }

    /// Whether objects of this kind can be read under a path of their own.
    pub fn is_served(&self) -> bool {
        !self.plural.is_empty()
    }

    /// Whether discovery names the verb.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}
