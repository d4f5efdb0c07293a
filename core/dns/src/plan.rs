//! What one Service says in DNS.

use crate::name::Name;
use crate::reverse::dashed_label;
use crate::zone::Settings;
use model::{
    AddressType, EndpointSlice, NamespacedName, ObjectKey, Problem, Protocol, Resource, Service,
    ServiceType, Severity, Snapshot,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The records of one Service, in the form that answers are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRecords {
    pub(crate) id: Arc<NamespacedName>,
    /// `<service>.<namespace>.svc.<zone>`
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    /// Addresses of the Service's own name: cluster IPs, or ready endpoints when headless
    pub(crate) v4: Vec<Ipv4Addr>,
    pub(crate) v6: Vec<Ipv6Addr>,
    /// Ports of the Service's own name, with the share of each
    pub(crate) ports: Vec<Port>,
    /// Ready endpoints in order of label, address and port set
    pub(crate) endpoints: Vec<Endpoint>,
    /// Indices of `endpoints` in order of address
    pub(crate) by_address: Vec<u32>,
    /// Ports of the EndpointSlices; endpoints say which
    pub(crate) port_sets: Vec<Vec<SlicePort>>,
    /// How many pairs of endpoint and port a headless Service has, doubles counted: weights are
    /// shares of it
    pub(crate) pairs: u32,
}

/// What a Service's own name answers with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Cluster IPs
    Cluster,
    /// Endpoint addresses
    Headless,
    /// An alias
    External(Name),
    /// The address that stands where an alias's name belongs
    Address,
    /// Nothing: EndpointSlices without their Service, which still have reverse names
    Orphan,
}

/// A port that has a name and so an owner name of its own, `_name._protocol.<service>`; or an
/// unnamed one, which is seen at the Service's own name only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) name: Box<str>,
    pub(crate) protocol: Protocol,
    /// Number of a Service's port; zero in headless Services, where slices have the numbers
    pub(crate) number: u16,
    /// Pairs of endpoint and port in a headless Service, doubles counted
    pub(crate) pairs: u32,
}

/// `ports[]` of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlicePort {
    pub(crate) name: Box<str>,
    pub(crate) protocol: Protocol,
    pub(crate) number: Option<u16>,
}

/// One ready address of a slice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) label: Box<str>,
    pub(crate) address: IpAddr,
    pub(crate) port_set: u16,
}

impl ServiceRecords {
    /// The endpoints under one label.
    pub(crate) fn labelled(&self, label: &[u8]) -> &[Endpoint] {
        let from = self
            .endpoints
            .partition_point(|endpoint| endpoint.label.as_bytes() < label);
        let rest = &self.endpoints[from..];
        let count = rest.partition_point(|endpoint| endpoint.label.as_bytes() == label);
        &rest[..count]
    }

    /// The labels of the endpoints that have an address.
    pub(crate) fn labels_of(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let at = |index: &u32| self.endpoints[*index as usize].address;
        let from = self.by_address.partition_point(|index| at(index) < address);
        let found = self.by_address[from..]
            .iter()
            .take_while(move |index| at(index) == address);
        found.map(|index| &*self.endpoints[*index as usize].label)
    }

    /// Whether the address is one of the Service's cluster IPs.
    pub(crate) fn is_cluster_ip(&self, address: IpAddr) -> bool {
        self.kind == Kind::Cluster
            && match address {
                IpAddr::V4(v4) => self.v4.contains(&v4),
                IpAddr::V6(v6) => self.v6.contains(&v6),
            }
    }

    /// Every address that has a reverse name because of this Service, in order, each once.
    pub(crate) fn reverse_addresses(&self) -> Vec<IpAddr> {
        let mut all = self.endpoint_addresses();
        if self.kind == Kind::Cluster {
            all.extend(self.v4.iter().copied().map(IpAddr::V4));
            all.extend(self.v6.iter().copied().map(IpAddr::V6));
            all.sort_unstable();
            all.dedup();
        }
        all
    }

    /// The addresses of all endpoints, in order, each once.
    fn endpoint_addresses(&self) -> Vec<IpAddr> {
        let in_order = self.by_address.iter();
        let mut all: Vec<IpAddr> = in_order
            .map(|index| self.endpoints[*index as usize].address)
            .collect();
        all.dedup();
        all
    }

    /// The Service's own name exists; a headless Service without a ready endpoint has none.
    pub(crate) fn exists(&self) -> bool {
        match self.kind {
            Kind::Cluster | Kind::External(_) | Kind::Address => true,
            Kind::Headless => !self.endpoints.is_empty(),
            Kind::Orphan => false,
        }
    }

