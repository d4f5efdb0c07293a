//! Links, addresses and routes of a network namespace, by rtnetlink(7).
//!
//! Everything acts on the namespace that [`Links`] was opened for, never on another one.

mod addresses;
mod routes;
mod sysctl;
#[cfg(test)]
mod tests;
mod watch;

pub use addresses::Address;
pub use routes::{Route, RouteKind};
pub use sysctl::{forward, instant_ipv6, sysctl};
pub use watch::AddressWatch;

use crate::NetlinkError;
use crate::netlink::{Message, Socket, Writer};
use crate::netns::Namespace;
use std::os::fd::{AsFd, AsRawFd};

/// Something about a link, an address or a route could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct LinkError {
    /// What was to be done
    pub what: String,
    /// Why it was not
    #[source]
    pub cause: NetlinkError,
}

impl LinkError {
    /// The error number, if the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        self.cause.errno()
    }

    fn new(what: impl Into<String>) -> impl FnOnce(NetlinkError) -> Self {
        let what = what.into();
        move |cause| Self { what, cause }
    }
}

impl From<LinkError> for std::io::Error {
    fn from(error: LinkError) -> Self {
        let kind = error.errno().map(std::io::Error::from_raw_os_error);
        Self::new(kind.map_or(std::io::ErrorKind::Other, |e| e.kind()), error)
    }
}

/// A link as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index
    pub index: u32,
    /// Name
    pub name: String,
    /// `IFF_UP`
    pub up: bool,
    /// Largest packet in bytes
    pub mtu: u32,
    /// Index of the bridge that it is a port of
    pub master: Option<u32>,
    /// Hardware address; empty if it has none
    pub hardware: Vec<u8>,
}

/// The links, addresses and routes of one network namespace.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

impl Links {
    /// Those of `namespace`.
    ///
    /// # Errors
    /// When no netlink socket can be made there.
    pub fn open(namespace: &Namespace) -> Result<Self, LinkError> {
        let made = namespace.make(|| Socket::open(libc::NETLINK_ROUTE));
        let made = made.map_err(NetlinkError::from).and_then(|socket| socket);
        made.map(|socket| Self { socket })
            .map_err(LinkError::new("open rtnetlink"))
    }

    /// Those of the calling thread's namespace.
    ///
    /// # Errors
    /// When no netlink socket can be made.
    pub fn open_here() -> Result<Self, LinkError> {
        Socket::open(libc::NETLINK_ROUTE)
            .map(|socket| Self { socket })
            .map_err(LinkError::new("open rtnetlink"))
    }

