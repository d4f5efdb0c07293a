//! Packets and the bytes that rules read of them.

use crate::{Family, Name, PayloadBase};
use std::net::{IpAddr, SocketAddr};

/// Bits of the TCP flags byte (RFC 9293, section 3.1).
pub mod tcp {
    /// No more data
    pub const FIN: u8 = 1;
    /// Opens
    pub const SYN: u8 = 2;
    /// Breaks off
    pub const RST: u8 = 4;
    /// Acknowledges
    pub const ACK: u8 = 16;
}

/// Types of echo messages (RFC 792, RFC 4443), which stand in the port of a packet's source.
pub mod icmp {
    /// Echo of IPv4
    pub const ECHO: u8 = 8;
    /// Echo of IPv6
    pub const ECHO6: u8 = 128;
}

/// Where a packet comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It came in by that interface
    Interface(Name),
    /// A process of this machine sent it
    Local,
}

/// One packet, as far as rules read it. Both addresses are of one family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    /// Where it comes from
    pub origin: Origin,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP, 1 ICMP, 58 ICMPv6
    pub protocol: u8,
    /// Source; the port of ICMP is the identifier of an echo
    pub source: SocketAddr,
    /// Destination; the port of ICMP is the identifier again
    pub destination: SocketAddr,
    /// Packet mark
    pub mark: u32,
    /// TCP flags, see [`tcp`]; the type of an ICMP message
    pub flags: u8,
}

impl Packet {
    /// A TCP segment that opens a connection.
    pub fn tcp(origin: Origin, source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            origin,
            protocol: 6,
            source,
            destination,
            mark: 0,
            flags: tcp::SYN,
        }
    }

    /// A UDP datagram.
    pub fn udp(origin: Origin, source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            protocol: 17,
            flags: 0,
            ..Self::tcp(origin, source, destination)
        }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        match self.destination.ip() {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The bytes that count from that base.
    pub(super) fn header(&self, base: PayloadBase) -> Vec<u8> {
        match (base, self.family()) {
            (PayloadBase::Network, Family::Ipv4) => self.ipv4(),
            (PayloadBase::Network, Family::Ipv6) => self.ipv6(),
            (PayloadBase::Transport, _) => self.transport(),
        }
    }

    fn ipv4(&self) -> Vec<u8> {
        let length = 20 + self.transport().len() as u16;
        let [high, low] = length.to_be_bytes();
        let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, self.protocol, 0, 0];
        push_address(&mut header, self.source.ip());
        push_address(&mut header, self.destination.ip());
        header
    }

    fn ipv6(&self) -> Vec<u8> {
        let [high, low] = (self.transport().len() as u16).to_be_bytes();
        let mut header = vec![0x60, 0, 0, 0, high, low, self.protocol, 64];
        push_address(&mut header, self.source.ip());
        push_address(&mut header, self.destination.ip());
        header
    }

    /// The header of the transport protocol, with zeros for what no rule asks for.
    fn transport(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(20);
        if matches!(self.protocol, 1 | 58) {
            header.extend([self.flags, 0, 0, 0]);
            header.extend(self.source.port().to_be_bytes());
            header.extend([0, 1]);
            return header;
        }
        header.extend(self.source.port().to_be_bytes());
        header.extend(self.destination.port().to_be_bytes());
        match self.protocol {
            6 => {
                header.extend([0; 8]);
                header.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
            }
            17 => header.extend([0, 8, 0, 0]),
            132 => header.extend([0; 8]),
            _ => header.clear(),
        }
        header
    }
}

fn push_address(header: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => header.extend(address.octets()),
        IpAddr::V6(address) => header.extend(address.octets()),
    }
}