    pub(crate) fn ports_of(&self, endpoint: &Endpoint) -> &[SlicePort] {
        self.port_sets
            .get(usize::from(endpoint.port_set))
            .map_or(&[], Vec::as_slice)
    }
}

/// Plans the records of one Service out of the Service and its EndpointSlices; `None` when neither
/// exists, or the Service's name is no name.
pub fn plan_service(
    snapshot: &Snapshot,
    id: &NamespacedName,
    settings: &Settings,
) -> Option<ServiceRecords> {
    let service = snapshot.services.get(id).map(Arc::as_ref);
    let slices: Vec<&EndpointSlice> = snapshot.slices_of_service(id).map(Arc::as_ref).collect();
    if service.is_none() && slices.is_empty() {
        return None;
    }
    let name = settings
        .zone
        .below(b"svc")
        .and_then(|below| below.below(id.namespace.as_bytes()))
        .and_then(|below| below.below(id.name.as_bytes()))
        .ok()?
        .to_lower();
    let mut records = ServiceRecords {
        id: Arc::new(id.clone()),
        name,
        kind: service.map_or(Kind::Orphan, kind),
        v4: Vec::new(),
        v6: Vec::new(),
        ports: Vec::new(),
        endpoints: Vec::new(),
        by_address: Vec::new(),
        port_sets: Vec::new(),
        pairs: 0,
    };
    if !matches!(records.kind, Kind::External(_) | Kind::Address) {
        for slice in slices {
            add_slice(&mut records, slice);
        }
        index_endpoints(&mut records);
    }
    match (&records.kind, service) {
        (Kind::Headless, _) => add_headless(&mut records),
        (_, Some(service)) => add_addresses(&mut records, service),
        _ => {}
    }
    Some(records)
}

fn kind(service: &Service) -> Kind {
    if service.kind != ServiceType::ExternalName {
        return if service.headless {
            Kind::Headless
        } else {
            Kind::Cluster
        };
    }
    // An address where a name belongs is served as an address: that is what its writer meant.
    if service.external_name.parse::<IpAddr>().is_ok() {
        return Kind::Address;
    }
    match Name::parse(&service.external_name) {
        Ok(name) => Kind::External(name),
        Err(_) => Kind::Orphan,
    }
}

/// Addresses and ports of a Service that has its own.
fn add_addresses(records: &mut ServiceRecords, service: &Service) {
    let addresses = match records.kind {
        Kind::Address => service.external_name.parse().into_iter().collect(),
        _ => service.cluster_ips.clone(),
    };
    push_addresses(records, addresses);
    if records.kind != Kind::Cluster {
        return;
    }
    records.ports = service
        .ports
        .iter()
        .map(|port| Port {
            name: port.name.to_ascii_lowercase().into(),
            protocol: port.protocol,
            number: port.port,
            pairs: 0,
        })
        .collect();
}

/// Takes in the ready addresses of a slice. Ones of the type FQDN have no address to give.
fn add_slice(records: &mut ServiceRecords, slice: &EndpointSlice) {
    if slice.address_type == AddressType::FQDN {
        return;
    }
    let port_set = port_set_index(&mut records.port_sets, slice);
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
        for address in &endpoint.addresses {
            let Ok(parsed) = address.parse() else {
                continue;
            };
            let label = match &endpoint.hostname {
                Some(hostname) => hostname.to_ascii_lowercase(),
                None => dashed_label(address),
            };
            records.endpoints.push(Endpoint {
                label: label.into(),
                address: parsed,
                port_set,
            });
        }
    }
}

