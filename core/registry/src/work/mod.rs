//! Workloads and what they live on: Pods, the controllers that make them, Namespaces, Nodes,
//! Secrets, ConfigMaps, Events, ServiceAccounts and Leases.

pub(crate) mod admission;
mod config_map;
mod controller_revision;
mod daemon_set;
mod deployment;
mod event;
pub(crate) mod go_print;
mod lease;
mod namespace;
mod node;
mod pod;
mod pod_status;
mod pod_template;
mod pod_update;
pub(crate) mod podspec;
mod replica_set;
pub(crate) mod replicas;
mod replication_controller;
mod secret;
mod service_account;
mod stateful_set;
#[cfg(test)]
mod tests;

pub(crate) use config_map::ConfigMaps;
pub(crate) use controller_revision::ControllerRevisions;
pub(crate) use daemon_set::DaemonSets;
pub(crate) use deployment::Deployments;
pub(crate) use event::Events;
pub(crate) use lease::Leases;
pub(crate) use namespace::Namespaces;
pub(crate) use node::Nodes;
pub(crate) use pod::Pods;
pub(crate) use pod_template::PodTemplates;
pub(crate) use replica_set::ReplicaSets;
pub(crate) use replication_controller::ReplicationControllers;
pub(crate) use secret::Secrets;
pub(crate) use service_account::ServiceAccounts;
pub(crate) use stateful_set::StatefulSets;

use crate::declared::{carry_generation, keep, set_generation};
