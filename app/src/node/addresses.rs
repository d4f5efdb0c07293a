//! Which addresses of this node are meant: the Node's own, and those where NodePorts answer.

use anyhow::bail;
use model::{Cidr, Node};
use proxy::kernel::{DetectLocal, NodePortAddresses};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// One entry of `nodePortAddresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The Node's addresses
    Primary,
    /// Every address but loopback ones
    All,
    /// 127.0.0.1 and ::1, for TCP
    Localhost,
    /// Addresses within a range
    Range(Cidr),
}

impl Choice {
    /// Reads the flag's values; without any, what `all` says.
    pub(crate) fn read(values: &[String], all: bool) -> anyhow::Result<Vec<Self>> {
        let values: Vec<&String> = values.iter().filter(|value| !value.is_empty()).collect();
        if values.is_empty() {
            return Ok(vec![if all { Self::All } else { Self::Primary }]);
        }
        let read = |value: &&String| match value.as_str() {
            "primary" => Ok(Self::Primary),
            "all" => Ok(Self::All),
            "localhost" => Ok(Self::Localhost),
            text => match text.parse() {
                Ok(range) => Ok(Self::Range(range)),
                Err(_) => bail!(
                    "--nodeport-addresses {text:?}: a range such as 192.0.2.0/24, primary, all or localhost"
                ),
            },
        };
        values.iter().map(read).collect()
    }
}

/// The Node's addresses, one of each family, the primary first; `fallback` without a Node.
pub(crate) fn node_ips(node: Option<&Node>, fallback: IpAddr) -> Vec<IpAddr> {
    let of_node = node
        .into_iter()
        .flat_map(|node| node.internal_ips.iter().chain(&node.external_ips));
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in of_node {
        if !found.iter().any(|other| other.is_ipv4() == ip.is_ipv4()) {
            found.push(*ip);
        }
    }
    if found.is_empty() {
        let unknown = fallback.is_unspecified();
        found.push(if unknown {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            fallback
        });
    }
    found
}

/// Where NodePorts answer, and on which loopback addresses a relay answers them.
pub(crate) fn node_ports(
    choices: &[Choice],
    node_ips: &[IpAddr],
    interfaces: &BTreeSet<IpAddr>,
    localhost: bool,
) -> (NodePortAddresses, Vec<IpAddr>) {
    let mut these = BTreeSet::new();
    let mut loopbacks = BTreeSet::new();
    let mut all = false;
    for choice in choices {
        match choice {
            Choice::Primary => these.extend(node_ips.iter().copied()),
            Choice::All => {
                all = true;
                if localhost {
                    loopbacks.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
            }
            Choice::Localhost => {
                loopbacks.extend(interfaces.iter().filter(|ip| is_localhost(**ip)).copied());
            }
            Choice::Range(range) => {
                let inside = interfaces.iter().filter(|ip| range.contains(**ip));
                let (loopback, others): (Vec<IpAddr>, Vec<IpAddr>) =
                    inside.copied().partition(IpAddr::is_loopback);
                these.extend(others);
                loopbacks.extend(loopback.into_iter().filter(|ip| is_localhost(*ip)));
            }
        }
    }
    these.retain(|ip| !ip.is_loopback());
    let addresses = if all {
        NodePortAddresses::AllLocal
    } else {
        NodePortAddresses::These(these)
    };
    (addresses, loopbacks.into_iter().collect())
}

/// 127.0.0.1 and ::1: a DNS address on the loopback interface is none.
fn is_localhost(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}

/// How local Pods are told, by kube-proxy's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalMode {
    /// `detectLocalMode`
    pub(crate) mode: String,
    /// `clusterCIDR`
    pub(crate) cluster: Vec<Cidr>,
    /// `detectLocal.bridgeInterface`
    pub(crate) bridge: String,
    /// `detectLocal.interfaceNamePrefix`
    pub(crate) prefix: String,
}

impl LocalMode {
    /// Checks that the mode has what it needs.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.mode.as_str() {
            "" | "ClusterCIDR" | "NodeCIDR" => Ok(()),
            "BridgeInterface" if !self.bridge.is_empty() => Ok(()),
            "InterfaceNamePrefix" if !self.prefix.is_empty() => Ok(()),
            "BridgeInterface" => {
                bail!("--detect-local-mode BridgeInterface needs --pod-bridge-interface")
            }
            "InterfaceNamePrefix" => {
                bail!("--detect-local-mode InterfaceNamePrefix needs --pod-interface-name-prefix")
            }
            other => bail!(
                "--detect-local-mode {other:?}: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix"
            ),
        }
    }

    /// The detection that it means on this Node.
    pub(crate) fn resolve(&self, node: Option<&Node>) -> DetectLocal {
        let ranges = |all: &[Cidr]| {
            if all.is_empty() {
                DetectLocal::None
            } else {
                DetectLocal::Cidrs(all.to_vec())
            }
        };
        match self.mode.as_str() {
            "NodeCIDR" => node.map_or(DetectLocal::None, |node| ranges(&node.pod_cidrs)),
            "BridgeInterface" => DetectLocal::BridgeInterface(self.bridge.clone()),
            "InterfaceNamePrefix" => DetectLocal::InterfaceNamePrefix(self.prefix.clone()),
            _ => ranges(&self.cluster),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn keywords_and_ranges_choose_among_the_addresses_of_the_node() {
        let interfaces = ips(&[
            "127.0.0.1",
            "::1",
            "10.96.0.10",
            "192.0.2.1",
            "198.51.100.1",
        ]);
        let node: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
        let choose = |values: &[&str], all| {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            let choices = Choice::read(&values, all).unwrap();
            node_ports(&choices, &node, &interfaces, true)
        };
        let these = |texts: &[&str]| NodePortAddresses::These(ips(texts));
        assert_eq!(choose(&[], false), (these(&["192.0.2.1"]), vec![]));
        let localhost: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap()];
        assert_eq!(
            choose(&[], true),
            (NodePortAddresses::AllLocal, localhost.clone())
        );
        assert_eq!(
            choose(&["198.51.100.0/24"], true),
            (these(&["198.51.100.1"]), vec![])
        );
        assert_eq!(choose(&["127.0.0.0/8"], false), (these(&[]), localhost));
        let both: Vec<IpAddr> = ips(&["127.0.0.1", "::1"]).into_iter().collect();
        assert_eq!(
            choose(&["primary", "localhost"], false),
            (these(&["192.0.2.1"]), both)
        );
        let error = Choice::read(&["secondary".to_owned()], false).unwrap_err();
        assert!(error.to_string().contains("secondary"));
    }
}
