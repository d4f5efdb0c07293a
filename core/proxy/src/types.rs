//! The values that a plan is made of.

use model::{Cidr, NamespacedName, Problem, Protocol};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a plan needs to know besides the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the Node this proxy runs on; policy `Local` and topology hints compare with it
    pub node_name: String,
    /// Addresses that NodePorts listen on
    pub node_addresses: Vec<IpAddr>,
    /// Only addresses in these ranges get a listener
    pub served: Vec<Cidr>,
    /// Serve `spec.externalIPs`; off, because anyone who may create a Service could take over any
    /// address by them (CVE-2020-8554)
    pub external_ips: bool,
}

impl Default for Settings {
    /// The embedded mode's: node `portolan` on 127.0.0.1, everything within 127.0.0.0/8.
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            node_name: "portolan".to_owned(),
            node_addresses: vec![loopback],
            served: Cidr::new(loopback, 8).into_iter().collect(),
            external_ips: false,
        }
    }
}

/// Where clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frontend {
    /// Address
    pub address: IpAddr,
    /// Protocol
    pub protocol: Protocol,
    /// Port number
    pub port: u16,
}

impl Frontend {
    /// Address and port as one.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.socket(), self.protocol.as_str())
    }
}

/// Which part of a Service a frontend comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// `spec.clusterIPs`
    ClusterIp,
    /// `spec.ports[].nodePort`
    NodePort,
    /// `status.loadBalancer.ingress[].ip`
    LoadBalancer,
    /// `spec.externalIPs`
    ExternalIp,
}

/// Which endpoints a frontend's traffic policy admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// All of the cluster; without any, the connection is refused
    Cluster,
    /// Those of this node; without any of them, packets are dropped (KEP-2086) where the data
    /// plane can, and refused where it cannot
    Local,
}

/// Where the connections to one frontend go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The Service
    pub service: NamespacedName,
    /// `spec.ports[].name`
    pub port_name: String,
    /// Path of the field that asks for the frontend, for messages
    pub field: String,
    /// Why the frontend is there
    pub origin: Origin,
    /// Policy that chose the backends
    pub policy: Policy,
    /// Endpoints, sorted, each once; empty means that nobody may be connected to
    pub backends: Vec<SocketAddr>,
    /// Keep a client address on its endpoint for so many seconds after its last connection
    pub affinity_seconds: Option<u32>,
    /// Clients that are let in; `None` for all
    pub source_ranges: Option<Vec<Cidr>>,
}

impl Route {
    /// Whether a client may use the frontend at all (`spec.loadBalancerSourceRanges`).
    pub fn admits(&self, client: IpAddr) -> bool {
        self.source_ranges
            .as_ref()
            .is_none_or(|ranges| ranges.iter().any(|range| range.contains(client)))
    }
}

/// What one Service asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// `metadata.creationTimestamp`: the older Service keeps a frontend that two of them claim
    pub created: Arc<str>,
    /// Routes by frontend
    pub routes: BTreeMap<Frontend, Arc<Route>>,
    /// Addresses of the Service outside [`Settings::served`], which get no listener
    pub not_served: Vec<IpAddr>,
    /// What is wrong with the Service
    pub problems: Vec<Problem>,
}

/// Everything that should listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Routes by frontend
    pub routes: BTreeMap<Frontend, Arc<Route>>,
}
