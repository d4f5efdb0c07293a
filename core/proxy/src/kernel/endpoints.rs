//! Which endpoints of a Service port serve traffic on this node, as the API says: readiness,
//! fall-back to terminating ones (KEP-1669), topology hints (KEP-2433, KEP-3015), policy `Local`.

use super::weights::Weights;
use model::{AddressType, Endpoint, EndpointSlice, Service, ServicePort, Snapshot};
use nft::Family;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Address and port of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

impl At {
    pub(super) fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// An endpoint that gets traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) at: At,
    /// Share of the traffic, compared with the others
    pub(super) weight: u16,
    /// Whether on this node
    pub(super) local: bool,
}

/// The node that the rules are for.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) node: &'a str,
    pub(super) zone: Option<&'a str>,
}

impl<'a> Here<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, node: &'a str) -> Self {
        let known = snapshot.nodes.get(node);
        Self {
            node,
            zone: known.and_then(|node| node.zone.as_deref()),
        }
    }

    pub(super) fn has(&self, endpoint: &Endpoint) -> bool {
        !self.node.is_empty() && endpoint.node_name.as_deref() == Some(self.node)
    }
}

/// Every endpoint of a Service port in one family, each once.
pub(super) struct Candidates<'a> {
    /// In order of address and port
    found: Vec<Candidate<'a>>,
    here: Here<'a>,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    at: At,
    endpoint: &'a Endpoint,
    weight: u16,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(
        slices: &'a [Arc<EndpointSlice>],
        port: &ServicePort,
        family: Family,
        here: Here<'a>,
        weights: &Weights<'_>,
    ) -> Self {
        let mut found = Vec::new();
        let of_family = match family {
            Family::Ipv4 => AddressType::IPv4,
            Family::Ipv6 => AddressType::IPv6,
        };
        for slice in slices
            .iter()
            .filter(|slice| slice.address_type == of_family)
        {
            let of_slice = Weights::of_slice(slice);
            let ports = slice.ports.iter();
            let matching = ports.filter(|p| p.name == port.name && p.protocol == port.protocol);
            // Without a number the API means all ports, which no Service port can.
            for number in matching.filter_map(|p| p.port).filter(|port| *port != 0) {
                for endpoint in &slice.endpoints {
                    add(&mut found, endpoint, number, family, |ip| {
                        weights.of(endpoint, ip).or(of_slice).unwrap_or(1)
                    });
                }
            }
        }
        // Of those at one address the best comes first, and of equals the first one found. The
        // address may have gone from a Pod that ends to a new one, or moved between slices.
        found.sort_by_key(|c: &Candidate<'_>| (c.at, std::cmp::Reverse(rank(c.endpoint))));
        found.dedup_by_key(|c| c.at);
        Self { found, here }
    }

    /// Those that serve, whatever the policies: connections to them go on.
    pub(super) fn serving(&self) -> impl Iterator<Item = At> {
        let serving = self.found.iter().filter(|c| c.endpoint.serving);
        serving.map(|c| c.at)
    }

    /// Those on this node, whatever their conditions.
    pub(super) fn here(&self) -> impl Iterator<Item = At> {
        let here = self.found.iter().filter(|c| self.here.has(c.endpoint));
        here.map(|c| c.at)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = At> {
        self.found.iter().map(|c| c.at)
    }

    /// Whether any of the cluster's could be used under one policy or another.
    pub(super) fn any(&self) -> bool {
        let mut all = self.found.iter().map(|c| c.endpoint);
        all.any(|e| e.ready || leaving(e))
    }

    /// Those for policy `Cluster`.
    pub(super) fn cluster(&self) -> Vec<Member> {
        let topology = self.topology();
        let near = |e: &Endpoint| match topology {
            Topology::Node => names(&e.for_nodes, Some(self.here.node)),
            Topology::Zone => names(&e.for_zones, self.here.zone),
            Topology::None => true,
        };
        self.ready_or_leaving(|e| e.ready && near(e), leaving)
    }

    /// Those for policy `Local`.
    pub(super) fn local(&self) -> Vec<Member> {
        let here = |e: &Endpoint| self.here.has(e);
        self.ready_or_leaving(|e| here(e) && e.ready, |e| here(e) && leaving(e))
    }

    fn ready_or_leaving(
        &self,
        ready: impl Fn(&Endpoint) -> bool,
        leaving: impl Fn(&Endpoint) -> bool,
    ) -> Vec<Member> {
        let those = self.members(ready);
        if those.is_empty() {
            return self.members(leaving);
        }
        those
    }

    fn members(&self, wanted: impl Fn(&Endpoint) -> bool) -> Vec<Member> {
        let chosen = self.found.iter().filter(|c| wanted(c.endpoint));
        let member = |c: &Candidate<'_>| Member {
            at: c.at,
            weight: c.weight,
            local: self.here.has(c.endpoint),
        };
        chosen.map(member).collect()
    }

    /// Hints count only when every ready endpoint has one and one of them is for here.
    fn topology(&self) -> Topology {
        let ready = || self.found.iter().map(|c| c.endpoint).filter(|e| e.ready);
        let usable = |hints: fn(&Endpoint) -> &Vec<String>, own: Option<&str>| {
            ready().all(|e| !hints(e).is_empty()) && ready().any(|e| names(hints(e), own))
        };
        if usable(|e| &e.for_nodes, Some(self.here.node)) {
            Topology::Node
        } else if usable(|e| &e.for_zones, self.here.zone) {
            Topology::Zone
        } else {
            Topology::None
        }
    }
}

/// Which hints count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Node,
    Zone,
    None,
}

fn add<'a>(
    found: &mut Vec<Candidate<'a>>,
    endpoint: &'a Endpoint,
    port: u16,
    family: Family,
    weight: impl FnOnce(IpAddr) -> u16,
) {
    // Addresses of one endpoint are fungible: the first stands for all.
    let first = endpoint.addresses.first();
    let Some(ip) = first.and_then(|text| text.parse::<IpAddr>().ok()) else {
        return;
    };
    if ip.is_ipv4() == (family == Family::Ipv4) {
        found.push(Candidate {
            at: At { ip, port },
            endpoint,
            weight: weight(ip),
        });
    }
}

fn rank(endpoint: &Endpoint) -> (bool, bool, bool) {
    (!endpoint.terminating, endpoint.ready, endpoint.serving)
}

fn leaving(endpoint: &Endpoint) -> bool {
    endpoint.serving && endpoint.terminating
}

fn names(hints: &[String], own: Option<&str>) -> bool {
    own.is_some_and(|own| hints.iter().any(|hint| hint == own))
}

/// Number of Pods of the Service on this node that are ready: in the family that has more.
pub(super) fn ready_here(slices: &[Arc<EndpointSlice>], here: Here<'_>) -> usize {
    let count = |family: AddressType| {
        let slices = slices.iter().filter(|slice| slice.address_type == family);
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        let ready = endpoints.filter(|e| e.ready && here.has(e));
        let addresses: std::collections::BTreeSet<&String> =
            ready.filter_map(|e| e.addresses.first()).collect();
        addresses.len()
    };
    count(AddressType::IPv4).max(count(AddressType::IPv6))
}

/// Slices of a Service.
pub(super) fn slices_of(snapshot: &Snapshot, service: &Service) -> Vec<Arc<EndpointSlice>> {
    snapshot.slices_of_service(&service.id).cloned().collect()
}
