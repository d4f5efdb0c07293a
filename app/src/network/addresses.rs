//! Which addresses the node has.

use model::Cidr;
use std::net::IpAddr;
use std::path::Path;

/// Place of the cluster's DNS in a range of Service addresses, as kubeadm has it.
const DNS: u128 = 10;

/// The node's addresses and ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeAddresses {
    /// The node's own: the first of each range of Pods
    pub(crate) node: Vec<IpAddr>,
    /// The cluster's DNS: the tenth of each range of Services
    pub(crate) dns: Vec<IpAddr>,
    /// Ranges of Pods
    pub(crate) pods: Vec<Cidr>,
    services: Vec<Cidr>,
}

impl NodeAddresses {
    /// The addresses that follow from the ranges.
    pub(crate) fn new(pods: &[Cidr], services: &[Cidr]) -> Self {
        Self {
            node: pods.iter().filter_map(|range| range.nth(1)).collect(),
            dns: services.iter().filter_map(|range| range.nth(DNS)).collect(),
            pods: pods.to_vec(),
            services: services.to_vec(),
        }
    }

    /// The primary one.
    pub(crate) fn primary(&self) -> Option<IpAddr> {
        self.node.first().copied()
    }

    /// Whether an address lies in one of the ranges.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let mut ranges = self.pods.iter().chain(&self.services);
        ranges.any(|range| range.contains(ip))
    }
}

/// Whether the kernel speaks IPv6.
pub(crate) fn ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6/conf/default").exists()
}
