//! Addresses and networks, as Go's `net/netip` reads them.

use crate::value::go_quote;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address without a zone, and no IPv4 address in IPv6 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip(pub(crate) IpAddr);

/// A network; bits beyond the prefix may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub(crate) address: Ip,
    pub(crate) bits: u8,
}

impl Ip {
    /// # Errors
    /// The text for the user.
    pub(crate) fn parse(text: &str) -> Result<Ip, String> {
        let quoted = go_quote(text);
        if let Some((address, zone)) = text.split_once('%')
            && !zone.is_empty()
            && address.parse::<Ipv6Addr>().is_ok()
        {
            let why = format!("IP address {quoted} with zone value is not allowed");
            return Err(why);
        }
        let Ok(address) = text.parse::<IpAddr>() else {
            let why = why_not(text);
            return Err(format!(
                "IP Address {quoted} parse error during conversion from string: \
                 ParseAddr({quoted}): {why}"
            ));
        };
        if is_mapped(&address) {
            return Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"));
        }
        Ok(Ip(address))
    }

    pub(crate) fn octets(self) -> u64 {
        if self.0.is_ipv4() { 4 } else { 16 }
    }

    pub(crate) fn is_link_local_multicast(self) -> bool {
        match self.0 {
            IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
            IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
        }
    }

    pub(crate) fn is_link_local_unicast(self) -> bool {
        match self.0 {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
        }
    }

    pub(crate) fn is_global_unicast(self) -> bool {
        let IpAddr::V4(v4) = self.0 else {
            return !self.is_special();
        };
        v4 != Ipv4Addr::BROADCAST && !self.is_special()
    }

    fn is_special(self) -> bool {
        self.0.is_unspecified()
            || self.0.is_loopback()
            || self.0.is_multicast()
            || self.is_link_local_unicast()
    }

    fn number(self) -> u128 {
        match self.0 {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        }
    }
}

fn is_mapped(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// Why a text is no address.
fn why_not(text: &str) -> String {
    if text.contains(':') {
        return "each group must have 4 or less digits".to_owned();
    }
    if !text.contains('.') {
        return "unable to parse IP".to_owned();
    }
    let fields: Vec<&str> = text.split('.').collect();
    for field in &fields {
        if let Some(bad) = field.chars().find(|c| !c.is_ascii_digit()) {
            let at = text.find(bad).unwrap_or(0);
            let rest = go_quote(&text[at..]);
            return format!("unexpected character (at {rest})");
        }
        if field.len() > 1 && field.starts_with('0') {
            return "IPv4 field has octet with leading zero".to_owned();
        }
        if field.parse::<u32>().is_ok_and(|n| n > 255) {
            return "IPv4 field has value >255".to_owned();
        }
        if field.is_empty() {
            return "IPv4 field must have at least one digit".to_owned();
        }
    }
    if fields.len() < 4 {
        "IPv4 address too short".to_owned()
    } else {
        "IPv4 address too long".to_owned()
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Cidr {
    /// # Errors
    /// The text for the user.
    pub(crate) fn parse(text: &str) -> Result<Cidr, String> {
        let quoted = go_quote(text);
        let prefixed = "network address parse error during conversion from string: ";
        let failed = |why: &str| format!("{prefixed}netip.ParsePrefix({quoted}): {why}");
        let (address, bits) = text.rsplit_once('/').ok_or_else(|| failed("no '/'"))?;
        let Ok(address) = address.parse::<IpAddr>() else {
            let why = why_not(address);
            let inner = go_quote(address);
            return Err(failed(&format!("ParseAddr({inner}): {why}")));
        };
        let shown = go_quote(bits);
        let plain = bits == "0" || !bits.starts_with('0');
        let number = bits.bytes().all(|b| b.is_ascii_digit()) && !bits.is_empty() && plain;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits.parse::<u32>() {
            Ok(bits) if number => u8::try_from(bits).unwrap_or(u8::MAX),
            _ => return Err(failed(&format!("bad bits after slash: {shown}"))),
        };
        if bits > most {
            return Err(failed("prefix length out of range"));
        }
        if is_mapped(&address) {
            return Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"));
        }
        Ok(Cidr {
            address: Ip(address),
            bits,
        })
    }

    fn mask(self) -> u128 {
        let host = match self.address.0 {
            IpAddr::V4(_) => 32 - u32::from(self.bits),
            IpAddr::V6(_) => 128 - u32::from(self.bits),
        };
        u128::MAX.checked_shl(host).unwrap_or(0)
    }

    pub(crate) fn contains(self, ip: Ip) -> bool {
        let mask = self.mask();
        self.address.0.is_ipv4() == ip.0.is_ipv4()
            && self.address.number() & mask == ip.number() & mask
    }

    /// Whether the other network lies in this one.
    pub(crate) fn contains_network(self, other: Cidr) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    /// Without bits beyond the prefix.
    pub(crate) fn masked(self) -> Cidr {
        let number = self.address.number() & self.mask();
        let address = match self.address.0 {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(0))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        Cidr {
            address: Ip(address),
            bits: self.bits,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}
