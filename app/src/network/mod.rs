//! The network of the embedded mode with the kernel data path: namespaces of its own, so that the
//! host gets no interface, no route and no rule.
//!
//! ```text
//! host ──sockets made inside──► node ──veth──► one namespace for each Pod
//!                                 └───veth──► edge: where ways out of the cluster end
//! ```
//!
//! The namespaces have no names: whatever ends this process, nothing of them is left once the
//! Pods' processes are gone too.

mod addresses;
pub(crate) mod egress;
mod gate;
mod pod;

pub(crate) use addresses::{NodeAddresses, ipv6};
pub(crate) use gate::Gate;

use anyhow::Context;
use kernel::link::{Links, Route, forward, sysctl};
use kernel::netns::Namespace;
use model::Cidr;
use rustix::net::{AddressFamily, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Router of the node's default route for IPv4, and the edge's own address (RFC 3927).
const EDGE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1));

/// Address of the near side of every link to a neighbour below, for IPv6 (RFC 4291).
const NEAR_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// Link of the node to its edge.
const UPLINK: &str = "eth0";

/// The namespaces; they go with the last holder.
pub(crate) struct NodeNetwork {
    node: Namespace,
    edge: Namespace,
    addresses: NodeAddresses,
    /// Number of the next Pod's link
    next: AtomicU32,
}

impl NodeNetwork {
    /// Makes the node and its edge.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn create(addresses: NodeAddresses) -> anyhow::Result<Arc<Self>> {
        let node = Namespace::create().context("make the node's network namespace")?;
        let edge = Namespace::create().context("make the edge's network namespace")?;
        prepare_router(&node).context("set the node's network namespace up")?;
        forward(&edge).context("set the edge's network namespace up")?;
        at_once(&edge)?;
        let network = Self {
            node,
            edge,
            addresses,
            next: AtomicU32::new(1),
        };
        network.join_edge().context("join the node and its edge")?;
        Ok(Arc::new(network))
    }

    fn join_edge(&self) -> anyhow::Result<()> {
        let edge = &self.edge;
        let mut near = Links::open(&self.node)?;
        near.add_veth(UPLINK, "node", edge)?;
        let uplink = near.index(UPLINK)?;
        let mut far = Links::open(edge)?;
        let down = far.index("node")?;
        far.add_address(down, EDGE_V4, 32)?;
        let v6 = self.addresses.node.iter().any(IpAddr::is_ipv6);
        if v6 {
            far.add_address(down, NEAR_V6, 64)?;
            far.add_address(down, egress::EDGE_V6, 128)?;
        }
        // The first one is what masqueraded packets come from.
        for ip in self.addresses.node.iter().chain(&self.addresses.dns) {
            near.add_address(uplink, *ip, width(*ip))?;
        }
        near.add_route(&Route::default_v4().via(EDGE_V4).device(uplink).onlink())?;
        if v6 {
            near.add_route(&Route::default_v6().via(NEAR_V6).device(uplink))?;
        }
        for ip in &self.addresses.node {
            far.add_route(&Route::to(*ip, width(*ip)).device(down))?;
        }
        for range in &self.addresses.pods {
            let mut nodes = self.addresses.node.iter();
            if let Some(node) = nodes.find(|ip| ip.is_ipv4() == range.is_ipv4()) {
                let back = Route::to(range.base(), range.prefix());
                far.add_route(&back.via(*node).device(down))?;
            }
        }
        Ok(())
    }

    /// The node's namespace.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.node
    }

    /// Its addresses.
    pub(crate) fn addresses(&self) -> &NodeAddresses {
        &self.addresses
    }

    /// A socket of the node's namespace for addresses of one family.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn socket(&self, address: SocketAddr, datagrams: bool) -> io::Result<OwnedFd> {
        socket(&self.node, address, datagrams)
    }

    /// Whether an address is reached through the node: those of Pods, Services and the node
    /// itself.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        self.addresses.contains(ip)
    }
}

fn socket(at: &Namespace, address: SocketAddr, datagrams: bool) -> io::Result<OwnedFd> {
    let domain = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match datagrams {
        true => SocketType::DGRAM,
        false => SocketType::STREAM,
    };
    at.socket(domain, kind, None)
}

/// Length of the prefix that names one address.
fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// A router for both families that also takes connections from and to loopback addresses on: what
/// the host hands in for a load balancer's address in 127.0.0.0/8 comes from such a one.
fn prepare_router(node: &Namespace) -> io::Result<()> {
    forward(node)?;
    any_port(node)?;
    for scope in ["all", "default"] {
        sysctl(node, &format!("ipv4/conf/{scope}/route_localnet"), "1")?;
    }
    at_once(node)
}

/// Addresses are used without asking first whether a neighbour has them.
fn at_once(namespace: &Namespace) -> io::Result<()> {
    if !ipv6() {
        return Ok(());
    }
    sysctl(namespace, "ipv6/conf/default/accept_dad", "0")
}

/// Lets whoever is in a namespace listen on ports below 1024, as container runtimes do.
fn any_port(namespace: &Namespace) -> io::Result<()> {
    sysctl(namespace, "ipv4/ip_unprivileged_port_start", "0")
}

/// Whether namespaces can be made and set up as the data path needs them. Where that takes it, and
/// a trial has shown that it helps, the process becomes root of a user namespace.
///
/// # Errors
/// Why not, in words.
pub(crate) fn possible() -> Result<(), String> {
    if let Err(refusal) = kernel::netns::may_create() {
        trial().map_err(|why| format!("{refusal}; {why}"))?;
        become_root()?;
    }
    set_up()
}

/// The same, of a process that stays as it is.
///
/// # Errors
/// Why not, in words.
pub(crate) fn would_be_possible() -> Result<(), String> {
    match kernel::netns::may_create() {
        Ok(()) => set_up(),
        Err(refusal) => trial().map_err(|why| format!("{refusal}; {why}")),
    }
}

/// Makes the namespaces, and lets them go again.
///
/// # Errors
/// Why it cannot be done, in words.
pub(crate) fn set_up() -> Result<(), String> {
    let ranges: Vec<Cidr> = ["10.244.0.0/16"]
        .iter()
        .filter_map(|r| r.parse().ok())
        .collect();
    let network = NodeNetwork::create(NodeAddresses::new(&ranges, &[]));
    let network = network.map_err(|error| format!("{error:#}"))?;
    let entered = network.pod_network(&[], "pod").map(drop);
    entered.map_err(|error| format!("{error:#}"))
}

/// Lets another process, the hidden command `trial`, do it as root of a user namespace: there are
/// systems that make those and then grant nothing in them, and there is no way back out of one.
fn trial() -> Result<(), String> {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg("trial").stdin(std::process::Stdio::null());
    kernel::netns::rootless(&mut command);
    let output = command.output();
    let output = output.map_err(|error| kernel::netns::user_refusal(&error).to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let told = String::from_utf8_lossy(&output.stdout);
            Err(format!("in a user namespace: {}", told.trim()))
        }
    }
}

/// Enters a user namespace; a thread that has just ended may still be counted by the kernel.
fn become_root() -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..20 {
        match kernel::netns::become_root() {
            Ok(()) => return Ok(()),
            Err(refusal) => last = refusal.to_string(),
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Err(last)
}
