//! EndpointSlices.

use crate::lenient::{list, nullable};
use crate::{Meta, NamespacedName, Object, Protocol};
use serde::Deserialize;
use std::sync::Arc;

/// `addressType`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum AddressType {
    /// IPv4 addresses
    #[default]
    IPv4,
    /// IPv6 addresses
    IPv6,
    /// Fully qualified domain names
    FQDN,
}

/// `ports[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// Name of the Service's port; empty for the only, unnamed one
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Protocol
    #[serde(deserialize_with = "nullable")]
    pub protocol: Protocol,
    /// Port number; `None` means all ports
    pub port: Option<u16>,
    /// Application protocol
    pub app_protocol: Option<String>,
}

/// `endpoints[]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Addresses of one backend, which are fungible; data planes use the first
    pub addresses: Vec<String>,
    /// `conditions.ready`; unknown reads as ready
    pub ready: bool,
    /// `conditions.serving`; unknown reads as `ready`
    pub serving: bool,
    /// `conditions.terminating`; unknown reads as not terminating
    pub terminating: bool,
    /// `hostname`
    pub hostname: Option<String>,
    /// `nodeName`
    pub node_name: Option<String>,
    /// `zone`
    pub zone: Option<String>,
    /// `targetRef`
    pub target: Option<TargetRef>,
    /// `hints.forZones[].name`
    pub for_zones: Vec<String>,
    /// `hints.forNodes[].name`
    pub for_nodes: Vec<String>,
}

/// `targetRef`, as far as someone reads it; it is in the namespace of the slice
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// `kind`, `Pod` in most cases
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    /// `name`
    #[serde(deserialize_with = "nullable")]
    pub name: String,
}

/// One EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata
    pub meta: Arc<Meta>,
    /// The Service, from label `kubernetes.io/service-name`
    pub service: Option<NamespacedName>,
    /// `addressType`
    pub address_type: AddressType,
    /// `ports`
    pub ports: Vec<EndpointPort>,
    /// `endpoints`
    pub endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    address_type: AddressType,
    #[serde(deserialize_with = "list")]
    ports: Vec<EndpointPort>,
    #[serde(deserialize_with = "list")]
    endpoints: Vec<RawEndpoint>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawEndpoint {
    #[serde(deserialize_with = "list")]
    addresses: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    conditions: Conditions,
    hostname: Option<String>,
    node_name: Option<String>,
    zone: Option<String>,
    target_ref: Option<TargetRef>,
    #[serde(deserialize_with = "nullable")]
    hints: Hints,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hints {
    #[serde(deserialize_with = "list")]
    for_zones: Vec<Hint>,
    #[serde(deserialize_with = "list")]
    for_nodes: Vec<Hint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hint {
    name: String,
}

impl EndpointSlice {
    /// The label that names a slice's Service.
    pub const SERVICE_NAME_LABEL: &'static str = "kubernetes.io/service-name";

    /// Reads a stored EndpointSlice.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let namespace = &object.meta.namespace;
        let label = object.meta.labels.get(Self::SERVICE_NAME_LABEL);
        Ok(Self {
            id: object.id(),
            meta: object.meta.clone(),
            service: label.map(|name| NamespacedName {
                namespace: namespace.clone(),
                name: name.as_str().into(),
            }),
            address_type: raw.address_type,
            ports: raw.ports,
            endpoints: raw.endpoints.into_iter().map(endpoint).collect(),
        })
    }
}

fn endpoint(raw: RawEndpoint) -> Endpoint {
    let ready = raw.conditions.ready.unwrap_or(true);
    let names = |hints: Vec<Hint>| hints.into_iter().map(|hint| hint.name).collect();
    Endpoint {
        addresses: raw.addresses,
        ready,
        serving: raw.conditions.serving.unwrap_or(ready),
        terminating: raw.conditions.terminating.unwrap_or(false),
        hostname: raw.hostname.filter(|name| !name.is_empty()),
        node_name: raw.node_name,
        zone: raw.zone,
        target: raw.target_ref,
        for_zones: names(raw.hints.for_zones),
        for_nodes: names(raw.hints.for_nodes),
    }
}
