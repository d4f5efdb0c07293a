//! Address ranges.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses, `10.96.0.0/16`; host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CidrError(String);

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CidrError {}

impl Cidr {
    /// The range that holds `address` with `prefix` leading bits.
    ///
    /// # Errors
    /// When the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix > width {
            return Err(CidrError(format!("prefix length {prefix} is over {width}")));
        }
        let shift = u32::from(width - prefix);
        let base = from_bits(address.is_ipv4(), cut(bits(address), shift));
        Ok(Self { base, prefix })
    }

    /// First address of the range.
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// Number of leading bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the range is of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.base.is_ipv4()
    }

    /// Number of addresses, at most `u128::MAX`.
    pub fn size(&self) -> u128 {
        let width = if self.is_ipv4() { 32 } else { 128 };
        1u128
            .checked_shl(u32::from(width - self.prefix))
            .unwrap_or(u128::MAX)
    }

    /// Whether `address` lies in the range; never for the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4()
            && Self::new(address, self.prefix).is_ok_and(|range| range.base == self.base)
    }

    /// The `n`th address, counted from the base; `None` past the end.
    pub fn nth(&self, n: u128) -> Option<IpAddr> {
        (n < self.size()).then(|| from_bits(self.is_ipv4(), bits(self.base) + n))
    }

    /// How far `address` lies from the base; `None` outside.
    pub fn index(&self, address: IpAddr) -> Option<u128> {
        self.contains(address)
            .then(|| bits(address) - bits(self.base))
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_bits(v4: bool, bits: u128) -> IpAddr {
    if v4 {
        let low = u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0);
        IpAddr::V4(Ipv4Addr::from(low))
    } else {
        IpAddr::V6(Ipv6Addr::from(bits))
    }
}

fn cut(bits: u128, shift: u32) -> u128 {
    bits.checked_shr(shift)
        .and_then(|kept| kept.checked_shl(shift))
        .unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let bad = || CidrError(format!("{text:?} is no address range such as 10.96.0.0/16"));
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        Self::new(address, prefix.parse().map_err(|_| bad())?)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        let range: Cidr = "10.96.3.7/16".parse().unwrap();
        assert_eq!(range.to_string(), "10.96.0.0/16");
        assert!(range.contains("10.96.255.255".parse().unwrap()));
        assert!(!range.contains("10.97.0.0".parse().unwrap()));
        assert!(!range.contains("::1".parse().unwrap()));
        assert_eq!(range.nth(10).unwrap().to_string(), "10.96.0.10");
        assert_eq!(range.nth(65536), None);
        assert_eq!("::/0".parse::<Cidr>().unwrap().size(), u128::MAX);
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
    }
}
