//! Connections and what NAT does to their packets.

use super::{Packet, tcp};
use crate::CtDirection;
use std::net::{IpAddr, SocketAddr};

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// IP protocol number
    pub protocol: u8,
    /// Source
    pub source: SocketAddr,
    /// Destination
    pub destination: SocketAddr,
}

impl Tuple {
    /// Of a packet as it is now.
    pub fn of(packet: &Packet) -> Self {
        Self {
            protocol: packet.protocol,
            source: packet.source,
            destination: packet.destination,
        }
    }

    /// The way back.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self {
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
        }
    }
}

/// One tracked connection. NAT is the difference between `reply` and the inverse of `original`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// As the first packet came
    pub original: Tuple,
    /// As answers come
    pub reply: Tuple,
    /// An answer was seen
    pub replied: bool,
    /// Mark of the connection
    pub mark: u32,
}

impl Connection {
    /// A new one without NAT.
    pub(super) fn begin(packet: &Packet) -> Self {
        let original = Tuple::of(packet);
        Self {
            original,
            reply: original.inverse(),
            replied: false,
            mark: 0,
        }
    }

    /// The tuple of a direction.
    pub fn tuple(&self, direction: CtDirection) -> Tuple {
        match direction {
            CtDirection::Original => self.original,
            CtDirection::Reply => self.reply,
        }
    }

    /// True when the destination was rewritten.
    pub fn is_dnat(&self) -> bool {
        self.reply.source != self.original.destination
    }

    /// True when the source was rewritten.
    pub fn is_snat(&self) -> bool {
        self.reply.destination != self.original.source
    }

    /// How a packet of that direction looks once it is rewritten on both sides.
    pub(super) fn rewritten(&self, direction: CtDirection) -> Tuple {
        match direction {
            CtDirection::Original => self.reply.inverse(),
            CtDirection::Reply => self.original.inverse(),
        }
    }

    /// Sends answers to another source; takes the next free port when two connections would not
    /// be told apart (`get_unique_tuple`).
    pub(super) fn rewrite_source(&mut self, address: IpAddr, others: &[Self]) {
        let port = self.reply.destination.port();
        for step in 0..=u16::MAX {
            let port = port.wrapping_add(step);
            self.reply.destination = SocketAddr::new(address, port);
            let mut others = others.iter();
            let taken = others.any(|other| [other.reply, other.original].contains(&self.reply));
            if !taken && (port != 0 || step == 0) {
                return;
            }
        }
    }

    /// Lets answers come from another place.
    pub(super) fn rewrite_destination(&mut self, to: SocketAddr) {
        self.reply.source = to;
    }
}

/// What tracking says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracked {
    /// Not looked at yet
    Not,
    /// A rule said `notrack`
    Untracked,
    /// Belongs to no connection and opens none
    Invalid,
    /// Number in the list of connections, or the one that is being made
    Of(Place, CtDirection),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the world's list
    Known(usize),
    /// Not confirmed yet
    New,
}

/// Finds the connection of a packet, or says that it opens one.
pub(super) fn track(connections: &mut [Connection], packet: &Packet) -> Tracked {
    let tuple = Tuple::of(packet);
    for (at, connection) in connections.iter_mut().enumerate() {
        if connection.original == tuple {
            return Tracked::Of(Place::Known(at), CtDirection::Original);
        }
        if connection.reply == tuple {
            connection.replied = true;
            return Tracked::Of(Place::Known(at), CtDirection::Reply);
        }
    }
    if packet.protocol == 6
        && packet.flags & (tcp::RST | tcp::FIN) != 0
        && packet.flags & tcp::SYN == 0
    {
        return Tracked::Invalid;
    }
    Tracked::Of(Place::New, CtDirection::Original)
}
