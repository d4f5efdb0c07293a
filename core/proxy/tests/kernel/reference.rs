//! What the API promises about a connection, written from its documentation and without a look at
//! rules: which verdicts are right for the first packet.

use model::{Cidr, Endpoint, IpFamily, Protocol, Service, ServicePort, ServiceType, Snapshot};
use nft::trace::{Origin, Packet, World};
use proxy::kernel::{DetectLocal, NodePortAddresses, NodeSettings};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// What may become of the first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It is not for a Service
    Untouched,
    /// The client is told that nobody answers
    Refused,
    /// Nothing comes back
    Dropped,
    /// An endpoint gets it, under the node's own address or that of the client
    To(SocketAddr, bool),
}

/// What a packet is for.
pub(crate) struct Found<'a> {
    pub(crate) service: &'a Service,
    pub(crate) port: &'a ServicePort,
    entrance: Entrance,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entrance {
    ClusterIp,
    LoadBalancer,
    ExternalIp,
    NodePort,
}

/// The state of the cluster and of one node.
pub(crate) struct Reference<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a NodeSettings,
    pub(crate) world: &'a World,
}

type Usable<'a> = (SocketAddr, &'a Endpoint, u32);

impl Reference<'_> {
    /// Every verdict that is right.
    pub(crate) fn verdicts(&self, packet: &Packet) -> BTreeSet<Verdict> {
        let to = packet.destination.ip();
        if self.settings.dns_addresses.contains(&to) {
            return [Verdict::Untouched].into();
        }
        if let Some(found) = self.find(packet) {
            return self.at_service(&found, packet);
        }
        let verdict = if self
            .services()
            .any(|s| cluster_ip(s, to.is_ipv4()) == Some(to))
        {
            Verdict::Refused
        } else if self
            .settings
            .service_cidrs
            .iter()
            .any(|range| range.contains(to))
        {
            Verdict::Dropped
        } else {
            Verdict::Untouched
        };
        [verdict].into()
    }

    /// The Service port that a packet is for.
    pub(crate) fn find(&self, packet: &Packet) -> Option<Found<'_>> {
        let to = packet.destination;
        if let Some(found) = self.by_cluster_ip(to, packet.protocol) {
            return Some(found);
        }
        self.by_external(to, packet.protocol)
            .or_else(|| self.by_node_port(to, packet.protocol))
    }

    /// Services of this proxy: `service.kubernetes.io/service-proxy-name` names another one, and
    /// headless Services and aliases have no proxy at all.
    fn services(&self) -> impl Iterator<Item = &Service> {
        let all = self.snapshot.services.values().map(|service| &**service);
        all.filter(|service| {
            let label = "service.kubernetes.io/service-proxy-name";
            !service.meta.labels.contains_key(label)
                && !service.headless
                && service.kind != ServiceType::ExternalName
        })
    }

    /// The oldest of those that have such a port.
    fn oldest<'a>(
        &'a self,
        entrance: impl Fn(&'a Service) -> Option<Entrance>,
        fits: impl Fn(&ServicePort) -> bool,
        ipv4: bool,
    ) -> Option<Found<'a>> {
        let services = self.services().filter(|s| cluster_ip(s, ipv4).is_some());
        let found = services.filter_map(|service| {
            let entrance = entrance(service)?;
            let port = ports(service).into_iter().find(|port| fits(port))?;
            Some(Found {
                service,
                port,
                entrance,
            })
        });
        let age = |f: &Found<'_>| {
            (
                f.service.meta.creation_timestamp.clone(),
                f.service.id.clone(),
            )
        };
        found.min_by_key(age)
    }

    fn by_cluster_ip(&self, to: SocketAddr, protocol: u8) -> Option<Found<'_>> {
        let ipv4 = to.is_ipv4();
        let entrance = |s| (cluster_ip(s, ipv4) == Some(to.ip())).then_some(Entrance::ClusterIp);
        let fits = |p: &ServicePort| p.port == to.port() && number(p.protocol) == protocol;
        self.oldest(entrance, fits, ipv4)
    }

    fn by_external(&self, to: SocketAddr, protocol: u8) -> Option<Found<'_>> {
        let entrance = |service: &Service| {
            let mut ingress = service.load_balancer.iter();
            let vip = ingress.any(|lb| {
                lb.ip == Some(to.ip()) && lb.ip_mode.as_deref().unwrap_or("VIP") == "VIP"
            });
            if vip && service.kind == ServiceType::LoadBalancer {
                return Some(Entrance::LoadBalancer);
            }
            let served = self.settings.external_ips && service.external_ips.contains(&to.ip());
            served.then_some(Entrance::ExternalIp)
        };
        let fits = |p: &ServicePort| p.port == to.port() && number(p.protocol) == protocol;
        self.own_identity(self.oldest(entrance, fits, to.is_ipv4())?, to.is_ipv4())
    }

    fn by_node_port(&self, to: SocketAddr, protocol: u8) -> Option<Found<'_>> {
        let answers = match &self.settings.node_port_addresses {
            NodePortAddresses::AllLocal => self.world.is_local(to.ip()),
            NodePortAddresses::These(addresses) => addresses.contains(&to.ip()),
        };
        if !answers || to.ip().is_loopback() {
            return None;
        }
        let entrance =
            |s: &Service| (s.kind != ServiceType::ClusterIP).then_some(Entrance::NodePort);
        let fits = |p: &ServicePort| p.node_port == to.port() && number(p.protocol) == protocol;
        self.own_identity(self.oldest(entrance, fits, to.is_ipv4())?, to.is_ipv4())
    }

    /// A Service whose very ClusterIP belongs to an older one is not served at all.
    fn own_identity<'a>(&'a self, found: Found<'a>, ipv4: bool) -> Option<Found<'a>> {
        let address = cluster_ip(found.service, ipv4)?;
        let own = SocketAddr::new(address, found.port.port);
        let holder = self.by_cluster_ip(own, number(found.port.protocol))?;
        (holder.service.id == found.service.id).then_some(found)
    }

    fn at_service(&self, found: &Found<'_>, packet: &Packet) -> BTreeSet<Verdict> {
        if !self.admitted(found, packet) {
            return [Verdict::Dropped].into();
        }
        let all = self.endpoints(found, packet.destination.is_ipv4());
        let usable = |e: &Endpoint| e.ready || (e.serving && e.terminating);
        if !all.iter().any(|(_, e, _)| usable(e)) {
            return [Verdict::Refused].into();
        }
        let pod = self.is_from_pod(packet) == Some(true);
        let node = self.world.is_local(packet.source.ip());
        let (local, masquerade) = match found.entrance {
            Entrance::ClusterIp => {
                let outside = self.is_from_pod(packet) == Some(false);
                let masquerade = self.settings.masquerade_all || outside;
                (found.service.internal_local, masquerade)
            }
            // Under policy Local, what starts on this node behaves as if it went to the load
            // balancer and came back.
            _ if found.service.external_local => (!pod && !node, !pod && node),
            _ => (false, true),
        };
        let chosen = self.chosen(&all, local);
        if chosen.is_empty() {
            return [Verdict::Dropped].into();
        }
        let to = |(at, endpoint, _): &Usable<'_>| {
            let itself = at.ip() == packet.source.ip() && self.is_here(endpoint);
            Verdict::To(*at, masquerade || itself)
        };
        chosen.iter().map(to).collect()
    }

    /// `loadBalancerSourceRanges` limits who may use the load balancer's address.
    fn admitted(&self, found: &Found<'_>, packet: &Packet) -> bool {
        let texts = &found.service.load_balancer_source_ranges;
        if found.entrance != Entrance::LoadBalancer || texts.is_empty() {
            return true;
        }
        let ranges = texts.iter().filter_map(|text| text.trim().parse().ok());
        let ranges: Vec<Cidr> = ranges.collect();
        let contains = |ip: IpAddr| ranges.iter().any(|range| range.contains(ip));
        let source = packet.source.ip();
        let mut node_ips = self.settings.node_ips.iter();
        let node = node_ips.any(|ip| ip.is_ipv4() == source.is_ipv4() && contains(*ip));
        let own = node
            && found
                .service
                .load_balancer
                .iter()
                .any(|lb| lb.ip == Some(source));
        contains(source) || own
    }

    /// Whether a packet comes from a Pod of this node, if that can be told.
    fn is_from_pod(&self, packet: &Packet) -> Option<bool> {
        let interface = match &packet.origin {
            Origin::Interface(name) => &**name,
            Origin::Local => "",
        };
        match &self.settings.detect_local {
            DetectLocal::None => None,
            DetectLocal::Cidrs(ranges) => {
                let ip = packet.source.ip();
                let family: Vec<_> = ranges
                    .iter()
                    .filter(|r| r.is_ipv4() == ip.is_ipv4())
                    .collect();
                (!family.is_empty()).then(|| family.iter().any(|range| range.contains(ip)))
            }
            DetectLocal::BridgeInterface(name) => Some(interface == name),
            DetectLocal::InterfaceNamePrefix(prefix) => Some(interface.starts_with(prefix)),
        }
    }

    fn is_here(&self, endpoint: &Endpoint) -> bool {
        endpoint.node_name.as_deref() == Some(&self.settings.node_name)
    }

    /// Endpoints of the port, each address once: a running Pod's rather than one that ends.
    fn endpoints(&self, found: &Found<'_>, ipv4: bool) -> Vec<Usable<'_>> {
        let mut all: Vec<Usable<'_>> = Vec::new();
        let family = if ipv4 { IpFamily::IPv4 } else { IpFamily::IPv6 };
        for slice in self.snapshot.slices_of_service(&found.service.id) {
            let same = format!("{:?}", slice.address_type) == format!("{family:?}");
            for port in slice.ports.iter().filter(|_| same) {
                let fits = port.name == found.port.name && port.protocol == found.port.protocol;
                for endpoint in slice.endpoints.iter().filter(|_| fits) {
                    let at = format_socket(&endpoint.addresses[0], port.port.unwrap_or_default());
                    let of_slice = slice.meta.annotations.get("portolan.dev/weight");
                    let of_slice = of_slice.and_then(|text| text.parse().ok());
                    let weight = weight(found.service, endpoint, at.ip()).or(of_slice);
                    let new = (at, endpoint, weight.unwrap_or(1));
                    match all.iter_mut().find(|(known, _, _)| *known == at) {
                        Some(known) if better(endpoint, known.1) => *known = new,
                        Some(_) => {}
                        None => all.push(new),
                    }
                }
            }
        }
        all
    }

    /// Those that get traffic: ready ones in reach, else ones that end but still serve.
    fn chosen<'a>(&self, all: &[Usable<'a>], local: bool) -> Vec<Usable<'a>> {
        let in_reach: Vec<Usable<'a>> = if local {
            all.iter()
                .filter(|(_, e, _)| self.is_here(e))
                .copied()
                .collect()
        } else {
            all.to_vec()
        };
        let mut ready: Vec<Usable<'a>> = in_reach.iter().filter(|u| u.1.ready).copied().collect();
        if !local {
            self.keep_near(&mut ready);
        }
        if ready.is_empty() {
            let ending = |u: &&Usable<'a>| u.1.serving && u.1.terminating;
            ready = in_reach.iter().filter(ending).copied().collect();
        }
        if ready.iter().any(|(_, _, weight)| *weight > 0) {
            ready.retain(|(_, _, weight)| *weight > 0);
        }
        ready
    }

    /// Hints: followed if every ready endpoint has them and one is for here; the node's first.
    fn keep_near(&self, ready: &mut Vec<Usable<'_>>) {
        let node = &self.settings.node_name;
        let for_node = |e: &Endpoint| e.for_nodes.contains(node);
        if ready.iter().all(|u| !u.1.for_nodes.is_empty()) && ready.iter().any(|u| for_node(u.1)) {
            return ready.retain(|u| for_node(u.1));
        }
        let known = self.snapshot.nodes.get(node.as_str());
        let Some(zone) = known.and_then(|node| node.zone.as_ref()) else {
            return;
        };
        let for_zone = |e: &Endpoint| e.for_zones.contains(zone);
        if ready.iter().all(|u| !u.1.for_zones.is_empty()) && ready.iter().any(|u| for_zone(u.1)) {
            ready.retain(|u| for_zone(u.1));
        }
    }
}

