//! Nodes.

use crate::lenient::nullable;
use crate::{Cidr, Meta, Object};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// One Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Metadata
    pub meta: Arc<Meta>,
    /// Addresses of type `InternalIP`
    pub internal_ips: Vec<IpAddr>,
    /// Addresses of type `ExternalIP`
    pub external_ips: Vec<IpAddr>,
    /// Label `topology.kubernetes.io/zone`
    pub zone: Option<String>,
    /// `spec.taints`
    pub taints: Vec<Taint>,
    /// `spec.podCIDRs`, or `spec.podCIDR` alone; those that can be read
    pub pod_cidrs: Vec<Cidr>,
}

/// `spec.taints[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// `key`
    #[serde(deserialize_with = "nullable")]
    pub key: String,
    /// `value`
    #[serde(deserialize_with = "nullable")]
    pub value: String,
    /// `effect`
    #[serde(deserialize_with = "nullable")]
    pub effect: String,
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
#[serde(default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    taints: Vec<Taint>,
    #[serde(rename = "podCIDR", deserialize_with = "nullable")]
    pod_cidr: String,
    #[serde(rename = "podCIDRs", deserialize_with = "nullable")]
    pod_cidrs: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    addresses: Vec<Address>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    address: String,
}

impl Node {
    /// Reads a stored Node.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let of_kind = |kind: &str| {
            let addresses = raw
                .status
                .addresses
                .iter()
                .filter(|address| address.kind == kind);
            addresses
                .filter_map(|address| address.address.parse().ok())
                .collect()
        };
        let mut cidrs = raw.spec.pod_cidrs;
        if cidrs.is_empty() {
            cidrs.push(raw.spec.pod_cidr);
        }
        Ok(Self {
            taints: raw.spec.taints,
            pod_cidrs: cidrs.iter().filter_map(|text| text.parse().ok()).collect(),
            meta: object.meta.clone(),
            internal_ips: of_kind("InternalIP"),
            external_ips: of_kind("ExternalIP"),
            zone: object
                .meta
                .labels
                .get("topology.kubernetes.io/zone")
                .cloned(),
        })
    }
}
