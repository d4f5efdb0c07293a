//! The way of a packet through the hooks.

use super::conntrack::{Place, Tracked, Tuple, track};
use super::machine::{End, Machine};
use super::world::LOOPBACK;
use super::{Choices, Connection, Fate, Origin, Outcome, Packet, Step, World};
use crate::{ChainKind, CtDirection, Hook, Name, Ruleset};
use std::net::SocketAddr;

/// Priority of connection tracking (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK: i64 = -200;
/// Priority of destination NAT, whatever priority its chains have (`NF_IP_PRI_NAT_DST`).
const NAT_DST: i64 = -100;
/// Priority of source NAT (`NF_IP_PRI_NAT_SRC`).
const NAT_SRC: i64 = 100;

/// Which side of a packet NAT rewrites at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// A packet on its way.
pub(super) struct Flight<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) world: &'a mut World,
    pub(super) choices: &'a mut Choices,
    pub(super) packet: Packet,
    pub(super) tracked: Tracked,
    /// The connection that this packet opens, until it is confirmed
    pub(super) fresh: Option<Connection>,
    pub(super) input: Option<Name>,
    pub(super) output: Option<Name>,
    pub(super) path: Vec<Step>,
    /// Sides whose chains have been asked
    nat_done: [bool; 2],
    /// A chain has rewritten the side that is being asked
    nat_set: bool,
}

/// What a hook or a chain ended with, other than `accept`.
type Stop = Fate;

pub(super) fn walk(
    ruleset: &Ruleset,
    world: &mut World,
    packet: &Packet,
    choices: &mut Choices,
) -> Outcome {
    let mut flight = Flight {
        ruleset,
        world,
        choices,
        packet: packet.clone(),
        tracked: Tracked::Not,
        fresh: None,
        input: None,
        output: None,
        path: Vec::new(),
        nat_done: [false; 2],
        nat_set: false,
    };
    let fate = match &packet.origin {
        Origin::Interface(name) => flight.arrive(name.clone()),
        Origin::Local => flight.leave(),
    };
    Outcome {
        fate: fate.unwrap_or_else(|stop| stop),
        mark: flight.packet.mark,
        path: flight.path,
    }
}

