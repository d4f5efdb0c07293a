//! Workloads and what they live on: Pods, the controllers that make them, Namespaces, Nodes,
//! Secrets, ConfigMaps, Events, ServiceAccounts and Leases.

mod admission;
mod config_map;
mod controller_revision;
mod deployment;
mod event;
mod go_print;
mod lease;
mod namespace;
mod node;
mod pod;
mod pod_status;
mod pod_update;
mod podspec;
mod replica_set;
mod replicas;
mod secret;
mod service_account;
mod stateful_set;
#[cfg(test)]
mod tests;

pub(crate) use config_map::ConfigMaps;
pub(crate) use controller_revision::ControllerRevisions;
pub(crate) use deployment::Deployments;
pub(crate) use event::Events;
pub(crate) use lease::Leases;
pub(crate) use namespace::Namespaces;
pub(crate) use node::Nodes;
pub(crate) use pod::Pods;
pub(crate) use replica_set::ReplicaSets;
pub(crate) use secret::Secrets;
pub(crate) use service_account::ServiceAccounts;
pub(crate) use stateful_set::StatefulSets;

use crate::field::read::{Read, copy_field, ensure, set};
use serde_json::Value;

/// Sets `metadata.generation`.
fn set_generation(object: &mut Value, generation: i64) {
    if let Some(metadata) = ensure(object, "metadata") {
        set(metadata, "generation", generation);
    }
}

/// Keeps the stored generation, one more when `changed`.
fn carry_generation(object: &mut Value, old: &Value, changed: bool) {
    let before = old.at("metadata").number("generation").unwrap_or(0);
    set_generation(object, before + i64::from(changed));
}

/// Takes the fields of the object over from what is stored.
fn keep(object: &mut Value, old: &Value, fields: &[&str]) {
    for field in fields {
        copy_field(object, old, field);
    }
}