/// Slices of one Service mostly have the same ports, so that each list is kept once.
fn port_set_index(sets: &mut Vec<Vec<SlicePort>>, slice: &EndpointSlice) -> u16 {
    let ports: Vec<SlicePort> = slice
        .ports
        .iter()
        .map(|port| SlicePort {
            name: port.name.to_ascii_lowercase().into(),
            protocol: port.protocol,
            number: port.port,
        })
        .collect();
    let at = sets
        .iter()
        .position(|set| *set == ports)
        .unwrap_or_else(|| {
            sets.push(ports);
            sets.len() - 1
        });
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// Counts the pairs that weights are shares of, then sorts the endpoints and drops doubles.
fn index_endpoints(records: &mut ServiceRecords) {
    let mut counts = vec![0u32; records.port_sets.len()];
    for endpoint in &records.endpoints {
        if let Some(count) = counts.get_mut(usize::from(endpoint.port_set)) {
            *count += 1;
        }
    }
    let mut named: BTreeMap<(Box<str>, Protocol), u32> = BTreeMap::new();
    for (ports, count) in records.port_sets.iter().zip(counts) {
        let pairs = u32::try_from(ports.len().max(1)).unwrap_or(u32::MAX);
        records.pairs = records.pairs.saturating_add(pairs.saturating_mul(count));
        for port in ports.iter().filter(|_| count > 0) {
            *named.entry((port.name.clone(), port.protocol)).or_default() += count;
        }
    }
    if records.kind == Kind::Headless {
        records.ports = named
            .into_iter()
            .map(|((name, protocol), pairs)| Port {
                name,
                protocol,
                number: 0,
                pairs,
            })
            .collect();
    }
    records.endpoints.sort_unstable();
    records.endpoints.dedup();
    let mut order: Vec<u32> = (0u32..).take(records.endpoints.len()).collect();
    order.sort_unstable_by_key(|index| records.endpoints[*index as usize].address);
    records.by_address = order;
}

fn add_headless(records: &mut ServiceRecords) {
    let addresses = records.endpoint_addresses();
    push_addresses(records, addresses);
}

fn push_addresses(records: &mut ServiceRecords, addresses: impl IntoIterator<Item = IpAddr>) {
    for address in addresses {
        match address {
            IpAddr::V4(v4) => records.v4.push(v4),
            IpAddr::V6(v6) => records.v6.push(v6),
        }
    }
}

/// What is wrong with a Service as far as DNS goes.
pub fn problems(snapshot: &Snapshot, id: &NamespacedName, settings: &Settings) -> Vec<Problem> {
    let Some(service) = snapshot.services.get(id) else {
        return Vec::new();
    };
    if service.kind != ServiceType::ExternalName {
        return Vec::new();
    }
    let found = external_problem(snapshot, id, &service.external_name, settings);
    let Some((severity, reason, message, cure)) = found else {
        return Vec::new();
    };
    vec![Problem {
        object: ObjectKey::new(Resource::SERVICES, &id.namespace, &id.name),
        field: "spec.externalName".to_owned(),
        severity,
        reason,
        message,
        cure: cure.to_owned(),
    }]
}

type Finding = (Severity, &'static str, String, &'static str);

fn external_problem(
    snapshot: &Snapshot,
    id: &NamespacedName,
    written: &str,
    settings: &Settings,
) -> Option<Finding> {
    if written.parse::<IpAddr>().is_ok() {
        return Some((
            Severity::Warning,
            "ExternalNameIsAddress",
            format!("{written:?} is an address, not a name; other cluster DNS servers ignore it."),
            "Use a Service without a selector and an EndpointSlice that holds the address.",
        ));
    }
    if let Err(error) = Name::parse(written) {
        return Some((
            Severity::Error,
            "ExternalNameInvalid",
            format!("{written:?} is no domain name: {error}."),
            "Write a domain name of labels of at most 63 characters, separated by single dots.",
        ));
    }
    loops(snapshot, id, settings).then(|| {
        (
            Severity::Error,
            "ExternalNameLoop",
            format!("Following {written:?} leads back to this Service, so it never resolves."),
            "Point one Service of the chain at a name that has an address.",
        )
    })
}

/// Whether following ExternalNames from `id` comes back to it.
fn loops(snapshot: &Snapshot, id: &NamespacedName, settings: &Settings) -> bool {
    let mut seen = BTreeSet::new();
    let mut at = id.clone();
    while seen.insert(at.clone()) {
        let Some(service) = snapshot.services.get(&at) else {
            return false;
        };
        let Ok(target) = Name::parse(&service.external_name) else {
            return false;
        };
        match service_of(&target.to_lower(), settings) {
            Some(next) if service.kind == ServiceType::ExternalName => at = next,
            _ => return false,
        }
    }
    at == *id
}

/// The Service whose own name this is.
fn service_of(name: &Name, settings: &Settings) -> Option<NamespacedName> {
    let labels: Vec<&[u8]> = name.labels().collect();
    let zone: Vec<&[u8]> = settings.zone.labels().collect();
    let [service, namespace, b"svc", rest @ ..] = labels.as_slice() else {
        return None;
    };
    let text = |label| std::str::from_utf8(label).ok();
    (rest == zone).then(|| Some(NamespacedName::new(text(namespace)?, text(service)?)))?
}
