//! Routes.

use super::addresses::{bytes, family};
use super::{CREATE, LinkError, Links};
use crate::netlink::Writer;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What becomes of packets on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// They go on (`RTN_UNICAST`)
    #[default]
    Unicast,
    /// They are this machine's (`RTN_LOCAL`)
    Local,
    /// They vanish (`RTN_BLACKHOLE`)
    Blackhole,
    /// They are answered with "no route to host" (`RTN_UNREACHABLE`)
    Unreachable,
}

/// One route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// First address of the destination
    pub destination: IpAddr,
    /// Length of its prefix
    pub prefix: u8,
    /// Router
    pub via: Option<IpAddr>,
    /// Index of the link to leave by
    pub device: Option<u32>,
    /// Take the router for a neighbour although no address says so
    pub onlink: bool,
    /// Source of packets that have none yet
    pub source: Option<IpAddr>,
    /// What becomes of packets
    pub kind: RouteKind,
}

impl Route {
    /// A route to a network; where it leads is still to be said.
    pub fn to(destination: IpAddr, prefix: u8) -> Self {
        Self {
            destination,
            prefix,
            via: None,
            device: None,
            onlink: false,
            source: None,
            kind: RouteKind::Unicast,
        }
    }

    /// The default route of IPv4.
    pub fn default_v4() -> Self {
        Self::to(Ipv4Addr::UNSPECIFIED.into(), 0)
    }

    /// The default route of IPv6.
    pub fn default_v6() -> Self {
        Self::to(Ipv6Addr::UNSPECIFIED.into(), 0)
    }

    /// By way of a router.
    #[must_use]
    pub fn via(mut self, router: IpAddr) -> Self {
        self.via = Some(router);
        self
    }

    /// Out of a link.
    #[must_use]
    pub fn device(mut self, index: u32) -> Self {
        self.device = Some(index);
        self
    }

    /// The router is a neighbour.
    #[must_use]
    pub fn onlink(mut self) -> Self {
        self.onlink = true;
        self
    }

    /// With this source for packets that have none yet.
    #[must_use]
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Of that kind.
    #[must_use]
    pub fn kind(mut self, kind: RouteKind) -> Self {
        self.kind = kind;
        self
    }

    fn write(&self, w: &mut Writer) {
        let (kind, scope) = match self.kind {
            RouteKind::Unicast if self.via.is_none() => (libc::RTN_UNICAST, libc::RT_SCOPE_LINK),
            RouteKind::Unicast => (libc::RTN_UNICAST, libc::RT_SCOPE_UNIVERSE),
            RouteKind::Local => (libc::RTN_LOCAL, libc::RT_SCOPE_HOST),
            RouteKind::Blackhole => (libc::RTN_BLACKHOLE, libc::RT_SCOPE_UNIVERSE),
            RouteKind::Unreachable => (libc::RTN_UNREACHABLE, libc::RT_SCOPE_UNIVERSE),
        };
        let flags = if self.onlink { RTNH_F_ONLINK } else { 0 };
        let table = match self.kind {
            RouteKind::Local => libc::RT_TABLE_LOCAL,
            _ => libc::RT_TABLE_MAIN,
        };
        // struct rtmsg
        w.put(&[family(self.destination), self.prefix, 0, 0]);
        w.put(&[table, libc::RTPROT_STATIC, scope, kind]);
        w.put(&flags.to_ne_bytes());
        bytes(w, libc::RTA_DST, self.destination);
        if let Some(router) = self.via {
            bytes(w, libc::RTA_GATEWAY, router);
        }
        if let Some(index) = self.device {
            w.u32(libc::RTA_OIF, index);
        }
        if let Some(source) = self.source {
            bytes(w, libc::RTA_PREFSRC, source);
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.destination, self.prefix)?;
        if let Some(router) = self.via {
            write!(f, " via {router}")?;
        }
        if let Some(index) = self.device {
            write!(f, " dev {index}")?;
        }
        Ok(())
    }
}

impl Links {
    /// Adds a route.
    ///
    /// # Errors
    /// `EEXIST` when there is one to the same destination, `ENETUNREACH` when the router is not
    /// reachable, and what else the kernel said.
    pub fn add_route(&mut self, route: &Route) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| route.write(w);
        let done = self.socket.request(libc::RTM_NEWROUTE, CREATE, fill);
        done.map_err(LinkError::new(format!("add route {route}")))
    }

    /// Removes a route.
    ///
    /// # Errors
    /// `ESRCH` when there is none such, and what else the kernel said.
    pub fn delete_route(&mut self, route: &Route) -> Result<(), LinkError> {
        let fill = |w: &mut Writer| route.write(w);
        let done = self.socket.request(libc::RTM_DELROUTE, 0, fill);
        done.map_err(LinkError::new(format!("delete route {route}")))
    }
}

/// `RTNH_F_ONLINK` of `linux/rtnetlink.h`
const RTNH_F_ONLINK: u32 = 4;
