//! Entries, as `linux/netfilter/nfnetlink_conntrack.h` lays them out.

use crate::netlink::{Attrs, Message, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of `struct nfgenmsg`.
pub(super) const NFGENMSG: usize = 4;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
/// `CTA_ID`
pub(super) const ID: u16 = 12;
/// `CTA_ZONE`
pub(super) const ZONE: u16 = 18;
const FILTER: u16 = 25;
const FILTER_ORIG_FLAGS: u16 = 1;
const FILTER_REPLY_FLAGS: u16 = 2;
/// `CTA_FILTER_FLAG(CTA_PROTO_NUM)`
const FILTER_PROTO_NUM: u32 = 1 << 3;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V4_DST: u16 = 2;
const IP_V6_SRC: u16 = 3;
const IP_V6_DST: u16 = 4;
const PROTO_NUM: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;

/// Addresses of a connection in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Where packets come from
    pub source: IpAddr,
    /// Where they go
    pub destination: IpAddr,
    /// IP protocol number
    pub protocol: u8,
    /// Source port; zero for protocols without
    pub source_port: u16,
    /// Destination port; zero for protocols without
    pub destination_port: u16,
}

/// What the kernel remembers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As the first packet came, before any rewriting
    pub original: Tuple,
    /// As answers come, before they are rewritten back: its source is the endpoint
    pub reply: Tuple,
    /// Bits of `enum ip_conntrack_status`
    pub status: u32,
    /// Mark of the connection
    pub mark: u32,
    /// Seconds until it is forgotten, if nothing comes
    pub timeout: u32,
    /// Number that tells it from others with the same addresses
    pub id: u32,
    /// Zone
    pub zone: u16,
}

/// The entry of a message; `None` for protocols whose addresses read differently.
pub(super) fn decode(message: &Message<'_>) -> Option<Entry> {
    let attrs = message.attrs(NFGENMSG);
    let number = |kind| attrs.find(kind).and_then(|attr| attr.be32());
    let zone = attrs.find(ZONE).and_then(|zone| zone.be16());
    Some(Entry {
        original: read_tuple(attrs.find(TUPLE_ORIG)?.nested())?,
        reply: read_tuple(attrs.find(TUPLE_REPLY)?.nested())?,
        status: number(STATUS).unwrap_or_default(),
        mark: number(MARK).unwrap_or_default(),
        timeout: number(TIMEOUT).unwrap_or_default(),
        id: number(ID).unwrap_or_default(),
        zone: zone.unwrap_or_default(),
    })
}

fn read_tuple(attrs: Attrs<'_>) -> Option<Tuple> {
    let ip = attrs.find(TUPLE_IP)?.nested();
    let proto = attrs.find(TUPLE_PROTO)?.nested();
    let port = |kind| proto.find(kind).and_then(|port| port.be16());
    let address = |v4, v6| {
        let v4 = || Some(IpAddr::from(Ipv4Addr::from(bytes::<4>(ip, v4)?)));
        let v6 = || Some(IpAddr::from(Ipv6Addr::from(bytes::<16>(ip, v6)?)));
        v4().or_else(v6)
    };
    Some(Tuple {
        source: address(IP_V4_SRC, IP_V6_SRC)?,
        destination: address(IP_V4_DST, IP_V6_DST)?,
        protocol: proto.find(PROTO_NUM)?.u8()?,
        source_port: port(PROTO_SRC_PORT).unwrap_or_default(),
        destination_port: port(PROTO_DST_PORT).unwrap_or_default(),
    })
}

fn bytes<const N: usize>(attrs: Attrs<'_>, kind: u16) -> Option<[u8; N]> {
    attrs.find(kind)?.data.try_into().ok()
}

/// Writes the addresses of the original direction.
pub(super) fn write_tuple(writer: &mut Writer, tuple: &Tuple) {
    write(writer, TUPLE_ORIG, tuple);
}

/// Writes the addresses of answers.
pub(super) fn write_reply(writer: &mut Writer, tuple: &Tuple) {
    write(writer, TUPLE_REPLY, tuple);
}

fn write(writer: &mut Writer, direction: u16, tuple: &Tuple) {
    writer.nest(direction, |writer| {
        writer.nest(TUPLE_IP, |writer| {
            address(writer, tuple.source, IP_V4_SRC, IP_V6_SRC);
            address(writer, tuple.destination, IP_V4_DST, IP_V6_DST);
        });
        writer.nest(TUPLE_PROTO, |writer| {
            writer.u8(PROTO_NUM, tuple.protocol);
            writer.be16(PROTO_SRC_PORT, tuple.source_port);
            writer.be16(PROTO_DST_PORT, tuple.destination_port);
        });
    });
}

/// Asks for entries of one protocol only.
pub(super) fn write_filter(writer: &mut Writer, protocol: u8) {
    writer.nest(TUPLE_ORIG, |writer| {
        writer.nest(TUPLE_PROTO, |writer| writer.u8(PROTO_NUM, protocol));
    });
    writer.nest(FILTER, |writer| {
        writer.u32(FILTER_ORIG_FLAGS, FILTER_PROTO_NUM);
        writer.u32(FILTER_REPLY_FLAGS, 0);
    });
}

fn address(writer: &mut Writer, address: IpAddr, v4: u16, v6: u16) {
    match address {
        IpAddr::V4(address) => writer.attr(v4, &address.octets()),
        IpAddr::V6(address) => writer.attr(v6, &address.octets()),
    }
}
