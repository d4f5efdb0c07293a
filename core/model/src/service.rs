//! Services, as the data planes need them.

use crate::lenient::{list, nullable};
use crate::{Meta, NamespacedName, Object};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// `spec.type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ServiceType {
    /// Reachable inside the cluster
    #[default]
    ClusterIP,
    /// Also on a port of every node
    NodePort,
    /// Also on a load balancer's address
    LoadBalancer,
    /// A DNS alias
    ExternalName,
}

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// Upper case, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// Address family as in `spec.ipFamilies`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum IpFamily {
    /// IPv4
    IPv4,
    /// IPv6
    IPv6,
}

/// `spec.ports[].targetPort`: a number, or the name of a container port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// Port number
    Number(u16),
    /// Name of a container port
    Name(String),
}

/// `spec.ports[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name; may be empty when it is the only port
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Protocol
    #[serde(deserialize_with = "nullable")]
    pub protocol: Protocol,
    /// Port of the Service's addresses
    pub port: u16,
    /// Port of the Pods; unset means the same as `port`
    pub target_port: Option<TargetPort>,
    /// Port of every node; zero when there is none
    #[serde(deserialize_with = "nullable")]
    pub node_port: u16,
    /// `kubernetes.io/h2c` and the like
    pub app_protocol: Option<String>,
}

/// `status.loadBalancer.ingress[]` of Services and Ingresses
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LbIngress {
    /// Address
    pub ip: Option<IpAddr>,
    /// Host name
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    /// `VIP` or `Proxy`
    pub ip_mode: Option<String>,
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata
    pub meta: Arc<Meta>,
    /// `spec.type`
    pub kind: ServiceType,
    /// `spec.clusterIPs`, without `None`
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.clusterIP: None`
    pub headless: bool,
    /// `spec.ports`
    pub ports: Vec<ServicePort>,
    /// `spec.selector`; `None` when there is none, so that endpoints are the user's business
    pub selector: Option<BTreeMap<String, String>>,
    /// `spec.externalName`
    pub external_name: String,
    /// `spec.externalIPs`
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`
    pub load_balancer: Vec<LbIngress>,
    /// `spec.loadBalancerClass`
    pub load_balancer_class: Option<String>,
    /// `spec.loadBalancerSourceRanges`
    pub load_balancer_source_ranges: Vec<String>,
    /// `spec.sessionAffinity: ClientIP` with its timeout in seconds
    pub affinity_seconds: Option<u32>,
    /// `spec.publishNotReadyAddresses`
    pub publish_not_ready: bool,
    /// `spec.internalTrafficPolicy: Local`
    pub internal_local: bool,
    /// `spec.externalTrafficPolicy: Local`
    pub external_local: bool,
    /// `spec.healthCheckNodePort`; zero when there is none
    pub health_check_node_port: u16,
    /// `spec.ipFamilies`
    pub ip_families: Vec<IpFamily>,
    /// `spec.trafficDistribution`
    pub traffic_distribution: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    spec: Spec,
    #[serde(deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: ServiceType,
    #[serde(rename = "clusterIP", deserialize_with = "nullable")]
    cluster_ip: String,
    #[serde(rename = "clusterIPs", deserialize_with = "list")]
    cluster_ips: Vec<String>,
    #[serde(deserialize_with = "list")]
    ports: Vec<ServicePort>,
    #[serde(deserialize_with = "nullable")]
    selector: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    external_name: String,
    #[serde(rename = "externalIPs", deserialize_with = "list")]
    external_ips: Vec<String>,
    load_balancer_class: Option<String>,
    #[serde(deserialize_with = "list")]
    load_balancer_source_ranges: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    session_affinity: String,
    #[serde(deserialize_with = "nullable")]
    session_affinity_config: AffinityConfig,
    #[serde(deserialize_with = "nullable")]
    publish_not_ready_addresses: bool,
    #[serde(deserialize_with = "nullable")]
    internal_traffic_policy: String,
    #[serde(deserialize_with = "nullable")]
    external_traffic_policy: String,
    #[serde(deserialize_with = "nullable")]
    health_check_node_port: u16,
    #[serde(deserialize_with = "list")]
    ip_families: Vec<IpFamily>,
    traffic_distribution: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AffinityConfig {
    #[serde(rename = "clientIP", deserialize_with = "nullable")]
    client_ip: ClientIp,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    load_balancer: LoadBalancer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoadBalancer {
    #[serde(deserialize_with = "list")]
    pub(crate) ingress: Vec<LbIngress>,
}

impl Service {
    /// Default of `spec.sessionAffinityConfig.clientIP.timeoutSeconds`.
    pub const AFFINITY_SECONDS: u32 = 10_800;

    /// Reads a stored Service.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let spec = raw.spec;
        let mut cluster_ips = spec.cluster_ips;
        if cluster_ips.is_empty() && !spec.cluster_ip.is_empty() {
            cluster_ips.push(spec.cluster_ip);
        }
        let client_ip = spec.session_affinity == "ClientIP";
        let timeout = spec.session_affinity_config.client_ip.timeout_seconds;
        Ok(Self {
            id: object.id(),
            meta: object.meta.clone(),
            kind: spec.kind,
            headless: cluster_ips.first().is_some_and(|ip| ip == "None"),
            cluster_ips: addresses(&cluster_ips),
            ports: spec.ports,
            selector: (!spec.selector.is_empty()).then_some(spec.selector),
            external_name: spec.external_name,
            external_ips: addresses(&spec.external_ips),
            load_balancer: raw.status.load_balancer.ingress,
            load_balancer_class: spec.load_balancer_class,
            load_balancer_source_ranges: spec.load_balancer_source_ranges,
            affinity_seconds: client_ip.then(|| timeout.unwrap_or(Self::AFFINITY_SECONDS)),
            publish_not_ready: spec.publish_not_ready_addresses,
            internal_local: spec.internal_traffic_policy == "Local",
            external_local: spec.external_traffic_policy == "Local",
            health_check_node_port: spec.health_check_node_port,
            ip_families: spec.ip_families,
            traffic_distribution: spec.traffic_distribution,
        })
    }
}

fn addresses(texts: &[String]) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}