impl Flight<'_> {
    fn arrive(&mut self, interface: Name) -> Result<Fate, Stop> {
        self.input = Some(interface);
        self.hook(Hook::Prerouting)?;
        let destination = self.packet.destination.ip();
        if destination.is_loopback() && self.input.as_deref() != Some(LOOPBACK) {
            // A martian: loopback addresses do not come in from outside.
            return Err(Fate::Dropped);
        }
        if self.world.is_local(destination) {
            return self.deliver();
        }
        self.output = Some(self.routed()?);
        self.hook(Hook::Forward)?;
        self.hook(Hook::Postrouting)?;
        self.confirm();
        self.forwarded()
    }

    fn deliver(&mut self) -> Result<Fate, Stop> {
        self.hook(Hook::Input)?;
        self.confirm();
        Ok(Fate::Delivered {
            source: self.packet.source,
            destination: self.packet.destination,
        })
    }

    /// A packet of this machine's own. One that stays here passes `lo` and arrives again.
    fn leave(&mut self) -> Result<Fate, Stop> {
        self.output = Some(self.routed()?);
        self.hook(Hook::Output)?;
        self.output = Some(self.routed()?);
        self.hook(Hook::Postrouting)?;
        self.confirm();
        if self.output.as_deref() != Some(LOOPBACK) {
            return self.forwarded();
        }
        self.output = None;
        self.arrive(LOOPBACK.into())
    }

    fn forwarded(&self) -> Result<Fate, Stop> {
        let interface = self.output.clone().ok_or(Fate::Unroutable)?;
        Ok(Fate::Forwarded {
            source: self.packet.source,
            destination: self.packet.destination,
            interface,
        })
    }

    fn routed(&self) -> Result<Name, Stop> {
        let destination = self.packet.destination.ip();
        if self.world.is_local(destination) {
            return Ok(LOOPBACK.into());
        }
        let inside = self.packet.source.ip().is_loopback();
        let route = self.world.route(destination).filter(|_| !inside);
        route.cloned().ok_or(Fate::Unroutable)
    }

    /// Everything that is registered at a hook, lowest priority first.
    fn hook(&mut self, hook: Hook) -> Result<(), Stop> {
        self.path.push(Step::Hook(hook));
        let mut filters: Vec<(i32, &Name)> = chains(self.ruleset, hook, ChainKind::Filter);
        filters.reverse();
        let (first, tracks) = match hook {
            Hook::Prerouting | Hook::Output => (CONNTRACK, true),
            _ => (i64::MIN, false),
        };
        let nat = match hook {
            Hook::Prerouting | Hook::Output => Some((NAT_DST, Side::Destination)),
            Hook::Postrouting | Hook::Input => Some((NAT_SRC, Side::Source)),
            Hook::Forward => None,
        };
        self.filters(&mut filters, first)?;
        if tracks && self.tracked == Tracked::Not {
            self.track();
        }
        if let Some((priority, side)) = nat {
            self.filters(&mut filters, priority)?;
            self.nat(hook, side)?;
        }
        self.filters(&mut filters, i64::MAX)
    }

    /// Filter chains below a priority; what is left stays in the list.
    fn filters(&mut self, chains: &mut Vec<(i32, &Name)>, below: i64) -> Result<(), Stop> {
        while let Some((_, name)) = chains.pop_if(|(priority, _)| i64::from(*priority) < below) {
            self.chain(name)?;
        }
        Ok(())
    }

    fn chain(&mut self, name: &Name) -> Result<(), Stop> {
        match Machine::new(self).run(name) {
            End::Accept => Ok(()),
            End::Drop => Err(Fate::Dropped),
            End::Reject(with) => Err(Fate::Refused(with)),
        }
    }

    fn track(&mut self) {
        self.tracked = track(&mut self.world.connections, &self.packet);
        if let Tracked::Of(Place::New, _) = self.tracked {
            self.fresh = Some(Connection::begin(&self.packet));
        }
    }

    /// The connection of this packet.
    pub(super) fn connection(&self) -> Option<(&Connection, CtDirection)> {
        match self.tracked {
            Tracked::Of(Place::New, way) => self.fresh.as_ref().map(|fresh| (fresh, way)),
            Tracked::Of(Place::Known(at), way) => {
                self.world.connections.get(at).map(|known| (known, way))
            }
            _ => None,
        }
    }

    /// NAT chains see the packet that opens a connection, once for each side, until one of them
    /// rewrites; afterwards each packet is rewritten as the connection says (`nf_nat_inet_fn`).
    fn nat(&mut self, hook: Hook, side: Side) -> Result<(), Stop> {
        if self.connection().is_none() {
            return Ok(());
        }
        let opens = self.tracked == Tracked::Of(Place::New, CtDirection::Original);
        let done = &mut self.nat_done[side as usize];
        if opens && !std::mem::replace(done, true) {
            self.nat_set = false;
            for (_, name) in chains(self.ruleset, hook, ChainKind::Nat) {
                self.chain(name)?;
                if self.nat_set {
                    break;
                }
            }
            self.keep_apart(side);
        }
        self.rewrite(side);
        Ok(())
    }

    /// Without a rule the source stays, unless answers could not be told apart.
    fn keep_apart(&mut self, side: Side) {
        if let (Side::Source, Some(fresh)) = (side, self.fresh.as_mut()) {
            fresh.rewrite_source(fresh.reply.destination.ip(), &self.world.connections);
        }
    }

    fn rewrite(&mut self, side: Side) {
        let Some((connection, way)) = self.connection() else {
            return;
        };
        let Tuple {
            source,
            destination,
            ..
        } = connection.rewritten(way);
        match side {
            Side::Source => self.packet.source = source,
            Side::Destination => self.packet.destination = destination,
        }
    }

    /// `dnat`: from now on answers come from there.
    pub(super) fn dnat(&mut self, to: SocketAddr) {
        if let Some(fresh) = &mut self.fresh {
            fresh.rewrite_destination(to);
            self.nat_set = true;
        }
    }

    /// `masquerade`: from now on answers go to the output interface's address. False when there
    /// is none.
    pub(super) fn masquerade(&mut self) -> bool {
        let (Some(fresh), Some(output)) = (self.fresh.as_mut(), self.output.as_ref()) else {
            return false;
        };
        let like = self.packet.destination.ip();
        let Some(address) = self.world.masquerade_address(output, like) else {
            return false;
        };
        fresh.rewrite_source(address, &self.world.connections);
        self.nat_set = true;
        true
    }

    /// The packet got through, so its connection is there for the next one.
    fn confirm(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            let at = self.world.connections.len();
            self.world.connections.push(fresh);
            self.tracked = Tracked::Of(Place::Known(at), CtDirection::Original);
        }
    }
}

/// Base chains of a hook in order of priority, then by name.
fn chains(ruleset: &Ruleset, hook: Hook, kind: ChainKind) -> Vec<(i32, &Name)> {
    let chains = ruleset.chains.iter().filter_map(|(name, chain)| {
        let base = chain
            .base
            .filter(|base| base.hook == hook && base.kind == kind);
        base.map(|base| (base.priority, name))
    });
    let mut chains: Vec<_> = chains.collect();
    chains.sort_unstable();
    chains
}
