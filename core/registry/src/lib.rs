//! What the API server knows about each built-in kind: defaults, validation, what an update may
//! change, allocation, selectable fields and table columns. The verbs themselves are in `api`.
//!
//! Texts, order and defaults are those of kube-apiserver 1.36 (`pkg/registry`, `pkg/apis/*/v1`,
//! `pkg/apis/*/validation`, `pkg/printers`).
//!
//! **Invariants.** All of it is pure: the clock, random numbers and other objects come in through
//! [`Context`]. A strategy never fails as a whole; it returns field errors.
#![forbid(unsafe_code)]

mod access;
mod admission;
mod admission_hooks;
mod autoscaling;
mod batch;
mod crd;
mod declared;
mod field;
mod net;
mod policy;
pub mod print;
pub mod quota;
mod scheduling;
mod storage;
mod strategy;
mod work;

pub use access::review_errors;
pub use admission::{Attributes, Policies};
pub use crd::CustomObjects;
pub use net::indexes::Indexes;
pub use scheduling::system_classes;
pub use strategy::{Companions, Context, Operation, Rules, Strategy, Subresource};

use model::{ApiError, Resource};
use schema::Kind;
use serde_json::Value;
use std::sync::Arc;

/// The strategy of a kind, in the version of the kind.
pub fn strategy(kind: &Arc<Kind>) -> Rules {
    match kind.custom() {
        None => Rules::Builtin(builtin(kind.resource)),
        Some(_) => Rules::Custom(CustomObjects::new(kind.clone())),
    }
}

/// The strategy of a built-in resource; resources without rules of their own get a plain one.
pub fn builtin(resource: Resource) -> &'static dyn Strategy {
    match resource {
        Resource::ENDPOINTS => &net::AllEndpoints,
        Resource::ENDPOINT_SLICES => &net::EndpointSlices,
        Resource::INGRESSES => &net::Ingresses,
        Resource::INGRESS_CLASSES => &net::IngressClasses,
        Resource::IP_ADDRESSES => &net::IpAddresses,
        Resource::SERVICES => &net::Services,
        Resource::SERVICE_CIDRS => &net::ServiceCidrs,
        Resource::DEFINITIONS => &crd::Definitions,
        Resource::VALIDATING_POLICIES => &admission::ValidatingPolicies,
        Resource::VALIDATING_POLICY_BINDINGS => &admission::ValidatingBindings,
        Resource::CONFIG_MAPS => &work::ConfigMaps,
        Resource::CONTROLLER_REVISIONS => &work::ControllerRevisions,
        Resource::DEPLOYMENTS => &work::Deployments,
        Resource::EVENTS => &work::Events,
        Resource::LEASES => &work::Leases,
        Resource::NAMESPACES => &work::Namespaces,
        Resource::NODES => &work::Nodes,
        Resource::PODS => &work::Pods,
        Resource::REPLICA_SETS => &work::ReplicaSets,
        Resource::SECRETS => &work::Secrets,
        Resource::SERVICE_ACCOUNTS => &work::ServiceAccounts,
        Resource::STATEFUL_SETS => &work::StatefulSets,
        Resource::ROLES => &access::Roles,
        Resource::CLUSTER_ROLES => &access::ClusterRoles,
        Resource::ROLE_BINDINGS => &access::Bindings { namespaced: true },
        Resource::CLUSTER_ROLE_BINDINGS => &access::Bindings { namespaced: false },
        Resource::NETWORK_POLICIES => &net::NetworkPolicies,
        Resource::DAEMON_SETS => &work::DaemonSets,
        Resource::POD_TEMPLATES => &work::PodTemplates,
        Resource::REPLICATION_CONTROLLERS => &work::ReplicationControllers,
        Resource::JOBS => &batch::Jobs,
        Resource::CRON_JOBS => &batch::CronJobs,
        Resource::DISRUPTION_BUDGETS => &policy::DisruptionBudgets,
        Resource::AUTOSCALERS => &autoscaling::Autoscalers,
        Resource::LIMIT_RANGES => &quota::LimitRanges,
        Resource::RESOURCE_QUOTAS => &quota::ResourceQuotas,
        Resource::VOLUMES => &storage::Volumes,
        Resource::VOLUME_CLAIMS => &storage::VolumeClaims,
        Resource::STORAGE_CLASSES => &storage::StorageClasses,
        Resource::VOLUME_ATTRIBUTES_CLASSES => &storage::VolumeAttributesClasses,
        Resource::VOLUME_ATTACHMENTS => &storage::VolumeAttachments,
        Resource::CSI_DRIVERS => &storage::CsiDrivers,
        Resource::CSI_NODES => &storage::CsiNodes,
        Resource::CSI_CAPACITIES => &storage::StorageCapacities,
        Resource::PRIORITY_CLASSES => &scheduling::PriorityClasses,
        Resource::RUNTIME_CLASSES => &scheduling::RuntimeClasses,
        Resource::MUTATING_WEBHOOKS => &admission_hooks::MutatingWebhooks,
        Resource::VALIDATING_WEBHOOKS => &admission_hooks::ValidatingWebhooks,
        _ => &strategy::Plain,
    }
}

/// Admission that only looks, once an object is valid: what its kind says, and the limits of its
/// namespace.
///
/// # Errors
/// The whole refusal, e.g. 403 with its message.
pub fn approve(
    resource: Resource,
    rules: &Rules,
    object: &Value,
    old: Option<&Value>,
    context: &Context<'_>,
) -> Result<(), ApiError> {
    rules.approve(object, old, context)?;
    let check = declared::Check { old, context };
    quota::refuse(resource, object, &check)?;
    quota::enforce(resource, object, &check)
}

/// Whether a label selector of the API fits a map of labels; an empty one fits everything.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    field::selector::is_usable(selector) && field::selector::matches(selector, labels)
}
