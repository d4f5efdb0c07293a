//! Tracked connections that lead nowhere any more are forgotten.

use kernel::NetlinkError;
use kernel::conntrack::{Conntrack, Entry, Flushed};
use kernel::link::Links;
use proxy::kernel::{ConntrackFlush, FlushTarget};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

const UDP: u8 = 17;

/// What to forget, for many entries to be asked about.
#[derive(Default)]
pub(super) struct Flushes {
    addresses: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
    /// By family (true for IPv4) and port
    node_ports: BTreeMap<(bool, u16), NodePort>,
}

/// Addresses of the node, if they are listed, and endpoints that serve.
type NodePort = (Option<BTreeSet<IpAddr>>, BTreeSet<SocketAddr>);

impl Flushes {
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.node_ports.is_empty()
    }

    /// Adds more; the later word about a destination counts.
    pub(super) fn add(&mut self, flushes: Vec<ConntrackFlush>) {
        for flush in flushes {
            match flush.target {
                FlushTarget::Address(address) => {
                    self.addresses.insert(address, flush.keep);
                }
                FlushTarget::NodePort {
                    ipv4,
                    port,
                    addresses,
                } => {
                    let value = (addresses, flush.keep);
                    self.node_ports.insert((ipv4, port), value);
                }
            }
        }
    }

    /// Forgets them, in one pass over all entries of UDP.
    pub(super) fn run(&self, conntrack: &mut Conntrack) -> Result<Flushed, NetlinkError> {
        let unlisted = |(addresses, _): &NodePort| addresses.is_none();
        let local = match self.node_ports.values().any(unlisted) {
            true => local_addresses(),
            false => BTreeSet::new(),
        };
        conntrack.flush(Some(UDP), |entry| self.is_stale(entry, &local))
    }

    /// `local` are the addresses of this machine, where NodePorts answer on all of them.
    fn is_stale(&self, entry: &Entry, local: &BTreeSet<IpAddr>) -> bool {
        let to = &entry.original;
        let address = SocketAddr::new(to.destination, to.destination_port);
        let now = SocketAddr::new(entry.reply.source, entry.reply.source_port);
        if let Some(keep) = self.addresses.get(&address) {
            return !keep.contains(&now);
        }
        let port = (to.destination.is_ipv4(), to.destination_port);
        let Some((addresses, keep)) = self.node_ports.get(&port) else {
            return false;
        };
        let ours = addresses.as_ref().unwrap_or(local);
        ours.contains(&to.destination) && !keep.contains(&now)
    }
}

/// Those of the thread's network namespace.
fn local_addresses() -> BTreeSet<IpAddr> {
    let listed = Links::open_here().and_then(|mut links| links.addresses());
    let listed =
        listed.inspect_err(|error| tracing::warn!(%error, "stale flows of NodePorts stay"));
    let listed = listed.unwrap_or_default().into_iter();
    listed.map(|address| address.address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::conntrack::Tuple;

    fn entry(to: &str, answered_by: &str) -> Entry {
        let tuple = |from: &str, to: &str| {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            Tuple {
                source: from.ip(),
                destination: to.ip(),
                protocol: UDP,
                source_port: from.port(),
                destination_port: to.port(),
            }
        };
        Entry {
            original: tuple("192.0.2.9:4000", to),
            reply: tuple(answered_by, "192.0.2.9:4000"),
            status: 0,
            mark: 0,
            timeout: 30,
            id: 1,
            zone: 0,
        }
    }

    #[test]
    fn only_flows_to_endpoints_that_no_longer_serve_are_stale() {
        let keep = BTreeSet::from(["10.0.0.1:53".parse().unwrap()]);
        let node = BTreeSet::from(["192.0.2.1".parse().unwrap()]);
        let mut flushes = Flushes::default();
        flushes.add(vec![
            ConntrackFlush {
                target: FlushTarget::Address("10.96.0.9:53".parse().unwrap()),
                keep: keep.clone(),
            },
            ConntrackFlush {
                target: FlushTarget::NodePort {
                    ipv4: true,
                    port: 30053,
                    addresses: Some(node),
                },
                keep,
            },
            ConntrackFlush {
                target: FlushTarget::NodePort {
                    ipv4: true,
                    port: 30054,
                    addresses: None,
                },
                keep: BTreeSet::new(),
            },
        ]);
        let local = BTreeSet::from(["192.0.2.2".parse().unwrap()]);
        let stale = |to, by| flushes.is_stale(&entry(to, by), &local);
        assert!(!stale("10.96.0.9:53", "10.0.0.1:53"));
        assert!(stale("10.96.0.9:53", "10.0.0.2:53"));
        assert!(stale("10.96.0.9:53", "10.96.0.9:53"));
        assert!(!stale("10.96.0.8:53", "10.0.0.2:53"));
        assert!(stale("192.0.2.1:30053", "10.0.0.2:53"));
        assert!(!stale("192.0.2.1:30053", "10.0.0.1:53"));
        assert!(!stale("192.0.2.77:30053", "192.0.2.77:30053"));
        assert!(
            stale("192.0.2.2:30054", "192.0.2.2:30054"),
            "on any address of the machine"
        );
        assert!(
            !stale("192.0.2.77:30054", "192.0.2.77:30054"),
            "passing through"
        );
    }
}
