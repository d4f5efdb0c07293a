//! Stale connections on their way to be forgotten, while more changes.

#[cfg(test)]
mod tests;

use super::{ConntrackFlush, FlushTarget};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What is to be forgotten. A pass over all tracked connections takes long, and rules do not wait
/// for it: before it is over, endpoints may come and take connections that were strangers when it
/// was begun. So it is told of them before the rules are.
#[derive(Debug, Default)]
pub struct Forgetting {
    /// For when the rules are changed
    planned: BTreeMap<FlushTarget, ConntrackFlush>,
    /// For the next pass
    waiting: Stale,
    /// In the present one
    passing: Stale,
}

/// Of some destinations, the endpoints whose connections are kept.
#[derive(Debug, Default)]
struct Stale {
    addresses: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
    /// By family (true for IPv4) and port
    node_ports: BTreeMap<(bool, u16), NodePort>,
}

/// Addresses of the node, if they are listed, and endpoints that serve.
type NodePort = (Option<BTreeSet<IpAddr>>, BTreeSet<SocketAddr>);

impl Forgetting {
    /// To be told before the rules change: connections to these endpoints are kept from now on.
    pub fn plan(&mut self, flushes: Vec<ConntrackFlush>) {
        for mut flush in flushes {
            for stale in [&mut self.waiting, &mut self.passing] {
                if let Some(keep) = stale.keep(&flush.target) {
                    keep.extend(&flush.keep);
                }
            }
            let before = self.planned.get(&flush.target);
            flush.due |= before.is_some_and(|before| before.due);
            self.planned.insert(flush.target.clone(), flush);
        }
    }

    /// To be told when the rules have changed as planned: the next pass forgets what went. The
    /// later word about a destination counts.
    pub fn ready(&mut self) {
        for (_, flush) in std::mem::take(&mut self.planned) {
            if flush.due {
                self.waiting.insert(flush);
            } else if let Some(keep) = self.waiting.keep(&flush.target) {
                *keep = flush.keep;
            }
        }
    }

    /// Whether there is anything for the next pass.
    pub fn is_due(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Begins the next pass. True when it has to know the machine's
    /// addresses, for there are NodePorts that answer on all of them.
    pub fn begin(&mut self) -> bool {
        self.passing = std::mem::take(&mut self.waiting);
        let mut node_ports = self.passing.node_ports.values();
        node_ports.any(|(addresses, _)| addresses.is_none())
    }

    /// The pass is over.
    pub fn end(&mut self) {
        self.passing = Stale::default();
    }

    /// Whether the present pass forgets a connection over UDP to `to` that is answered by `by`.
    /// To be asked after the connection was seen. `local` are the addresses of the machine.
    pub fn is_stale(&self, to: SocketAddr, by: SocketAddr, local: &BTreeSet<IpAddr>) -> bool {
        if let Some(keep) = self.passing.addresses.get(&to) {
            return !keep.contains(&by);
        }
        let port = (to.is_ipv4(), to.port());
        let Some((addresses, keep)) = self.passing.node_ports.get(&port) else {
            return false;
        };
        let ours = addresses.as_ref().unwrap_or(local);
        ours.contains(&to.ip()) && !keep.contains(&by)
    }
}

impl Stale {
    fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.node_ports.is_empty()
    }

    fn insert(&mut self, flush: ConntrackFlush) {
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

    fn keep(&mut self, target: &FlushTarget) -> Option<&mut BTreeSet<SocketAddr>> {
        match target {
            FlushTarget::Address(address) => self.addresses.get_mut(address),
            FlushTarget::NodePort { ipv4, port, .. } => {
                let found = self.node_ports.get_mut(&(*ipv4, *port));
                found.map(|(_, keep)| keep)
            }
        }
    }
}
