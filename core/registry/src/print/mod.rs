//! Tables as `kubectl get` shows them: which columns a resource has and what stands in the cells.
//!
//! Columns, order and texts are those of kube-apiserver (`pkg/printers/internalversion`), with all
//! columns of `-o wide`; which of them are shown is the client's choice.

mod access;
mod admission;
mod autoscaler;
mod batch;
mod cells;
mod column;
mod event;
mod network;
mod node;
mod pod;
mod policy;
mod selector;
mod storage;
mod workload;

pub use column::Column;

use column::columns;

pub(crate) use cells::{age, name, since};
use model::{Resource, Timestamp};
use schema::Kind;
use serde_json::{Value, json};

/// `columnDefinitions` of a kind's Table.
pub fn definitions(kind: &Kind) -> Vec<Value> {
    if kind.custom().is_some() {
        return crate::crd::columns(kind);
    }
    let columns = columns(kind.resource).iter();
    columns.map(|column| column.definition()).collect()
}

/// The cells of one object, one for each of [`definitions`]; `object` is in its stored version. Ages
/// are counted up to `now`.
pub fn row(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    if kind.custom().is_some() {
        return crate::crd::row(kind, object, now);
    }
    builtin_row(kind.resource, object, now)
}

fn builtin_row(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    match resource {
        Resource::PODS => pod::row(object, now),
        Resource::SERVICES => network::service(object, now),
        Resource::ENDPOINTS => network::endpoints(object, now),
        Resource::ENDPOINT_SLICES => network::slice(object, now),
        Resource::INGRESSES => network::ingress(object, now),
        Resource::INGRESS_CLASSES => network::ingress_class(object, now),
        Resource::SERVICE_CIDRS => network::service_cidr(object, now),
        Resource::IP_ADDRESSES => network::ip_address(object, now),
        Resource::NODES => node::row(object, now),
        Resource::DEPLOYMENTS => workload::deployment(object, now),
        Resource::REPLICA_SETS => workload::replica_set(object, now),
        Resource::STATEFUL_SETS => workload::stateful_set(object, now),
        Resource::CONTROLLER_REVISIONS => workload::controller_revision(object, now),
        Resource::EVENTS => event::row(object, now),
        Resource::NAMESPACES => {
            vec![
                name(object),
                cells::text(&object["status"]["phase"]).into(),
                age(object, now),
            ]
        }
        Resource::SECRETS => vec![
            name(object),
            cells::text(&object["type"]).into(),
            cells::len(&object["data"]).into(),
            age(object, now),
        ],
        Resource::CONFIG_MAPS => {
            let keys = cells::len(&object["data"]) + cells::len(&object["binaryData"]);
            vec![name(object), keys.into(), age(object, now)]
        }
        Resource::SERVICE_ACCOUNTS => vec![name(object), age(object, now)],
        Resource::ROLE_BINDINGS | Resource::CLUSTER_ROLE_BINDINGS => access::binding(object, now),
        Resource::LEASES => {
            let holder = cells::text(&object["spec"]["holderIdentity"]);
            vec![name(object), holder.into(), age(object, now)]
        }
        resource => more_rows(resource, object, now),
    }
}

fn more_rows(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    match resource {
        Resource::DAEMON_SETS => workload::daemon_set(object, now),
        Resource::REPLICATION_CONTROLLERS => workload::replication_controller(object, now),
        Resource::POD_TEMPLATES => workload::pod_template(object, now),
        Resource::JOBS => batch::job(object, now),
        Resource::CRON_JOBS => batch::cron_job(object, now),
        Resource::AUTOSCALERS => autoscaler::row(object, now),
        Resource::DISRUPTION_BUDGETS => policy::disruption_budget(object, now),
        Resource::NETWORK_POLICIES => policy::network_policy(object, now),
        Resource::RESOURCE_QUOTAS => policy::resource_quota(object, now),
        Resource::PRIORITY_CLASSES => policy::priority_class(object, now),
        Resource::RUNTIME_CLASSES => policy::runtime_class(object, now),
        Resource::MUTATING_WEBHOOKS | Resource::VALIDATING_WEBHOOKS => {
            policy::webhooks(object, now)
        }
        Resource::VALIDATING_POLICIES => admission::policy(object, now),
        Resource::VALIDATING_POLICY_BINDINGS => admission::binding(object, now),
        Resource::VOLUMES => storage::volume(object, now),
        Resource::VOLUME_CLAIMS => storage::claim(object, now),
        Resource::STORAGE_CLASSES => storage::storage_class(object, now),
        Resource::VOLUME_ATTRIBUTES_CLASSES => storage::attributes_class(object, now),
        Resource::VOLUME_ATTACHMENTS => storage::attachment(object, now),
        Resource::CSI_NODES => storage::csi_node(object, now),
        Resource::CSI_DRIVERS => storage::csi_driver(object, now),
        _ => vec![
            name(object),
            object["metadata"]["creationTimestamp"].clone(),
        ],
    }
}

/// `conditions` of an object's row: that of a Pod which has ended. `None` leaves the field out.
pub fn conditions(resource: Resource, object: &Value) -> Option<Value> {
    if resource != Resource::PODS {
        return None;
    }
    let (reason, message) = match object["status"]["phase"].as_str()? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

#[cfg(test)]
mod tests;
