//! What the plan of a node needs to know besides the cluster.

use model::Cidr;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How traffic of this node's own Pods is told from other traffic (`detectLocalMode`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DetectLocal {
    /// It is not; nothing is masqueraded for having come from outside
    #[default]
    None,
    /// By source address (`ClusterCIDR` and `NodeCIDR`); a family without a range has no detection
    Cidrs(Vec<Cidr>),
    /// By the interface it comes in on (`BridgeInterface`)
    BridgeInterface(String),
    /// By how the name of that interface begins (`InterfaceNamePrefix`)
    InterfaceNamePrefix(String),
}

/// Addresses on which NodePorts answer (`nodePortAddresses`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// Every address that the routing table calls local, without loopback
    #[default]
    AllLocal,
    /// These; loopback addresses among them are passed over, see
    /// [`NodeSettings::localhost_node_ports`]
    These(BTreeSet<IpAddr>),
}

/// Everything about one node that its rules depend on. All of it is values: whoever makes it has
/// asked interfaces and the Node before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Name of the Node; traffic policy `Local` and topology hints compare with it
    pub node_name: String,
    /// The Node's primary addresses, one of each family: with one of them in
    /// `loadBalancerSourceRanges`, the load balancer's own address is let in as a source
    pub node_ips: Vec<IpAddr>,
    /// Where NodePorts answer
    pub node_port_addresses: NodePortAddresses,
    /// Loopback addresses on which a userspace relay shall answer TCP NodePorts (KEP-6032)
    pub localhost_node_ports: Vec<IpAddr>,
    /// How traffic of own Pods is told
    pub detect_local: DetectLocal,
    /// Masquerade all traffic to ClusterIPs
    pub masquerade_all: bool,
    /// Bit of the packet mark that asks for masquerading
    pub masquerade_mark: u32,
    /// Choose source ports of masqueraded connections at random
    pub fully_random: bool,
    /// Serve `spec.externalIPs`; off, because anyone who may create a Service could take over any
    /// address by them (CVE-2020-8554)
    pub external_ips: bool,
    /// Ranges of ClusterIPs; an address in them that no Service has is dropped
    pub service_cidrs: Vec<Cidr>,
    /// Addresses that a DNS server on this node answers itself; no rule touches them, and port 53
    /// on them is not tracked
    pub dns_addresses: Vec<IpAddr>,
    /// Count packets and bytes of each Service
    pub counters: bool,
    /// Reset TCP connections to endpoints that are gone from their Service
    pub reset_removed: bool,
    /// Say what connect hooks may lead. What they lead is not counted
    pub connect_hooks: bool,
    /// Which Services are ours, by label `service.kubernetes.io/service-proxy-name`; `None` for
    /// those without the label
    pub service_proxy_name: Option<String>,
}

impl NodeSettings {
    /// Whether the plan of any Service may be another under `other`. What only shared rules and
    /// sets depend on does not count.
    pub(super) fn plans_like(&self, other: &Self) -> bool {
        let with_rules_of = Self {
            node_port_addresses: other.node_port_addresses.clone(),
            detect_local: other.detect_local.clone(),
            masquerade_mark: other.masquerade_mark,
            fully_random: other.fully_random,
            service_cidrs: other.service_cidrs.clone(),
            ..self.clone()
        };
        with_rules_of == *other
    }
}

impl Default for NodeSettings {
    /// kube-proxy's defaults, for a node without name and detection.
    fn default() -> Self {
        Self {
            node_name: String::new(),
            node_ips: Vec::new(),
            node_port_addresses: NodePortAddresses::AllLocal,
            localhost_node_ports: Vec::new(),
            detect_local: DetectLocal::None,
            masquerade_all: false,
            masquerade_mark: 1 << 14,
            fully_random: true,
            external_ips: false,
            service_cidrs: Vec::new(),
            dns_addresses: Vec::new(),
            counters: false,
            reset_removed: false,
            connect_hooks: false,
            service_proxy_name: None,
        }
    }
}
