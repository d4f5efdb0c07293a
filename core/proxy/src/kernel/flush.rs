//! Tracked connections that lead nowhere any more.

use super::endpoints::At;
use super::entry::Entry;
use super::{NodePortAddresses, NodeSettings};
use model::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Original destination of tracked connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushTarget {
    /// An address and port of a Service
    Address(SocketAddr),
    /// A NodePort
    NodePort {
        /// Whether of IPv4
        ipv4: bool,
        /// Port number
        port: u16,
        /// Addresses of this node that NodePorts answer on; `None` for any
        addresses: Option<BTreeSet<IpAddr>>,
    },
}

/// UDP entries to delete, if that is due: those with this original destination whose reply source
/// (where the packets really go) is none of `keep`. To be done after the transaction that it came
/// with, for until then packets would make the same entries again. TCP is left alone: its clients
/// notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConntrackFlush {
    /// Original destination
    pub target: FlushTarget,
    /// Endpoints that still serve
    pub keep: BTreeSet<SocketAddr>,
    /// Whether entries can be stale. False when endpoints only came: whoever is still about to
    /// delete for the same target, by an older word, must know them too.
    pub due: bool,
}

/// A UDP frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Address(SocketAddr),
    NodePort(bool, u16),
}

/// Which UDP frontends have other endpoints.
#[derive(Default)]
pub(super) struct UdpTargets {
    changed: BTreeMap<Target, Changed>,
}

#[derive(Default)]
struct Changed {
    keep: BTreeSet<SocketAddr>,
    /// Entries may be stale
    stale: bool,
}

impl UdpTargets {
    /// Takes in what became of one Service. Policies and topology do not matter: an established
    /// flow to an endpoint that serves goes on.
    pub(super) fn change(&mut self, before: &Entry, after: Option<&Entry>) {
        let old: BTreeMap<Target, &[At]> = targets(before).collect();
        let new: BTreeMap<Target, &[At]> = after.into_iter().flat_map(targets).collect();
        for (target, serving) in &new {
            // What is sent to a port before it has endpoints leaves an entry without rewriting.
            let stale = match old.get(target) {
                None => true,
                Some(old) if old == serving => continue,
                Some([]) => true,
                Some(old) => old.iter().any(|at| !serving.contains(at)),
            };
            let keep = serving.iter().map(|at| at.socket()).collect();
            self.changed.insert(*target, Changed { keep, stale });
        }
        for target in old.keys().filter(|target| !new.contains_key(target)) {
            // Another Service may have taken it over in the same batch.
            let gone = Changed {
                stale: true,
                ..Changed::default()
            };
            self.changed.entry(*target).or_insert(gone);
        }
    }

    pub(super) fn into_flushes(self, settings: &NodeSettings) -> Vec<ConntrackFlush> {
        let flush = |(target, Changed { keep, stale })| ConntrackFlush {
            target: resolve(target, settings),
            keep,
            due: stale,
        };
        self.changed.into_iter().map(flush).collect()
    }
}

fn resolve(target: Target, settings: &NodeSettings) -> FlushTarget {
    match target {
        Target::Address(at) => FlushTarget::Address(at),
        Target::NodePort(ipv4, port) => FlushTarget::NodePort {
            ipv4,
            port,
            addresses: match &settings.node_port_addresses {
                NodePortAddresses::AllLocal => None,
                NodePortAddresses::These(all) => {
                    let ours = all.iter().filter(|address| address.is_ipv4() == ipv4);
                    Some(ours.copied().collect())
                }
            },
        },
    }
}

/// UDP frontends that a Service was granted, with the endpoints that serve.
fn targets(entry: &Entry) -> impl Iterator<Item = (Target, &[At])> {
    let ports = entry.ports.iter();
    let ports = ports.filter(|p| p.granted && p.identity.protocol == Protocol::Udp);
    ports.flat_map(|port| {
        let serving: &[At] = &port.serving;
        let own = port.on_cluster_ip.then_some(port.identity.socket());
        let externals = port.externals.iter().filter(|external| external.granted);
        let externals = externals.map(|external| port.external(external.address).socket());
        let addresses = own.into_iter().chain(externals).map(Target::Address);
        let ipv4 = port.identity.address.is_ipv4();
        let has_port = port.node_port != 0 && port.node_port_granted;
        let node_port = has_port.then_some(Target::NodePort(ipv4, port.node_port));
        addresses
            .chain(node_port)
            .map(move |target| (target, serving))
    })
}
