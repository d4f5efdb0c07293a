//! Addresses of links.

use super::{CREATE, LinkError, Links};
use crate::netlink::{Message, Writer};
use std::net::IpAddr;

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the link
    pub index: u32,
    /// Address
    pub address: IpAddr,
    /// Length of its network's prefix
    pub prefix: u8,
    /// Whether it is good beyond the link (`RT_SCOPE_UNIVERSE`)
    pub global: bool,
    /// Whether it is another address of a network that has one already (`IFA_F_SECONDARY`), or
    /// for IPv6 a temporary one
    pub secondary: bool,
    /// Whether it is not usable yet or any more: being probed, a duplicate, or deprecated
    pub unusable: bool,
}

impl Links {
    /// Gives a link an address. An IPv6 address is usable at once: nobody is asked whether it is
    /// a duplicate.
    ///
    /// # Errors
    /// `EEXIST` when the link has it, and what else the kernel said.
    pub fn add_address(
        &mut self,
        index: u32,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| {
            head(w, index, address, prefix, IFA_F_NODAD);
            bytes(w, libc::IFA_LOCAL, address);
            bytes(w, libc::IFA_ADDRESS, address);
        };
        let done = self.socket.request(libc::RTM_NEWADDR, CREATE, fill);
        done.map_err(LinkError::new(format!(
            "link {index}: add address {address}/{prefix}"
        )))
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` when the link does not have it, and what else the kernel said.
    pub fn delete_address(
        &mut self,
        index: u32,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| {
            head(w, index, address, prefix, 0);
            bytes(w, libc::IFA_LOCAL, address);
        };
        let done = self.socket.request(libc::RTM_DELADDR, 0, fill);
        done.map_err(LinkError::new(format!(
            "link {index}: delete address {address}/{prefix}"
        )))
    }

    /// All addresses of all links, both families.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn addresses(&mut self) -> Result<Vec<Address>, LinkError> {
        let fill = |w: &mut Writer| w.put(&[0; HEAD]);
        let each = |all: &mut Vec<Address>, message: &Message<'_>| all.extend(read(message));
        let all = self.socket.dump(libc::RTM_GETADDR, fill, each);
        all.map_err(LinkError::new("list addresses"))
    }
}

/// Bytes of `struct ifaddrmsg`
const HEAD: usize = 8;
/// `IFA_F_NODAD`: not probed for duplicates
const IFA_F_NODAD: u8 = 0x02;

fn head(w: &mut Writer, index: u32, address: IpAddr, prefix: u8, flags: u8) {
    w.put(&[family(address), prefix, flags, scope(address)]);
    w.put(&index.to_ne_bytes());
}

/// A link-local IPv4 address is good on its link only, so that it is never the source of what
/// leaves by another one. The scope of IPv6 addresses is the kernel's own business.
fn scope(address: IpAddr) -> u8 {
    match address {
        _ if address.is_loopback() => libc::RT_SCOPE_HOST,
        IpAddr::V4(address) if address.is_link_local() => libc::RT_SCOPE_LINK,
        _ => libc::RT_SCOPE_UNIVERSE,
    }
}

pub(super) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

pub(super) fn bytes(w: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => w.attr(kind, &address.octets()),
        IpAddr::V6(address) => w.attr(kind, &address.octets()),
    }
}

fn read(message: &Message<'_>) -> Option<Address> {
    let [_, prefix, flags, scope, index @ ..] = *message.body.first_chunk::<HEAD>()?;
    let mut flags = u32::from(flags);
    let (mut local, mut address) = (None, None);
    for attr in message.attrs(HEAD) {
        match attr.kind {
            // On a point-to-point link the other one is the far end's.
            libc::IFA_LOCAL => local = parse(attr.data),
            libc::IFA_ADDRESS => address = parse(attr.data),
            libc::IFA_FLAGS => flags = attr.u32()?,
            _ => {}
        }
    }
    let unusable = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED | libc::IFA_F_DEPRECATED;
    Some(Address {
        index: u32::from_ne_bytes(index),
        address: local.or(address)?,
        prefix,
        global: scope == libc::RT_SCOPE_UNIVERSE,
        secondary: flags & libc::IFA_F_SECONDARY != 0,
        unusable: flags & unusable != 0,
    })
}

fn parse(data: &[u8]) -> Option<IpAddr> {
    match data.len() {
        4 => Some(IpAddr::from(*data.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*data.first_chunk::<16>()?)),
        _ => None,
    }
}
