//! Pods, as far as networking looks at them.

use crate::lenient::nullable;
use crate::{Meta, NamespacedName, Object, Protocol};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// `spec.containers[].ports[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Name; empty when unset
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Port number
    pub container_port: u16,
    /// Protocol
    #[serde(deserialize_with = "nullable")]
    pub protocol: Protocol,
    /// Port of the node; zero when unset
    #[serde(deserialize_with = "nullable")]
    pub host_port: u16,
}

/// One Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata
    pub meta: Arc<Meta>,
    /// `status.podIPs`
    pub ips: Vec<IpAddr>,
    /// `spec.nodeName`; empty when not scheduled
    pub node_name: String,
    /// `status.phase`
    pub phase: String,
    /// Condition `Ready` is `True`
    pub ready: bool,
    /// Ports of all containers
    pub ports: Vec<ContainerPort>,
    /// `spec.hostname`
    pub hostname: String,
    /// `spec.subdomain`
    pub subdomain: String,
    /// `spec.hostNetwork`
    pub host_network: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
    #[serde(deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    node_name: String,
    #[serde(deserialize_with = "nullable")]
    hostname: String,
    #[serde(deserialize_with = "nullable")]
    subdomain: String,
    #[serde(deserialize_with = "nullable")]
    host_network: bool,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(deserialize_with = "nullable")]
    ports: Vec<ContainerPort>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(rename = "podIP", deserialize_with = "nullable")]
    pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "nullable")]
    phase: String,
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodIp {
    #[serde(deserialize_with = "nullable")]
    ip: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    status: String,
}

impl Pod {
    /// Reads a stored Pod.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let mut texts: Vec<String> = raw.status.pod_ips.into_iter().map(|pod| pod.ip).collect();
        if texts.is_empty() {
            texts.push(raw.status.pod_ip);
        }
        let mut conditions = raw.status.conditions.iter();
        Ok(Self {
            id: object.id(),
            meta: object.meta.clone(),
            ips: texts.iter().filter_map(|text| text.parse().ok()).collect(),
            node_name: raw.spec.node_name,
            phase: raw.status.phase,
            ready: conditions.any(|c| c.kind == "Ready" && c.status == "True"),
            ports: raw
                .spec
                .containers
                .into_iter()
                .flat_map(|c| c.ports)
                .collect(),
            hostname: raw.spec.hostname,
            subdomain: raw.spec.subdomain,
            host_network: raw.spec.host_network,
        })
    }

    /// True once the Pod ran to its end and no longer serves.
    pub fn is_finished(&self) -> bool {
        self.phase == "Succeeded" || self.phase == "Failed"
    }
}
