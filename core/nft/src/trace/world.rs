//! What surrounds a ruleset: addresses, routes, connections, and what rules remember.

use super::Connection;
use crate::{Data, Name, Set, SetSpec, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One interface. Loopback needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name
    pub name: Name,
    /// Its addresses; the first of a family is what masquerading takes
    pub addresses: Vec<IpAddr>,
}

/// Addresses that are reached by an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// First address
    pub network: IpAddr,
    /// Number of bits of the network; 0 for the default route
    pub prefix: u8,
    /// Name of the interface
    pub interface: Name,
}

/// An element that a rule added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicElement {
    /// Value
    pub value: Value,
    /// Time of its end in milliseconds of [`World::now_ms`]; `None` for never
    pub expires_ms: Option<u64>,
}

/// One machine with its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Interfaces besides loopback
    pub interfaces: Vec<Interface>,
    /// Routes; the longest one that fits counts
    pub routes: Vec<Route>,
    /// Connections
    pub connections: Vec<Connection>,
    /// Elements of dynamic sets, by set and key
    pub dynamic: BTreeMap<Name, BTreeMap<Data, DynamicElement>>,
    /// The time in milliseconds
    pub now_ms: u64,
}

/// The kernel's size of a set that rules change and that has none (`nft_dynset_init`).
const DYNAMIC_SIZE: usize = 0xffff;

impl World {
    /// True for addresses of this machine.
    pub fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self
                .interfaces
                .iter()
                .any(|interface| interface.addresses.contains(&address))
    }

    /// Name of the interface by which an address is reached.
    pub fn route(&self, address: IpAddr) -> Option<&Name> {
        let fits = self.routes.iter();
        let fits = fits.filter(|route| within(address, route.network, route.prefix));
        let best = fits.max_by_key(|route| route.prefix);
        best.map(|route| &route.interface)
    }

    /// What `fib … type` gives (`RTN_…` of `rtnetlink.h`).
    pub(super) fn address_type(&self, address: IpAddr) -> u32 {
        const UNICAST: u32 = 1;
        const LOCAL: u32 = 2;
        const BROADCAST: u32 = 3;
        const MULTICAST: u32 = 5;
        const UNREACHABLE: u32 = 7;
        match address {
            address if self.is_local(address) => LOCAL,
            IpAddr::V4(Ipv4Addr::BROADCAST) => BROADCAST,
            address if address.is_multicast() => MULTICAST,
            address if self.route(address).is_some() => UNICAST,
            _ => UNREACHABLE,
        }
    }

    /// The source address that masquerading takes for packets that leave by an interface.
    pub(super) fn masquerade_address(&self, interface: &str, like: IpAddr) -> Option<IpAddr> {
        let of = |interface: &Interface| {
            let mut addresses = interface.addresses.iter();
            addresses
                .find(|own| own.is_ipv4() == like.is_ipv4())
                .copied()
        };
        if interface == LOOPBACK {
            return Some(match like {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let mut interfaces = self.interfaces.iter();
        let own = interfaces.find(|own| &*own.name == interface).and_then(of);
        own.or_else(|| self.interfaces.iter().find_map(of))
    }

    /// The value of a key in a set, whoever put it there.
    pub(super) fn find<'a>(&'a self, name: &Name, set: &'a Set, key: &Data) -> Option<&'a Value> {
        if !set.spec.dynamic {
            return set.elements.get(key).map(|element| &element.value);
        }
        let element = self.dynamic.get(name)?.get(key)?;
        let lives = element.expires_ms.is_none_or(|end| end > self.now_ms);
        lives.then_some(&element.value)
    }

    /// Adds an element; with `refresh` one that is there begins its life anew. False when the set
    /// is full.
    pub(super) fn add(&mut self, name: &Name, spec: &SetSpec, new: New) -> bool {
        let now = self.now_ms;
        let life = if new.timeout_ms > 0 {
            new.timeout_ms
        } else {
            spec.timeout_ms
        };
        let expires_ms = (life > 0).then(|| now.saturating_add(life));
        let elements = self.dynamic.entry(name.clone()).or_default();
        elements.retain(|_, element| element.expires_ms.is_none_or(|end| end > now));
        if let Some(old) = elements.get_mut(&new.key) {
            if new.refresh && old.expires_ms.is_some() {
                old.expires_ms = expires_ms;
            }
            return true;
        }
        let size = if spec.size > 0 {
            spec.size as usize
        } else {
            DYNAMIC_SIZE
        };
        if elements.len() >= size {
            return false;
        }
        let value = new.value;
        elements.insert(new.key, DynamicElement { value, expires_ms });
        true
    }

    /// Removes an element.
    pub(super) fn remove(&mut self, name: &Name, key: &Data) {
        if let Some(elements) = self.dynamic.get_mut(name) {
            elements.remove(key);
        }
    }
}

/// Name of the loopback interface.
pub(super) const LOOPBACK: &str = "lo";

/// An element that a rule adds.
pub(super) struct New {
    pub(super) key: Data,
    pub(super) value: Value,
    pub(super) timeout_ms: u64,
    pub(super) refresh: bool,
}

fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= prefix.min(32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= prefix.min(128)
        }
        _ => false,
    }
}
