//! The zone: what all Services say, in a form that is cheap to change and to share.

use crate::name::Name;
use crate::plan::{Endpoint, Kind, ServiceRecords, plan_service};
use crate::reverse::dashed_address;
use crate::shards::{Shards, hash};
use model::{ChangedKeys, NamespacedName, Protocol, Resource, Snapshot};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// What a zone is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's domain, in lower case
    pub zone: Name,
    /// Seconds that records of the zone may be kept
    pub ttl: u32,
    /// First serial of the SOA record; each update counts one up. Take the time in seconds, so
    /// that serials grow over restarts
    pub serial: u32,
}

impl Settings {
    /// kubeadm's: `cluster.local` and 30 seconds.
    pub fn new(serial: u32) -> Self {
        let zone = Name::from_checked(b"\x07cluster\x05local\0");
        Self {
            zone,
            ttl: 30,
            serial,
        }
    }
}

/// All records of the cluster. A clone is cheap and shares everything with its origin.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(crate) settings: Arc<Settings>,
    pub(crate) serial: u32,
    synced: bool,
    namespaces: Arc<BTreeSet<Box<[u8]>>>,
    services: Shards<Entry>,
    reverse: Shards<Reverse>,
}

/// A Service under its key, `<length>service<length>namespace` as a query's name has it.
#[derive(Clone, Debug)]
struct Entry {
    key: Arc<[u8]>,
    records: Arc<ServiceRecords>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// A Service that gives an address a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reverse {
    address: IpAddr,
    service: Arc<NamespacedName>,
}

/// Two zones are equal when they have the same records; the serial does not count.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        fn sorted<T: Ord + Clone>(shards: &Shards<T>) -> Vec<&T> {
            let mut all: Vec<&T> = shards.iter().collect();
            all.sort_unstable();
            all
        }
        self.settings.zone == other.settings.zone
            && self.settings.ttl == other.settings.ttl
            && self.namespaces == other.namespaces
            && self.services() == other.services()
            && sorted(&self.reverse) == sorted(&other.reverse)
    }
}

/// What stands at a name of the zone.
pub(crate) enum Found<'z> {
    /// Nothing, nor below it
    Missing,
    /// Names below it only, or a name without records of its own
    Empty,
    /// The zone itself
    Apex,
    /// `dns-version`
    Version,
    /// `ns.dns`, the name server of the SOA record
    NameServer,
    /// A Service's own name
    Service(&'z ServiceRecords),
    /// `_port._protocol.<service>`
    Port(&'z ServiceRecords, &'z str, Protocol),
    /// `<host>.<service>`, with the endpoints under that label
    Host(&'z ServiceRecords, &'z [Endpoint]),
    /// `<address>.<namespace>.pod`
    Pod(IpAddr),
}

impl Zone {
    /// A zone without names.
    pub fn new(settings: Settings) -> Self {
        Self {
            serial: settings.serial,
            settings: Arc::new(settings),
            synced: true,
            namespaces: Arc::default(),
            services: Shards::default(),
            reverse: Shards::default(),
        }
    }

    /// A zone of everything in a snapshot.
    pub fn build(settings: Settings, snapshot: &Snapshot) -> Self {
        let mut zone = Self::new(settings);
        let names = snapshot.namespaces.keys().map(|name| key_of_label(name));
        zone.namespaces = Arc::new(names.collect());
        let slices = snapshot.slices_of.keys();
        let orphans = slices.filter(|id| !snapshot.services.contains_key(id));
        for id in snapshot.services.keys().chain(orphans) {
            zone.update_service(snapshot, id);
        }
        zone
    }

    /// Takes in what changed; everything else is left as it is and stays shared with clones.
    pub fn update(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) {
        self.serial = self.serial.wrapping_add(1);
        let namespaces = changed.objects.iter();
        for key in namespaces.filter(|key| key.resource == Resource::NAMESPACES) {
            let exists = snapshot.namespaces.contains_key(&key.name);
            let label = key_of_label(&key.name);
            if exists == self.namespaces.contains(&label) {
                continue;
            }
            let set = Arc::make_mut(&mut self.namespaces);
            if exists {
                set.insert(label);
            } else {
                set.remove(&label);
            }
        }
        for id in &changed.services {
            self.update_service(snapshot, id);
        }
    }

