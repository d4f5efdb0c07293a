//! Nodes.

use crate::lenient::nullable;
use crate::{Meta, Object};
use serde::Deserialize;
use std::net::IpAddr;

/// One Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Metadata
    pub meta: Meta,
    /// Addresses of type `InternalIP`
    pub internal_ips: Vec<IpAddr>,
    /// Addresses of type `ExternalIP`
    pub external_ips: Vec<IpAddr>,
    /// Label `topology.kubernetes.io/zone`
    pub zone: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    status: Status,
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
        Ok(Self {
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
