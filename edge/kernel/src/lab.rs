//! A cluster's network in miniature, out of namespaces: nodes that route, Pods behind them, and a
//! client outside, each with addresses of both families.
//!
//! ```text
//! client ── router ─┬─ node1 ─┬─ pod1
//!                   │         └─ pod2
//!                   └─ node2 ─┬─ pod3
//!                             └─ pod4
//! ```
//!
//! All links are routed point to point, so that nothing but veth is asked of the kernel; with
//! [`Shape::bridge`] the Pods of a node share a bridge, as many network plugins do it. Nothing
//! has a name outside: a laboratory is gone with its process.

mod ask;
mod echo;
#[cfg(test)]
mod tests;
mod wiring;

pub use ask::{Answer, Asking, Protocol};
pub use echo::Echo;

use crate::link::{Links, Route};
use crate::netns::Namespace;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How large a laboratory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of nodes, at most [`MOST_NODES`]
    pub nodes: u8,
    /// Number of Pods on each, at most [`MOST_PODS`]
    pub pods_per_node: u8,
    /// Join the Pods of a node by a bridge `cni0` in hairpin mode
    pub bridge: bool,
}

/// Most nodes of a laboratory.
pub const MOST_NODES: u8 = 50;
/// Most Pods of one of its nodes.
pub const MOST_PODS: u8 = 100;

impl Default for Shape {
    fn default() -> Self {
        Self {
            nodes: 3,
            pods_per_node: 2,
            bridge: false,
        }
    }
}

/// An address of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4
    pub v4: Ipv4Addr,
    /// IPv6
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// Both.
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// That of the family of `other`.
    pub fn like(self, other: IpAddr) -> IpAddr {
        match other {
            IpAddr::V4(_) => self.v4.into(),
            IpAddr::V6(_) => self.v6.into(),
        }
    }
}

/// A machine of the laboratory: a node, a Pod, the client or the router.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `node1`, `pod1`, `client`, `router`
    pub name: String,
    /// Where it lives
    pub namespace: Namespace,
    /// Its addresses
    pub addresses: Addresses,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The machine; it reaches the others by `eth0`, and its Pods by links with their names
    pub machine: Machine,
    /// First addresses of its Pods' networks, whose prefixes are [`POD_PREFIX`] long
    pub pod_networks: Addresses,
}

/// A Pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The machine
    pub machine: Machine,
    /// Index of its node
    pub node: usize,
}

/// Lengths of the prefixes of one node's Pods, for IPv4 and IPv6.
pub const POD_PREFIX: (u8, u8) = (24, 64);
/// First addresses and lengths of the prefixes of all Pods.
pub const CLUSTER_CIDR: [(&str, u8); 2] = [("10.244.0.0", 16), ("fd00:10:244::", 48)];

/// The whole.
#[derive(Debug)]
pub struct Lab {
    /// Nodes in order
    pub nodes: Vec<Node>,
    /// Pods in order, node by node
    pub pods: Vec<Pod>,
    /// Somebody outside the cluster; it has a second address, one higher than its own
    pub client: Machine,
    /// Between all of them
    pub router: Machine,
}

impl Lab {
    /// Builds one.
    ///
    /// # Errors
    /// `InvalidInput` when it would be too large; where the kernel refuses a namespace, its words
    /// (see [`crate::netns::may_create`]); and what making links and routes said.
    pub fn build(shape: Shape) -> io::Result<Self> {
        if !(1..=MOST_NODES).contains(&shape.nodes) || shape.pods_per_node > MOST_PODS {
            let text = format!(
                "a laboratory has 1 to {MOST_NODES} nodes with up to {MOST_PODS} Pods each"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        wiring::build(shape)
    }

    /// The machine with this name.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines().find(|machine| machine.name == name)
    }

    /// All machines: nodes, Pods, the client and the router.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        let nodes = self.nodes.iter().map(|node| &node.machine);
        let pods = self.pods.iter().map(|pod| &pod.machine);
        nodes.chain(pods).chain([&self.client, &self.router])
    }

    /// Lets everybody outside reach `address` by way of a node, as a load balancer or a router's
    /// static route would.
    ///
    /// # Errors
    /// What the kernel said; `AlreadyExists` when it leads somewhere already.
    pub fn lead(&self, address: IpAddr, prefix: u8, node: usize) -> io::Result<()> {
        let (mut links, route) = self.outside_route(address, prefix, node)?;
        Ok(links.add_route(&route)?)
    }

    /// Takes back what [`Lab::lead`] did.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn stop_leading(&self, address: IpAddr, prefix: u8, node: usize) -> io::Result<()> {
        let (mut links, route) = self.outside_route(address, prefix, node)?;
        Ok(links.delete_route(&route)?)
    }

    fn outside_route(
        &self,
        address: IpAddr,
        prefix: u8,
        node: usize,
    ) -> io::Result<(Links, Route)> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no node {node}"));
        let machine = &self.nodes.get(node).ok_or_else(missing)?.machine;
        let mut links = Links::open(&self.router.namespace)?;
        let device = links.index(&machine.name)?;
        let via = machine.addresses.like(address);
        let route = Route::to(address, prefix).via(via).device(device).onlink();
        Ok((links, route))
    }
}
