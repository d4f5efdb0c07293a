//! A client, a node and a server, each in a network namespace, joined by veth pairs.

use super::cluster::{self, Member, Size};
use super::ours::Node;
use anyhow::{Context, Result};
use kernel::link::{Links, Route, forward};
use kernel::netns::Namespace;
use model::Event;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// The three of them.
pub(super) struct Net {
    pub(super) client: Namespace,
    pub(super) node: Namespace,
    server: Namespace,
}

/// Addresses of the server, as those of three Pods.
pub(super) const SERVERS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 1, 0, 2),
    Ipv4Addr::new(10, 1, 0, 3),
    Ipv4Addr::new(10, 1, 0, 4),
];
/// What is loaded besides.
pub(super) const SIZE: Size = Size {
    services: 10_000,
    endpoints: 3,
};
/// The Service whose endpoints really answer, by closing.
const LIVE: usize = 17;
/// The Service whose endpoint reads what it is sent.
const SINK: usize = 18;
const SINK_PORT: u16 = 8081;

impl Net {
    pub(super) fn build() -> Result<Self> {
        let net = Self {
            client: Namespace::create()?,
            node: Namespace::create()?,
            server: Namespace::create()?,
        };
        forward(&net.node)?;
        net.join("client", &net.client, &[Ipv4Addr::new(10, 2, 0, 2)])?;
        net.join("server", &net.server, &SERVERS)?;
        net.serve(cluster::TARGET, false)?;
        net.serve(SINK_PORT, true)?;
        Ok(net)
    }

    /// A veth pair to the node, whose end has the first address of the network.
    fn join(&self, name: &str, peer: &Namespace, addresses: &[Ipv4Addr]) -> Result<()> {
        let mut node = Links::open(&self.node)?;
        let mut links = Links::open(peer)?;
        node.add_veth(name, "eth0", peer)?;
        let (near, far) = (node.index(name)?, links.index("eth0")?);
        let [a, b, c, _] = addresses.first().context("no address")?.octets();
        let router = IpAddr::from([a, b, c, 1]);
        node.add_address(near, router, 24)?;
        for address in addresses {
            links.add_address(far, (*address).into(), 24)?;
        }
        links.add_route(&Route::default_v4().via(router))?;
        Ok(())
    }

    /// Accepts for ever; reads what comes, or closes at once.
    fn serve(&self, port: u16, read: bool) -> Result<()> {
        let listener = self
            .server
            .make(move || TcpListener::bind(("0.0.0.0", port)))??;
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if read {
                    std::thread::spawn(move || {
                        let mut buffer = vec![0; 1 << 18];
                        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                    });
                }
            }
        });
        Ok(())
    }
}

/// Events that load everything: the filling, and the two Services that are used.
pub(super) fn events() -> Result<Vec<Event>> {
    let mut events = cluster::events(SIZE).collect::<Result<Vec<_>>>()?;
    events.push(live(None)?);
    let (namespace, name) = cluster::name(SINK);
    let sink = [Member::ready(SERVERS[0])].into_iter();
    events.push(cluster::slice_of(&namespace, &name, SINK_PORT, sink)?);
    Ok(events)
}

/// The slice of the live Service; one of its endpoints may be terminating.
pub(super) fn live(terminating: Option<usize>) -> Result<Event> {
    let (namespace, name) = cluster::name(LIVE);
    let members = SERVERS.into_iter().enumerate().map(|(at, address)| Member {
        address,
        terminating: terminating == Some(at),
    });
    cluster::slice_of(&namespace, &name, cluster::TARGET, members)
}

/// Loads everything into the node's namespace. Must be called inside it.
pub(super) fn load() -> Result<Node> {
    let mut node = Node::new()?;
    node.take(&events()?)?;
    Ok(node)
}

/// Where to connect to: the Service, and a Pod of its.
pub(super) fn live_addresses() -> [SocketAddr; 2] {
    [
        (cluster::cluster_ip(LIVE), cluster::PORT).into(),
        (SERVERS[0], cluster::TARGET).into(),
    ]
}

/// Where to send to: the Service, and its Pod.
pub(super) fn sink_addresses() -> [SocketAddr; 2] {
    [
        (cluster::cluster_ip(SINK), cluster::PORT).into(),
        (SERVERS[0], SINK_PORT).into(),
    ]
}

/// A node with the live Service alone. Must be called inside the node's namespace.
pub(super) fn first() -> Result<Node> {
    let mut node = Node::new()?;
    let events = [cluster::service(LIVE)?, live(None)?];
    node.take(&events)?;
    Ok(node)
}

/// Whether an event is about the live Service.
pub(super) fn is_live(event: &Event) -> bool {
    let name = cluster::name(LIVE).1;
    event.object.meta.name.starts_with(&name)
}

/// Waits until a time has come.
pub(super) fn wait_until(time: Instant) {
    let left = time.saturating_duration_since(Instant::now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}
