//! Names that no other server may be asked for (RFC 6761, RFC 7686).
//!
//! The name `localhost` itself is left to the upstream, as CoreDNS does it: stub resolvers never
//! send it. `local` and `home.arpa` are, too: networks serve them.

use crate::name::{Name, is_below};
use crate::rtype;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Seconds that such an answer may be kept.
pub(crate) const TTL: u32 = 30;

const LOCALHOST: &[u8] = b"\x09localhost\0";
const INVALID: &[u8] = b"\x07invalid\0";
const ONION: &[u8] = b"\x05onion\0";

/// The answer to a special name; with the top of its tree where that is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// Below `localhost`: this machine
    Loopback(IpAddr),
    /// Below `localhost`, of another type
    NoData(Name),
    /// There is no such name
    Missing(Name),
}

/// Looks a name up, which is in lower case.
pub(crate) fn find(name: &[u8], qtype: u16) -> Option<Special> {
    let missing = [INVALID, ONION].into_iter().find(|top| is_below(name, top));
    if let Some(top) = missing {
        return Some(Special::Missing(Name::from_checked(top)));
    }
    if !is_below(name, LOCALHOST) || name.len() == LOCALHOST.len() {
        return None;
    }
    Some(match qtype {
        rtype::A => Special::Loopback(Ipv4Addr::LOCALHOST.into()),
        rtype::AAAA => Special::Loopback(Ipv6Addr::LOCALHOST.into()),
        _ => Special::NoData(Name::from_checked(LOCALHOST)),
    })
}