    /// Says whether the zone's objects are known to be all there. Until then a name that is not
    /// found is answered with SERVFAIL, since it may exist.
    pub fn set_synced(&mut self, synced: bool) {
        self.synced = synced;
    }

    /// See [`Zone::set_synced`].
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The domain.
    pub fn name(&self) -> &Name {
        &self.settings.zone
    }

    /// Number of Services, slices without a Service included.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// True when there is no Service.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of one Service.
    pub fn service(&self, id: &NamespacedName) -> Option<&ServiceRecords> {
        self.entry(&service_key(id)).map(Arc::as_ref)
    }

    /// The records of all Services, in order of namespace and name.
    pub fn services(&self) -> Vec<&ServiceRecords> {
        let mut all: Vec<_> = self.services.iter().map(|entry| &*entry.records).collect();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all
    }

    fn update_service(&mut self, snapshot: &Snapshot, id: &NamespacedName) {
        let key = service_key(id);
        let new = plan_service(snapshot, id, &self.settings);
        let old = self.entry(&key).cloned();
        let addresses = |records: Option<&ServiceRecords>| {
            records.map_or_else(Vec::new, ServiceRecords::reverse_addresses)
        };
        let gone = addresses(old.as_deref());
        let come = addresses(new.as_ref());
        let service = Arc::new(id.clone());
        for address in only_in(&gone, &come) {
            let value = reverse(address, &service);
            self.reverse.remove(hash_of(address), &value);
        }
        for address in only_in(&come, &gone) {
            let value = reverse(address, &service);
            self.reverse.insert(hash_of(address), value);
        }
        let at = hash(&key);
        let records = Arc::new(match (new, old) {
            (Some(new), _) => new,
            (None, Some(records)) => {
                self.services.remove(at, &Entry { key, records });
                return;
            }
            (None, None) => return,
        });
        self.services.insert(at, Entry { key, records });
    }

    fn entry(&self, key: &[u8]) -> Option<&Arc<ServiceRecords>> {
        let piece = self.services.piece(hash(key));
        let at = piece.binary_search_by(|entry| (*entry.key).cmp(key)).ok()?;
        Some(&piece[at].records)
    }

    /// The Services that give an address a name: the one whose cluster IP it is, or else all that
    /// have it as an endpoint.
    pub(crate) fn services_at(&self, address: IpAddr) -> Vec<&ServiceRecords> {
        let piece = self.reverse.piece(hash_of(address));
        let from = piece.partition_point(|reverse| reverse.address < address);
        let here = piece[from..]
            .iter()
            .take_while(|reverse| reverse.address == address);
        let found: Vec<_> = here.filter_map(|r| self.service(&r.service)).collect();
        match found.iter().find(|records| records.is_cluster_ip(address)) {
            Some(owner) => vec![owner],
            None => found,
        }
    }

