//! Names of resources as in `kubectl api-resources`: `services`, `deployments.apps`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

/// A resource: plural and group, written `plural` for the core group and `plural.group` otherwise.
///
/// It is a copyable, interned string, so that keys are small; the interner keeps one copy of each
/// distinct name, of which there are as many as built-in kinds and CustomResourceDefinitions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(&'static str);

static INTERNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl Resource {
    /// `bindings`, `namespaces`… of the core group, and those of the named groups.
    pub const NAMESPACES: Self = Self("namespaces");
    /// Services
    pub const SERVICES: Self = Self("services");
    /// Endpoints (v1)
    pub const ENDPOINTS: Self = Self("endpoints");
    /// Pods
    pub const PODS: Self = Self("pods");
    /// Nodes
    pub const NODES: Self = Self("nodes");
    /// Secrets
    pub const SECRETS: Self = Self("secrets");
    /// ConfigMaps
    pub const CONFIG_MAPS: Self = Self("configmaps");
    /// Events of the core group; `events.events.k8s.io` is the same storage
    pub const EVENTS: Self = Self("events");
    /// ServiceAccounts
    pub const SERVICE_ACCOUNTS: Self = Self("serviceaccounts");
    /// EndpointSlices
    pub const ENDPOINT_SLICES: Self = Self("endpointslices.discovery.k8s.io");
    /// Ingresses
    pub const INGRESSES: Self = Self("ingresses.networking.k8s.io");
    /// IngressClasses
    pub const INGRESS_CLASSES: Self = Self("ingressclasses.networking.k8s.io");
    /// ServiceCIDRs
    pub const SERVICE_CIDRS: Self = Self("servicecidrs.networking.k8s.io");
    /// IPAddresses
    pub const IP_ADDRESSES: Self = Self("ipaddresses.networking.k8s.io");
    /// Leases
    pub const LEASES: Self = Self("leases.coordination.k8s.io");
    /// Deployments
    pub const DEPLOYMENTS: Self = Self("deployments.apps");
    /// ReplicaSets
    pub const REPLICA_SETS: Self = Self("replicasets.apps");
    /// StatefulSets
    pub const STATEFUL_SETS: Self = Self("statefulsets.apps");
    /// ControllerRevisions
    pub const CONTROLLER_REVISIONS: Self = Self("controllerrevisions.apps");
    /// Roles
    pub const ROLES: Self = Self("roles.rbac.authorization.k8s.io");
    /// ClusterRoles
    pub const CLUSTER_ROLES: Self = Self("clusterroles.rbac.authorization.k8s.io");
    /// RoleBindings
    pub const ROLE_BINDINGS: Self = Self("rolebindings.rbac.authorization.k8s.io");
    /// ClusterRoleBindings
    pub const CLUSTER_ROLE_BINDINGS: Self = Self("clusterrolebindings.rbac.authorization.k8s.io");

    /// CustomResourceDefinitions
    pub const DEFINITIONS: Self = Self("customresourcedefinitions.apiextensions.k8s.io");

    /// Interns `plural` of `group`; the group is empty for core resources.
    pub fn new(group: &str, plural: &str) -> Self {
        if group.is_empty() {
            Self::intern(plural)
        } else {
            Self::intern(&format!("{plural}.{group}"))
        }
    }

    /// The resource of a built-in kind, and whether its objects live in namespaces.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<(Self, bool)> {
        let found = match (api_version, kind) {
            ("v1", "Namespace") => (Self::NAMESPACES, false),
            ("v1", "Node") => (Self::NODES, false),
            ("v1", "Service") => (Self::SERVICES, true),
            ("v1", "Endpoints") => (Self::ENDPOINTS, true),
            ("v1", "Pod") => (Self::PODS, true),
            ("v1", "Secret") => (Self::SECRETS, true),
            ("v1", "ConfigMap") => (Self::CONFIG_MAPS, true),
            ("v1", "ServiceAccount") => (Self::SERVICE_ACCOUNTS, true),
            ("v1" | "events.k8s.io/v1", "Event") => (Self::EVENTS, true),
            ("discovery.k8s.io/v1", "EndpointSlice") => (Self::ENDPOINT_SLICES, true),
            ("networking.k8s.io/v1", "Ingress") => (Self::INGRESSES, true),
            ("networking.k8s.io/v1", "IngressClass") => (Self::INGRESS_CLASSES, false),
            ("networking.k8s.io/v1", "ServiceCIDR") => (Self::SERVICE_CIDRS, false),
            ("networking.k8s.io/v1", "IPAddress") => (Self::IP_ADDRESSES, false),
            ("coordination.k8s.io/v1", "Lease") => (Self::LEASES, true),
            ("apps/v1", "Deployment") => (Self::DEPLOYMENTS, true),
            ("apps/v1", "ReplicaSet") => (Self::REPLICA_SETS, true),
            ("apps/v1", "StatefulSet") => (Self::STATEFUL_SETS, true),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => (Self::DEFINITIONS, false),
            ("apps/v1", "ControllerRevision") => (Self::CONTROLLER_REVISIONS, true),
            ("rbac.authorization.k8s.io/v1", "Role") => (Self::ROLES, true),
            ("rbac.authorization.k8s.io/v1", "ClusterRole") => (Self::CLUSTER_ROLES, false),
            ("rbac.authorization.k8s.io/v1", "RoleBinding") => (Self::ROLE_BINDINGS, true),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
                (Self::CLUSTER_ROLE_BINDINGS, false)
            }
            _ => return None,
        };
        Some(found)
    }

    fn intern(name: &str) -> Self {
        let mut known = INTERNED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = known.get(name) {
            return Self(found);
        }
        let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
        known.insert(leaked);
        Self(leaked)
    }

    /// `plural` or `plural.group`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The plural name alone, as it stands in URLs.
    pub fn plural(self) -> &'static str {
        self.0.split_once('.').map_or(self.0, |(plural, _)| plural)
    }

    /// The group; empty for the core group.
    pub fn group(self) -> &'static str {
        self.0.split_once('.').map_or("", |(_, group)| group)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
