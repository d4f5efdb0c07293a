//! The maps that programs look things up in, and keeping them in step.

use super::HooksError;
use super::layout::{self, Layout};
use super::sys::{self, MapKind};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// An address and port that connections are led from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// Address
    pub address: IpAddr,
    /// IP protocol number: 6 or 17; others are never led
    pub protocol: u8,
    /// Port
    pub port: u16,
}

/// Most entries of the maps, for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Frontends; those beyond are left to the rules
    pub frontends: u32,
    /// Slots of all frontends together
    pub slots: u32,
    /// Sockets whose peers are remembered; the longest unused are forgotten first
    pub sockets: u32,
}

impl Default for Room {
    /// For 65,536 frontends with 262,144 slots and as many sockets as frontends, in tens of
    /// megabytes of the kernel's memory.
    fn default() -> Self {
        Self {
            frontends: 65_536,
            slots: 262_144,
            sockets: 65_536,
        }
    }
}

/// The maps of one family.
#[derive(Debug)]
pub(super) struct Maps {
    layout: Layout,
    frontends: OwnedFd,
    slots: OwnedFd,
    peers: OwnedFd,
    flows: OwnedFd,
    /// Slots of each frontend that is in the maps
    held: BTreeMap<Frontend, u32>,
}

impl Maps {
    pub(super) fn new(layout: Layout, room: Room) -> Result<Self, HooksError> {
        let map = |kind, key: usize, value: usize, entries: u32| {
            sys::map(kind, key as u32, value as u32, entries).map_err(|error| HooksError::Refused {
                what: "make a map".to_owned(),
                error,
            })
        };
        let (frontend, endpoint) = (layout.frontend(), layout.endpoint());
        Ok(Self {
            layout,
            frontends: map(MapKind::Hash, frontend, 4, room.frontends)?,
            slots: map(MapKind::Hash, layout.slot(), endpoint, room.slots)?,
            peers: map(MapKind::Lru, layout.socket(), endpoint, room.sockets)?,
            flows: map(MapKind::Lru, layout.socket(), 4 + endpoint, room.sockets)?,
            held: BTreeMap::new(),
        })
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn frontends(&self) -> &OwnedFd {
        &self.frontends
    }

    pub(super) fn slots(&self) -> &OwnedFd {
        &self.slots
    }

    pub(super) fn peers(&self) -> &OwnedFd {
        &self.peers
    }

    pub(super) fn flows(&self) -> &OwnedFd {
        &self.flows
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Leads a frontend to other endpoints. A program that runs meanwhile finds an old one, a new
    /// one, or none and leaves the connection to the rules.
    pub(super) fn set(
        &mut self,
        frontend: Frontend,
        endpoints: &[SocketAddr],
    ) -> Result<(), HooksError> {
        let key = layout::frontend(frontend.address, frontend.protocol, frontend.port);
        let same = |endpoint: &&SocketAddr| endpoint.is_ipv4() == frontend.address.is_ipv4();
        let endpoints: Vec<_> = endpoints.iter().filter(same).collect();
        let before = self.held.get(&frontend).copied().unwrap_or_default();
        let filled = self.fill(&key, &endpoints, before);
        match filled {
            Ok(()) if !endpoints.is_empty() => {
                self.held.insert(frontend, endpoints.len() as u32);
                Ok(())
            }
            done => {
                // Without the frontend nothing is led, whatever slots there are.
                self.held.remove(&frontend);
                let most = before.max(endpoints.len() as u32);
                let removed = delete(&self.frontends, &key);
                (0..most).try_for_each(|slot| delete(&self.slots, &slot_key(&key, slot)))?;
                done.and(removed)
            }
        }
    }

    fn fill(&self, key: &[u8], endpoints: &[&SocketAddr], before: u32) -> Result<(), HooksError> {
        let count = endpoints.len() as u32;
        if count < before && count > 0 {
            update(&self.frontends, key, &count.to_ne_bytes())?;
        }
        for (slot, endpoint) in endpoints.iter().enumerate() {
            let value = layout::endpoint(endpoint.ip(), endpoint.port());
            update(&self.slots, &slot_key(key, slot as u32), &value)?;
        }
        if count > before {
            update(&self.frontends, key, &count.to_ne_bytes())?;
        }
        (count..before).try_for_each(|slot| delete(&self.slots, &slot_key(key, slot)))
    }
}

fn slot_key(frontend: &[u8], slot: u32) -> Vec<u8> {
    [frontend, &slot.to_ne_bytes()].concat()
}

fn update(map: &OwnedFd, key: &[u8], value: &[u8]) -> Result<(), HooksError> {
    sys::update(map, key, value).map_err(|error| HooksError::Refused {
        what: "put an entry into a map".to_owned(),
        error,
    })
}

/// Deletes an entry, which may be missing.
fn delete(map: &OwnedFd, key: &[u8]) -> Result<(), HooksError> {
    match sys::delete(map, key) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(HooksError::Refused {
            what: "delete an entry of a map".to_owned(),
            error,
        }),
        _ => Ok(()),
    }
}