    /// Makes a pair of Ethernet ends that are up: `name` here, and `peer_name` in `peer`.
    ///
    /// # Errors
    /// `EEXIST` when a name is taken, `EPERM` without `CAP_NET_ADMIN` in both namespaces.
    pub fn add_veth(
        &mut self,
        name: &str,
        peer_name: &str,
        peer: &Namespace,
    ) -> Result<(), LinkError> {
        let peer_fd = peer.as_fd().as_raw_fd() as u32;
        let fill = |w: &mut Writer| {
            info(w, 0, UP, UP);
            w.text(libc::IFLA_IFNAME, name);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.text(libc::IFLA_INFO_KIND, "veth");
                w.nest(libc::IFLA_INFO_DATA, |w| {
                    w.nest(VETH_INFO_PEER, |w| {
                        // It cannot go up before the pair is whole (ENOTCONN).
                        info(w, 0, 0, 0);
                        w.text(libc::IFLA_IFNAME, peer_name);
                        w.u32(libc::IFLA_NET_NS_FD, peer_fd);
                    });
                });
            });
        };
        let make = self.socket.request(libc::RTM_NEWLINK, CREATE, fill);
        make.map_err(LinkError::new(format!("make veth {name} – {peer_name}")))?;
        let mut far = Self::open(peer)?;
        let index = far.index(peer_name)?;
        far.set_up(index, true)
    }

    /// Makes a bridge that is up.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken, `EOPNOTSUPP` when the kernel has no bridges.
    pub fn add_bridge(&mut self, name: &str) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| {
            info(w, 0, UP, UP);
            w.text(libc::IFLA_IFNAME, name);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.text(libc::IFLA_INFO_KIND, "bridge")
            });
        };
        let make = self.socket.request(libc::RTM_NEWLINK, CREATE, fill);
        make.map_err(LinkError::new(format!("make bridge {name}")))
    }

    /// Sets a link up or down.
    ///
    /// # Errors
    /// What the kernel said; `ENODEV` when there is no such link.
    pub fn set_up(&mut self, index: u32, up: bool) -> Result<(), LinkError> {
        let flags = if up { UP } else { 0 };
        self.change(index, "set up or down", |w| info(w, index, flags, UP))
    }

    /// Sets the largest packet, in bytes.
    ///
    /// # Errors
    /// What the kernel said; `EINVAL` for a size that the link cannot carry.
    pub fn set_mtu(&mut self, index: u32, bytes: u32) -> Result<(), LinkError> {
        self.change(index, "set the MTU", |w| {
            info(w, index, 0, 0);
            w.u32(libc::IFLA_MTU, bytes);
        })
    }

    /// Makes a link a port of a bridge, or of none.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn set_master(&mut self, index: u32, bridge: Option<u32>) -> Result<(), LinkError> {
        self.change(index, "make it a bridge's port", |w| {
            info(w, index, 0, 0);
            w.u32(libc::IFLA_MASTER, bridge.unwrap_or(0));
        })
    }

    /// Lets a bridge port send packets back to where they came from, which a Pod needs that
    /// reaches itself through its Service.
    ///
    /// # Errors
    /// What the kernel said; `EINVAL` when the link is no bridge port.
    pub fn set_hairpin(&mut self, index: u32, on: bool) -> Result<(), LinkError> {
        self.change(index, "set hairpin mode", |w| {
            info_of(w, libc::AF_BRIDGE, index, 0, 0);
            w.nest(libc::IFLA_PROTINFO, |w| w.u8(IFLA_BRPORT_MODE, on.into()));
        })
    }

    /// Deletes a link, and its other end with it.
    ///
    /// # Errors
    /// What the kernel said; `ENODEV` when there is no such link.
    pub fn delete(&mut self, index: u32) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| info(w, index, 0, 0);
        let done = self.socket.request(libc::RTM_DELLINK, 0, fill);
        done.map_err(LinkError::new(format!("link {index}: delete")))
    }

    /// All links.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn list(&mut self) -> Result<Vec<Link>, LinkError> {
        let fill = |w: &mut Writer| info(w, 0, 0, 0);
        let each = |links: &mut Vec<Link>, message: &Message<'_>| links.extend(read(message));
        let all = self.socket.dump(libc::RTM_GETLINK, fill, each);
        all.map_err(LinkError::new("list links"))
    }

    /// Index of the link with this name.
    ///
    /// # Errors
    /// What the kernel said; `ENODEV` when there is no such link.
    pub fn index(&mut self, name: &str) -> Result<u32, LinkError> {
        let mut found = 0;
        let fill = |w: &mut Writer| {
            info(w, 0, 0, 0);
            w.text(libc::IFLA_IFNAME, name);
        };
        let asked = self.socket.ask(libc::RTM_GETLINK, 0, fill, |message| {
            found = read(message).map_or(found, |link| link.index);
        });
        asked.map_err(LinkError::new(format!("find link {name}")))?;
        Ok(found)
    }

    fn change(
        &mut self,
        index: u32,
        what: &str,
        fill: impl FnOnce(&mut Writer),
    ) -> Result<(), LinkError> {
        let done = self.socket.request(libc::RTM_SETLINK, 0, fill);
        done.map_err(LinkError::new(format!("link {index}: {what}")))
    }
}

/// `IFF_UP`
const UP: u32 = libc::IFF_UP as u32;
/// A new object, and an error if it is there.
const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
/// `VETH_INFO_PEER` of `linux/veth.h`
const VETH_INFO_PEER: u16 = 1;
/// `IFLA_BRPORT_MODE` of `linux/if_link.h`
const IFLA_BRPORT_MODE: u16 = 4;
/// Bytes of `struct ifinfomsg`
const INFO: usize = 16;

fn info(w: &mut Writer, index: u32, flags: u32, change: u32) {
    info_of(w, libc::AF_UNSPEC, index, flags, change);
}

/// Writes a `struct ifinfomsg`.
fn info_of(w: &mut Writer, family: i32, index: u32, flags: u32, change: u32) {
    w.put(&[family as u8, 0, 0, 0]);
    w.put(&index.to_ne_bytes());
    w.put(&flags.to_ne_bytes());
    w.put(&change.to_ne_bytes());
}

fn read(message: &Message<'_>) -> Option<Link> {
    if message.kind != libc::RTM_NEWLINK {
        return None;
    }
    let number = |at: usize| message.body.get(at..)?.first_chunk().copied();
    let flags = u32::from_ne_bytes(number(8)?);
    let mut link = Link {
        index: u32::from_ne_bytes(number(4)?),
        name: String::new(),
        up: flags & UP != 0,
        mtu: 0,
        master: None,
        hardware: Vec::new(),
    };
    for attr in message.attrs(INFO) {
        match attr.kind {
            libc::IFLA_IFNAME => link.name = attr.text()?.to_owned(),
            libc::IFLA_MTU => link.mtu = attr.u32()?,
            libc::IFLA_MASTER => link.master = attr.u32(),
            libc::IFLA_ADDRESS => link.hardware = attr.data.to_vec(),
            _ => {}
        }
    }
    Some(link)
}
