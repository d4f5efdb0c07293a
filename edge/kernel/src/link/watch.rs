//! Being told when addresses come and go.

use super::LinkError;
use crate::NetlinkError;
use crate::netlink::Socket;
use crate::netns::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Tells of every change of a namespace's addresses. What changed is found by listing them, so
/// that a message which was lost does no harm.
#[derive(Debug)]
pub struct AddressWatch {
    socket: Socket,
}

impl AddressWatch {
    /// Watches `namespace` from now on.
    ///
    /// # Errors
    /// When no netlink socket can be made there.
    pub fn open(namespace: &Namespace) -> Result<Self, LinkError> {
        let made = namespace.make(Self::subscribed);
        let made = made.map_err(NetlinkError::from).and_then(|watch| watch);
        made.map_err(LinkError::new("watch addresses"))
    }

    /// Watches the calling thread's namespace from now on.
    ///
    /// # Errors
    /// When no netlink socket can be made.
    pub fn open_here() -> Result<Self, LinkError> {
        Self::subscribed().map_err(LinkError::new("watch addresses"))
    }

    fn subscribed() -> Result<Self, NetlinkError> {
        let socket = Socket::open(libc::NETLINK_ROUTE)?;
        for group in [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR] {
            socket.set_option(libc::NETLINK_ADD_MEMBERSHIP, group)?;
        }
        Ok(Self { socket })
    }

    /// Takes all messages that are there; true when there was one. Does not wait: for use when
    /// the file is readable.
    ///
    /// # Errors
    /// What the socket said.
    pub fn drain(&mut self) -> Result<bool, LinkError> {
        let mut changed = false;
        loop {
            match self.socket.receive(RecvFlags::DONTWAIT) {
                Ok(Some(_)) => changed = true,
                Ok(None) => return Ok(changed),
                // Messages were lost: something has changed.
                Err(error) if error.errno() == Some(libc::ENOBUFS) => changed = true,
                Err(error) => return Err(LinkError::new("watch addresses")(error)),
            }
        }
    }

    /// Waits at most `timeout` for a change; false when there was none.
    ///
    /// # Errors
    /// What the socket said.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, LinkError> {
        let left = Timespec::try_from(timeout).unwrap_or(Timespec {
            tv_sec: 60,
            tv_nsec: 0,
        });
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut fds, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => self.drain(),
            Err(error) => Err(LinkError::new("watch addresses")(error.into())),
        }
    }
}

impl AsFd for AddressWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `RTNLGRP_IPV4_IFADDR` of `linux/rtnetlink.h`
const RTNLGRP_IPV4_IFADDR: i32 = 5;
/// `RTNLGRP_IPV6_IFADDR`
const RTNLGRP_IPV6_IFADDR: i32 = 9;
