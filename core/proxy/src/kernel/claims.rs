//! Who gets an address and port that several Services want.

use super::entry::Entry;
use crate::Frontend;
use model::{NamespacedName, Protocol};
use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What can be had only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claimed {
    /// An address with protocol and port
    Address(Frontend),
    /// A NodePort, in IPv4 or not
    NodePort(bool, Protocol, u16),
}

/// Who wants it; the smallest gets it. ClusterIPs come before external addresses, which anyone may
/// write into a Service; then the older Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    external: bool,
    created: Arc<str>,
    pub(super) service: NamespacedName,
}

/// All claims.
#[derive(Default)]
pub(super) struct Claims {
    claims: BTreeMap<Claimed, Claimants>,
}

/// In nearly all cases there is one.
enum Claimants {
    One(Claim),
    Several(BTreeSet<Claim>),
}

impl Claimants {
    fn iter(&self) -> Box<dyn Iterator<Item = &Claim> + '_> {
        match self {
            Self::One(claim) => Box::new(std::iter::once(claim)),
            Self::Several(claims) => Box::new(claims.iter()),
        }
    }

    fn first(&self) -> Option<&Claim> {
        match self {
            Self::One(claim) => Some(claim),
            Self::Several(claims) => claims.first(),
        }
    }
}

impl Claims {
    /// Puts in what a Service claims. All that claim the same, itself included, become rivals, of
    /// whom [`Claims::grant`] says who has what; without rivals everything is granted.
    pub(super) fn add(
        &mut self,
        id: &NamespacedName,
        entry: &Entry,
        rivals: &mut BTreeSet<NamespacedName>,
    ) {
        for (claimed, claim) in claims_of(id, entry) {
            match self.claims.entry(claimed) {
                MapEntry::Vacant(place) => {
                    place.insert(Claimants::One(claim));
                }
                MapEntry::Occupied(mut place) => {
                    let mut claims: BTreeSet<Claim> = place.get().iter().cloned().collect();
                    claims.insert(claim);
                    rivals.extend(claims.iter().map(|claim| claim.service.clone()));
                    place.insert(Claimants::Several(claims));
                }
            }
        }
    }

    /// Takes out what a Service claimed. All that claimed the same become rivals.
    pub(super) fn remove(
        &mut self,
        id: &NamespacedName,
        entry: &Entry,
        rivals: &mut BTreeSet<NamespacedName>,
    ) {
        for (claimed, claim) in claims_of(id, entry) {
            let empty = match self.claims.get_mut(&claimed) {
                None => false,
                Some(Claimants::One(_)) => true,
                Some(Claimants::Several(claims)) => {
                    rivals.extend(claims.iter().map(|claim| claim.service.clone()));
                    claims.remove(&claim);
                    claims.is_empty()
                }
            };
            if empty {
                self.claims.remove(&claimed);
            }
        }
    }

    /// Says in `entry` what the Service got.
    pub(super) fn grant(&self, id: &NamespacedName, entry: &mut Entry) {
        let won = |claimed: Claimed, external: bool| {
            let first = self.claims.get(&claimed).and_then(Claimants::first);
            first.is_some_and(|first| first.service == *id && first.external == external)
        };
        for port in &mut entry.ports {
            port.granted = won(Claimed::Address(port.identity), false);
            let identity = port.identity;
            for external in &mut port.externals {
                let frontend = Frontend {
                    address: external.address,
                    ..identity
                };
                external.granted = won(Claimed::Address(frontend), true);
            }
            if port.node_port != 0 {
                let ipv4 = identity.address.is_ipv4();
                let claimed = Claimed::NodePort(ipv4, identity.protocol, port.node_port);
                port.node_port_granted = won(claimed, true);
            }
        }
    }

    /// Who got it.
    pub(super) fn winner(&self, claimed: Claimed) -> Option<&NamespacedName> {
        let first = self.claims.get(&claimed).and_then(Claimants::first);
        first.map(|claim| &claim.service)
    }
}

fn claims_of(id: &NamespacedName, entry: &Entry) -> impl Iterator<Item = (Claimed, Claim)> {
    with_kind(entry).map(|(claimed, external)| {
        let claim = Claim {
            external,
            created: entry.created.clone(),
            service: id.clone(),
        };
        (claimed, claim)
    })
}

/// Everything that is claimed, and whether for an external address or NodePort.
fn with_kind(entry: &Entry) -> impl Iterator<Item = (Claimed, bool)> {
    entry.ports.iter().flat_map(|port| {
        let own = (Claimed::Address(port.identity), false);
        let externals = port.externals.iter();
        let externals =
            externals.map(|external| (Claimed::Address(port.external(external.address)), true));
        let ipv4 = port.identity.address.is_ipv4();
        let node_port = (port.node_port != 0).then_some((
            Claimed::NodePort(ipv4, port.identity.protocol, port.node_port),
            true,
        ));
        std::iter::once(own).chain(externals).chain(node_port)
    })
}
