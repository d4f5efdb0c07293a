//! The elements that one Service puts into sets and maps.

use super::endpoints::{At, Member};
use super::entry::{Entry, PortPlan};
use super::sets::SetId;
use super::shape::{Choice, Kind, Pick, Shape};
use super::steps::Via;
use super::{NodeSettings, consistent, weights};
use crate::Frontend;
use model::{NamespacedName, Protocol};
use nft::{Data, Element, Family, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest comment that the kernel's tools show.
const COMMENT: usize = 128;

/// Where an element goes.
pub(super) type SetKey = (SetId, Family);

/// What an element carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carry {
    Nothing,
    Data(Data),
    Shape(Shape),
}

/// One element that belongs to one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) set: SetKey,
    pub(super) key: Data,
    pub(super) carry: Carry,
    /// Index of the port plan that the element's comment names; `None` for no comment
    pub(super) port: Option<u32>,
}

/// Something that several Services may want, and is there as long as one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    /// Element of `Hairpin`
    Hairpin(At, Protocol),
    /// Element of `ClusterIps`
    ClusterIp(IpAddr),
    /// A rule for source ranges of this length
    Prefix(Family, u8),
}

/// IP protocol number.
pub(super) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Address, protocol, port.
pub(super) fn frontend_data(frontend: &Frontend) -> Data {
    Data::EMPTY
        .address(frontend.address)
        .protocol(number(frontend.protocol))
        .port(frontend.port)
}

/// Protocol and port.
pub(super) fn node_port_data(protocol: Protocol, port: u16) -> Data {
    Data::EMPTY.protocol(number(protocol)).port(port)
}

/// Endpoint's address, protocol and port.
pub(super) fn endpoint_data(at: At, protocol: Protocol) -> Data {
    let data = Data::EMPTY.address(at.ip);
    data.protocol(number(protocol)).port(at.port)
}

fn with_endpoint(data: Data, at: At) -> Data {
    data.address(at.ip).port(at.port)
}

/// The element that a thing in common stands for, if it is one.
pub(super) fn shared_element(shared: Shared) -> Option<(SetKey, Data)> {
    match shared {
        Shared::Hairpin(at, protocol) => {
            let family = super::steps::family_of(at.ip);
            let data = Data::EMPTY.address(at.ip).address(at.ip);
            let data = data.protocol(number(protocol)).port(at.port);
            Some(((SetId::Hairpin, family), data))
        }
        Shared::ClusterIp(address) => {
            let family = super::steps::family_of(address);
            Some(((SetId::ClusterIps, family), Data::EMPTY.address(address)))
        }
        Shared::Prefix(..) => None,
    }
}

/// An element without value or comment.
pub(super) fn bare(key: Data) -> Element {
    Element {
        key,
        value: Value::None,
        comment: None,
        timeout_ms: 0,
    }
}

impl Item {
    /// The element.
    pub(super) fn element(&self, id: &NamespacedName, entry: &Entry) -> Element {
        let value = match self.carry {
            Carry::Nothing => Value::None,
            Carry::Data(data) => Value::Data(data),
            Carry::Shape(shape) => Value::Data(shape.data()),
        };
        let port = self.port.and_then(|index| entry.ports.get(index as usize));
        Element {
            key: self.key,
            value,
            comment: port.map(|port| comment(id, &port.name)),
            timeout_ms: 0,
        }
    }
}

fn comment(id: &NamespacedName, port: &str) -> Arc<str> {
    let mut text = String::with_capacity(COMMENT);
    text.push_str(&id.namespace);
    text.push('/');
    text.push_str(&id.name);
    if !port.is_empty() {
        text.push(':');
        text.push_str(port);
    }
    // Names of the API are ASCII, but an object may come from anywhere.
    let mut end = text.len().min(COMMENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.into()
}

/// Elements and things in common of one Service, in no particular order.
pub(super) struct Items<'a> {
    settings: &'a NodeSettings,
    pub(super) own: Vec<Item>,
    /// In order
    pub(super) shared: Vec<Shared>,
}

impl<'a> Items<'a> {
    /// Of what the Service was granted.
    pub(super) fn of(entry: &Entry, settings: &'a NodeSettings) -> Self {
        let mut items = Self {
            settings,
            own: Vec::with_capacity(entry.ports.iter().map(expected).sum()),
            shared: Vec::new(),
        };
        for (index, plan) in entry.ports.iter().enumerate() {
            if plan.granted {
                items.add_port(index as u32, plan);
            }
        }
        items.shared.sort_unstable();
        items.shared.dedup();
        items
    }

    fn add_port(&mut self, index: u32, plan: &PortPlan) {
        let identity = frontend_data(&plan.identity);
        self.add_cluster_ip(index, plan);
        self.add_externals(index, plan, identity);
        self.add_node_port(index, plan, identity);
        self.add_slots(SetId::Endpoints, plan, identity, &plan.cluster);
        self.add_slots(SetId::LocalEndpoints, plan, identity, &plan.local);
        if plan.affinity > 0 {
            self.add_valid(SetId::AffinityEndpoints, plan, identity, &plan.cluster);
            self.add_valid(SetId::LocalAffinityEndpoints, plan, identity, &plan.local);
        }
        let protocol = plan.identity.protocol;
        let hairpins = plan.here.iter().map(|at| Shared::Hairpin(*at, protocol));
        self.shared.extend(hairpins);
    }

    fn put(&mut self, set: SetId, family: Family, key: Data, carry: Carry, port: Option<u32>) {
        self.own.push(Item {
            set: (set, family),
            key,
            carry,
            port,
        });
    }