    /// What stands at a name, given in lower case and ending in the zone.
    pub(crate) fn find(&self, name: &[u8]) -> Found<'_> {
        let below = name.len() - self.settings.zone.as_wire().len();
        let mut labels = Labels::of(&name[..below]);
        match labels.pop() {
            None => Found::Apex,
            Some(b"svc") => self.find_service(name, &mut labels),
            Some(b"pod") => self.find_pod(&mut labels),
            Some(b"dns-version") if labels.is_empty() => Found::Version,
            Some(b"dns") if labels.pop() == Some(b"ns") && labels.is_empty() => Found::NameServer,
            Some(_) => Found::Missing,
        }
    }

    fn find_service(&self, name: &[u8], labels: &mut Labels<'_>) -> Found<'_> {
        let Some(namespace) = labels.pop() else {
            return Found::Empty;
        };
        if !self.namespaces.contains(namespace) {
            return Found::Missing;
        }
        let Some(service) = labels.pop() else {
            return Found::Empty;
        };
        // The key is a piece of the name itself.
        let from = labels.length();
        let key = &name[from..from + service.len() + namespace.len() + 2];
        let Some(records) = self.entry(key).filter(|records| records.exists()) else {
            return Found::Missing;
        };
        let Some(third) = labels.pop() else {
            return Found::Service(records);
        };
        if matches!(records.kind, Kind::External(_) | Kind::Address) {
            return Found::Missing;
        }
        let Some(fourth) = labels.pop() else {
            return find_host(records, third);
        };
        if !labels.is_empty() {
            return Found::Missing;
        }
        find_port(records, fourth, third)
    }

    fn find_pod(&self, labels: &mut Labels<'_>) -> Found<'_> {
        match (labels.pop(), labels.pop(), labels.is_empty()) {
            (None, ..) => Found::Empty,
            (Some(namespace), ..) if !self.namespaces.contains(namespace) => Found::Missing,
            (Some(_), None, _) => Found::Empty,
            (Some(_), Some(label), true) => {
                dashed_address(label).map_or(Found::Missing, Found::Pod)
            }
            _ => Found::Missing,
        }
    }
}

fn find_host<'z>(records: &'z ServiceRecords, label: &[u8]) -> Found<'z> {
    let endpoints = records.labelled(label);
    if !endpoints.is_empty() {
        return Found::Host(records, endpoints);
    }
    // `_tcp.<service>` has names below it (RFC 8020) when a port of that protocol has a name.
    let below = protocol(label).is_some_and(|of| {
        records
            .ports
            .iter()
            .any(|p| p.protocol == of && !p.name.is_empty())
    });
    if below { Found::Empty } else { Found::Missing }
}

fn find_port<'z>(records: &'z ServiceRecords, port: &[u8], label: &[u8]) -> Found<'z> {
    let Some((protocol, b'_', name)) = protocol(label)
        .zip(port.split_first())
        .map(|(protocol, (first, name))| (protocol, *first, name))
    else {
        return Found::Missing;
    };
    let mut ports = records.ports.iter();
    let found = ports
        .find(|port| port.protocol == protocol && port.name.as_bytes() == name && !name.is_empty());
    found.map_or(Found::Missing, |port| {
        Found::Port(records, &port.name, protocol)
    })
}

fn protocol(label: &[u8]) -> Option<Protocol> {
    match label {
        b"_tcp" => Some(Protocol::Tcp),
        b"_udp" => Some(Protocol::Udp),
        b"_sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// The labels of a piece of a name, taken from the right.
struct Labels<'n> {
    bytes: &'n [u8],
    starts: [u8; 128],
    count: usize,
}

impl<'n> Labels<'n> {
    fn of(bytes: &'n [u8]) -> Self {
        let (mut starts, mut count, mut at) = ([0; 128], 0, 0);
        while at < bytes.len() && count < starts.len() {
            starts[count] = u8::try_from(at).unwrap_or(u8::MAX);
            count += 1;
            at += usize::from(bytes[at]) + 1;
        }
        Self {
            bytes,
            starts,
            count,
        }
    }

    fn pop(&mut self) -> Option<&'n [u8]> {
        self.count = self.count.checked_sub(1)?;
        let from = usize::from(self.starts[self.count]);
        let label = &self.bytes[from + 1..];
        self.bytes = &self.bytes[..from];
        Some(label)
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Octets of what is left.
    fn length(&self) -> usize {
        self.bytes.len()
    }
}

fn key_of_label(label: &str) -> Box<[u8]> {
    label.to_ascii_lowercase().into_bytes().into()
}

fn service_key(id: &NamespacedName) -> Arc<[u8]> {
    let mut key = Vec::with_capacity(id.name.len() + id.namespace.len() + 2);
    for label in [&id.name, &id.namespace] {
        key.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        key.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    key.into()
}

fn reverse(address: IpAddr, service: &Arc<NamespacedName>) -> Reverse {
    Reverse {
        address,
        service: service.clone(),
    }
}

fn hash_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => hash(&v4.octets()),
        IpAddr::V6(v6) => hash(&v6.octets()),
    }
}

/// The elements of a sorted list that another sorted list lacks.
fn only_in<'a>(list: &'a [IpAddr], other: &'a [IpAddr]) -> impl Iterator<Item = IpAddr> + 'a {
    let mut rest = other.iter().peekable();
    list.iter().copied().filter(move |address| {
        while rest.next_if(|other| **other < *address).is_some() {}
        rest.peek() != Some(&address)
    })
}
