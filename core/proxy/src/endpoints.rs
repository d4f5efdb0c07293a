//! Which endpoints of a Service may get traffic on this node, as kube-proxy's topology rules say.

use crate::{Policy, Settings};
use model::{AddressType, Endpoint, EndpointSlice, ServicePort, Snapshot};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One endpoint with the port that a Service port resolves to.
struct Candidate<'a> {
    at: SocketAddr,
    endpoint: &'a Endpoint,
}

/// This node, as endpoints see it.
pub(crate) struct Here<'a> {
    node: &'a str,
    zone: Option<&'a str>,
}

impl<'a> Here<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, settings: &'a Settings) -> Self {
        let node = snapshot.nodes.get(settings.node_name.as_str());
        Self {
            node: &settings.node_name,
            zone: node.and_then(|node| node.zone.as_deref()),
        }
    }

    fn is_local(&self, endpoint: &Endpoint) -> bool {
        endpoint.node_name.as_deref() == Some(self.node)
    }
}

/// Which hints count: those for nodes, those for zones, or none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Node,
    Zone,
    None,
}

/// Endpoints of one port in one address family under `policy`, sorted, each once.
pub(crate) fn backends(
    slices: &[Arc<EndpointSlice>],
    port: &ServicePort,
    ipv4: bool,
    policy: Policy,
    here: &Here<'_>,
) -> Vec<SocketAddr> {
    let candidates = candidates(slices, port, ipv4);
    let topology = match policy {
        Policy::Cluster => topology(&candidates, here),
        // Hints are a matter of the cluster-wide policy only.
        Policy::Local => Topology::None,
    };
    let admitted = |c: &&Candidate<'_>| policy == Policy::Cluster || here.is_local(c.endpoint);
    let in_reach = |c: &&Candidate<'_>| match topology {
        Topology::Node => names(&c.endpoint.for_nodes, Some(here.node)),
        Topology::Zone => names(&c.endpoint.for_zones, here.zone),
        Topology::None => true,
    };
    let all = || candidates.iter().filter(admitted);
    let ready = all().filter(|c| c.endpoint.ready).filter(in_reach);
    let mut chosen: BTreeSet<SocketAddr> = ready.map(|c| c.at).collect();
    if chosen.is_empty() {
        // KEP-1669: better a Pod that is about to go, as long as it still serves, than none.
        let leaving = all().filter(|c| c.endpoint.serving && c.endpoint.terminating);
        chosen = leaving.map(|c| c.at).collect();
    }
    chosen.into_iter().collect()
}

/// Every endpoint of every slice that has the port; FQDN slices have none.
fn candidates<'a>(
    slices: &'a [Arc<EndpointSlice>],
    port: &ServicePort,
    ipv4: bool,
) -> Vec<Candidate<'a>> {
    let family = if ipv4 {
        AddressType::IPv4
    } else {
        AddressType::IPv6
    };
    let mut found = Vec::new();
    for slice in slices.iter().filter(|slice| slice.address_type == family) {
        let ports = slice.ports.iter();
        let matching = ports.filter(|p| p.name == port.name && p.protocol == port.protocol);
        for number in matching.filter_map(|p| p.port) {
            found.extend(slice.endpoints.iter().filter_map(|endpoint| {
                // Addresses of one endpoint are fungible: the first stands for all.
                let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
                (address.is_ipv4() == ipv4).then(|| Candidate {
                    at: SocketAddr::new(address, number),
                    endpoint,
                })
            }));
        }
    }
    found
}

/// Hints count only when every ready endpoint has one and at least one is for here; those for
/// nodes come before those for zones (KEP-2433, KEP-3015).
fn topology(candidates: &[Candidate<'_>], here: &Here<'_>) -> Topology {
    let ready: Vec<&Endpoint> = candidates
        .iter()
        .map(|c| c.endpoint)
        .filter(|endpoint| endpoint.ready)
        .collect();
    let usable = |hints: fn(&Endpoint) -> &Vec<String>, own: Option<&str>| {
        ready.iter().all(|endpoint| !hints(endpoint).is_empty())
            && ready.iter().any(|endpoint| names(hints(endpoint), own))
    };
    if usable(|endpoint| &endpoint.for_nodes, Some(here.node)) {
        Topology::Node
    } else if usable(|endpoint| &endpoint.for_zones, here.zone) {
        Topology::Zone
    } else {
        Topology::None
    }
}

fn names(hints: &[String], own: Option<&str>) -> bool {
    own.is_some_and(|own| hints.iter().any(|hint| hint == own))
}