    fn count(&mut self, set: SetId, family: Family, key: Data) {
        if self.settings.counters {
            self.put(set, family, key, Carry::Nothing, None);
        }
    }

    fn add_cluster_ip(&mut self, index: u32, plan: &PortPlan) {
        if !plan.on_cluster_ip {
            return;
        }
        let (family, key) = (plan.family(), frontend_data(&plan.identity));
        let carry = internal(plan);
        self.put(SetId::Services, family, key, carry, Some(index));
        self.count(SetId::Counters, family, key);
        self.shared.push(Shared::ClusterIp(plan.identity.address));
    }

    fn add_externals(&mut self, index: u32, plan: &PortPlan, identity: Data) {
        let family = plan.family();
        let mut guarded = false;
        for external in plan.externals.iter().filter(|external| external.granted) {
            let key = frontend_data(&plan.external(external.address));
            let shape = Shape {
                guarded: external.guarded,
                kind: outside(plan, Via::External),
            };
            let carry = Carry::Shape(shape);
            self.put(SetId::Services, family, key, carry, Some(index));
            self.put(SetId::External, family, key, Carry::Data(identity), None);
            self.count(SetId::Counters, family, key);
            guarded |= external.guarded;
        }
        for range in plan.ranges.iter().flatten().filter(|_| guarded) {
            let key = identity.number(u32::from(range.prefix()));
            let key = key.address(range.base());
            self.put(SetId::SourceRanges, family, key, Carry::Nothing, None);
            self.shared.push(Shared::Prefix(family, range.prefix()));
        }
    }

    fn add_node_port(&mut self, index: u32, plan: &PortPlan, identity: Data) {
        if plan.node_port == 0 || !plan.node_port_granted {
            return;
        }
        let family = plan.family();
        let key = node_port_data(plan.identity.protocol, plan.node_port);
        let carry = Carry::Shape(Shape::new(outside(plan, Via::NodePort)));
        self.put(SetId::NodePorts, family, key, carry, Some(index));
        let identity = Carry::Data(identity);
        self.put(SetId::NodePortIdentities, family, key, identity, None);
        self.count(SetId::NodePortCounters, family, key);
    }

    fn add_slots(&mut self, set: SetId, plan: &PortPlan, identity: Data, members: &[Member]) {
        let family = plan.family();
        let mut put = |slot: usize, at| {
            let key = identity.number(slot as u32);
            let carry = Carry::Data(with_endpoint(Data::EMPTY, at));
            self.put(set, family, key, carry, None);
        };
        if plan.choice == Choice::Random && weights::is_even(members) {
            let all = members.iter().enumerate();
            all.for_each(|(slot, member)| put(slot, member.at));
        } else {
            let all = plan.slots(members).into_iter().enumerate();
            all.for_each(|(slot, at)| put(slot, at));
        }
    }

    fn add_valid(&mut self, set: SetId, plan: &PortPlan, identity: Data, members: &[Member]) {
        let in_slots: BTreeSet<At> = plan.slots(members).into_iter().collect();
        for at in in_slots {
            let key = with_endpoint(identity, at);
            self.put(set, plan.family(), key, Carry::Nothing, None);
        }
    }
}

/// About how many elements a port has.
fn expected(plan: &PortPlan) -> usize {
    let endpoints = plan.cluster.len() + plan.local.len();
    let each = if plan.affinity > 0 { 2 } else { 1 };
    4 + 3 * plan.externals.len() + each * endpoints
}

/// What becomes of traffic to the ClusterIP.
fn internal(plan: &PortPlan) -> Carry {
    let members = if plan.internal_local {
        &plan.local
    } else {
        &plan.cluster
    };
    match (plan.any, slot_count(plan, members)) {
        (false, _) => Carry::Shape(Shape::new(Kind::Reject(plan.family()))),
        // Without endpoints here, but with some elsewhere: only `Local` comes to this.
        (true, 0) => Carry::Shape(Shape::new(Kind::Drop(plan.family()))),
        (true, slots) => {
            let mut pick = pick(plan, Via::Address, slots);
            pick.local = plan.internal_local;
            Carry::Shape(Shape::new(Kind::Pick(pick)))
        }
    }
}

/// What becomes of traffic to external addresses and NodePorts.
fn outside(plan: &PortPlan, via: Via) -> Kind {
    let slots = slot_count(plan, &plan.cluster);
    if slots == 0 {
        return Kind::Reject(plan.family());
    }
    let mut pick = pick(plan, via, slots);
    if plan.external_local {
        return Kind::Outside(pick, slot_count(plan, &plan.local));
    }
    // The endpoint may be on another node, and its answer has to come back this way.
    pick.masquerade = true;
    Kind::Pick(pick)
}

fn pick(plan: &PortPlan, via: Via, slots: u32) -> Pick {
    Pick {
        family: plan.family(),
        via,
        local: false,
        slots,
        choice: plan.choice,
        affinity: plan.affinity,
        masquerade: false,
    }
}

/// Number of slots that these endpoints fill.
pub(super) fn slot_count(plan: &PortPlan, members: &[Member]) -> u32 {
    if members.is_empty() {
        return 0;
    }
    match plan.choice {
        Choice::Random if weights::is_even(members) => members.len() as u32,
        Choice::Random => weights::reduced(members).iter().sum::<usize>() as u32,
        Choice::Source | Choice::SourceAndPort => consistent::SLOTS,
    }
}