fn format_socket(address: &str, port: u16) -> SocketAddr {
    let ip: IpAddr = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
    SocketAddr::new(ip, port)
}

fn better(new: &Endpoint, known: &Endpoint) -> bool {
    let rank = |e: &Endpoint| match (e.terminating, e.ready, e.serving) {
        (false, true, true) => 7,
        (false, true, false) => 6,
        (false, false, true) => 5,
        (false, false, false) => 4,
        (true, true, true) => 3,
        (true, true, false) => 2,
        (true, false, true) => 1,
        (true, false, false) => 0,
    };
    rank(new) > rank(known)
}

/// `portolan.dev/weights`: names of Pods or addresses with whole numbers up to 100.
fn weight(service: &Service, endpoint: &Endpoint, ip: IpAddr) -> Option<u32> {
    let text = service.meta.annotations.get("portolan.dev/weights")?;
    let pod = endpoint.target.as_ref().map(|target| target.name.clone());
    let of = |name: String| {
        let entries = text
            .split(',')
            .filter_map(|entry| entry.trim().split_once('='));
        let mut fitting = entries.filter(|(key, _)| *key == name);
        fitting.find_map(|(_, number)| number.parse().ok().filter(|n| *n <= 100))
    };
    pod.and_then(of).or_else(|| of(ip.to_string()))
}

/// The first ClusterIP of the family.
fn cluster_ip(service: &Service, ipv4: bool) -> Option<IpAddr> {
    let mut addresses = service.cluster_ips.iter();
    addresses.find(|address| address.is_ipv4() == ipv4).copied()
}

/// Each port and protocol once.
fn ports(service: &Service) -> Vec<&ServicePort> {
    let mut seen = BTreeSet::new();
    let ports = service.ports.iter();
    ports
        .filter(|port| seen.insert((port.port, port.protocol)))
        .collect()
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}
