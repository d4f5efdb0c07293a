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
    /// DaemonSets
    pub const DAEMON_SETS: Self = Self("daemonsets.apps");
    /// Jobs
    pub const JOBS: Self = Self("jobs.batch");
    /// CronJobs
    pub const CRON_JOBS: Self = Self("cronjobs.batch");
    /// ReplicationControllers
    pub const REPLICATION_CONTROLLERS: Self = Self("replicationcontrollers");
    /// PodTemplates
    pub const POD_TEMPLATES: Self = Self("podtemplates");
    /// LimitRanges
    pub const LIMIT_RANGES: Self = Self("limitranges");
    /// ResourceQuotas
    pub const RESOURCE_QUOTAS: Self = Self("resourcequotas");
    /// PersistentVolumeClaims
    pub const VOLUME_CLAIMS: Self = Self("persistentvolumeclaims");
    /// PersistentVolumes
    pub const VOLUMES: Self = Self("persistentvolumes");
    /// PodDisruptionBudgets
    pub const DISRUPTION_BUDGETS: Self = Self("poddisruptionbudgets.policy");
    /// HorizontalPodAutoscalers
    pub const AUTOSCALERS: Self = Self("horizontalpodautoscalers.autoscaling");
    /// NetworkPolicies
    pub const NETWORK_POLICIES: Self = Self("networkpolicies.networking.k8s.io");
    /// StorageClasses
    pub const STORAGE_CLASSES: Self = Self("storageclasses.storage.k8s.io");
    /// VolumeAttributesClasses
    pub const VOLUME_ATTRIBUTES_CLASSES: Self = Self("volumeattributesclasses.storage.k8s.io");
    /// VolumeAttachments
    pub const VOLUME_ATTACHMENTS: Self = Self("volumeattachments.storage.k8s.io");
    /// CSIDrivers
    pub const CSI_DRIVERS: Self = Self("csidrivers.storage.k8s.io");
    /// CSINodes
    pub const CSI_NODES: Self = Self("csinodes.storage.k8s.io");
    /// CSIStorageCapacities
    pub const CSI_CAPACITIES: Self = Self("csistoragecapacities.storage.k8s.io");
    /// PriorityClasses
    pub const PRIORITY_CLASSES: Self = Self("priorityclasses.scheduling.k8s.io");
    /// RuntimeClasses
    pub const RUNTIME_CLASSES: Self = Self("runtimeclasses.node.k8s.io");
    /// MutatingWebhookConfigurations
    pub const MUTATING_WEBHOOKS: Self =
        Self("mutatingwebhookconfigurations.admissionregistration.k8s.io");
    /// ValidatingWebhookConfigurations
    pub const VALIDATING_WEBHOOKS: Self =
        Self("validatingwebhookconfigurations.admissionregistration.k8s.io");
    /// ValidatingAdmissionPolicies
    pub const VALIDATING_POLICIES: Self =
        Self("validatingadmissionpolicies.admissionregistration.k8s.io");
    /// ValidatingAdmissionPolicyBindings
    pub const VALIDATING_POLICY_BINDINGS: Self =
        Self("validatingadmissionpolicybindings.admissionregistration.k8s.io");

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
            ("apps/v1", "DaemonSet") => (Self::DAEMON_SETS, true),
            ("batch/v1", "Job") => (Self::JOBS, true),
            ("batch/v1", "CronJob") => (Self::CRON_JOBS, true),
            ("v1", "ReplicationController") => (Self::REPLICATION_CONTROLLERS, true),
            ("v1", "PodTemplate") => (Self::POD_TEMPLATES, true),
            ("v1", "LimitRange") => (Self::LIMIT_RANGES, true),
            ("v1", "ResourceQuota") => (Self::RESOURCE_QUOTAS, true),
            ("v1", "PersistentVolumeClaim") => (Self::VOLUME_CLAIMS, true),
            ("v1", "PersistentVolume") => (Self::VOLUMES, false),
            ("policy/v1", "PodDisruptionBudget") => (Self::DISRUPTION_BUDGETS, true),
            ("autoscaling/v2", "HorizontalPodAutoscaler") => (Self::AUTOSCALERS, true),
            ("networking.k8s.io/v1", "NetworkPolicy") => (Self::NETWORK_POLICIES, true),
            ("storage.k8s.io/v1", "StorageClass") => (Self::STORAGE_CLASSES, false),
            ("storage.k8s.io/v1", "VolumeAttributesClass") => {
                (Self::VOLUME_ATTRIBUTES_CLASSES, false)
            }
            ("storage.k8s.io/v1", "VolumeAttachment") => (Self::VOLUME_ATTACHMENTS, false),
            ("storage.k8s.io/v1", "CSIDriver") => (Self::CSI_DRIVERS, false),
            ("storage.k8s.io/v1", "CSINode") => (Self::CSI_NODES, false),
            ("storage.k8s.io/v1", "CSIStorageCapacity") => (Self::CSI_CAPACITIES, true),
            ("scheduling.k8s.io/v1", "PriorityClass") => (Self::PRIORITY_CLASSES, false),
            ("node.k8s.io/v1", "RuntimeClass") => (Self::RUNTIME_CLASSES, false),
            ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration") => {
                (Self::MUTATING_WEBHOOKS, false)
            }
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") => {
                (Self::VALIDATING_WEBHOOKS, false)
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
