//! From a configuration and what is known of the node to the settings of its rules.

use super::{KubeProxyConfiguration, LocalMode, Mode, NodePortSelector};
use crate::kernel::{DetectLocal, NodePortAddresses, NodeSettings};
use model::Cidr;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What has to be asked of the node and the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Name of the Node
    pub node_name: String,
    /// The Node's primary addresses, one of each family
    pub node_ips: Vec<IpAddr>,
    /// Every address of every interface
    pub addresses: BTreeSet<IpAddr>,
    /// `spec.podCIDRs` of the Node
    pub pod_cidrs: Vec<Cidr>,
    /// Ranges of all ServiceCIDRs
    pub service_cidrs: Vec<Cidr>,
}

impl KubeProxyConfiguration {
    /// The settings of a node's rules. Switches that kube-proxy does not know are off.
    pub fn node_settings(&self, facts: &NodeFacts) -> NodeSettings {
        let gate = self.feature_gates.get("AllowServiceExternalIPs");
        NodeSettings {
            node_name: facts.node_name.clone(),
            node_ips: facts.node_ips.clone(),
            node_port_addresses: self.node_port_addresses(facts),
            localhost_node_ports: self.localhost(),
            detect_local: self.detect_local(facts),
            masquerade_all: self.masquerade_all,
            masquerade_mark: 1 << (self.masquerade_bit & 31),
            external_ips: gate == Some(&true),
            service_cidrs: facts.service_cidrs.clone(),
            ..NodeSettings::default()
        }
    }

    fn detect_local(&self, facts: &NodeFacts) -> DetectLocal {
        match self.detect_local_mode {
            LocalMode::ClusterCidr => ranges(&self.cluster_cidrs),
            LocalMode::NodeCidr => ranges(&facts.pod_cidrs),
            LocalMode::BridgeInterface => {
                DetectLocal::BridgeInterface(self.bridge_interface.clone())
            }
            LocalMode::InterfaceNamePrefix => {
                DetectLocal::InterfaceNamePrefix(self.interface_name_prefix.clone())
            }
        }
    }

    fn node_port_addresses(&self, facts: &NodeFacts) -> NodePortAddresses {
        let selectors = &self.node_port_addresses;
        // kube-proxy's own default depends on the mode.
        let primary = self.mode == Mode::Nftables && selectors.is_empty();
        let all = selectors.is_empty() || selectors.contains(&NodePortSelector::All);
        if all && !primary {
            return NodePortAddresses::AllLocal;
        }
        let mut these = BTreeSet::new();
        if primary || selectors.contains(&NodePortSelector::Primary) {
            these.extend(facts.node_ips.iter().copied());
        }
        for selector in selectors {
            if let NodePortSelector::Range(range) = selector {
                let inside = facts.addresses.iter().filter(|ip| range.contains(**ip));
                these.extend(inside.copied());
            }
        }
        these.retain(|address| !address.is_loopback());
        NodePortAddresses::These(these)
    }

    /// Loopback addresses that NodePorts answer on.
    fn localhost(&self) -> Vec<IpAddr> {
        let loopback = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        let selectors = &self.node_port_addresses;
        let asked = |ip: &IpAddr| {
            let by_word = selectors.contains(&NodePortSelector::Localhost);
            let by_range = selectors.iter().any(|selector| match selector {
                NodePortSelector::Range(range) => range.contains(*ip),
                _ => false,
            });
            // What mode iptables does for IPv4 unless told otherwise.
            let by_default = self.localhost_node_ports && selectors.is_empty() && ip.is_ipv4();
            let by_range = by_range && (self.mode == Mode::Nftables || self.localhost_node_ports);
            by_word || by_range || by_default
        };
        loopback.into_iter().filter(asked).collect()
    }
}

/// Detection by the first range of each family; none without any.
fn ranges(all: &[Cidr]) -> DetectLocal {
    let first = |ipv4: bool| all.iter().find(|range| range.is_ipv4() == ipv4).copied();
    let found: Vec<Cidr> = first(true).into_iter().chain(first(false)).collect();
    if found.is_empty() {
        return DetectLocal::None;
    }
    DetectLocal::Cidrs(found)
}
