//! A netlink socket: requests with their acknowledgement, and dumps.
#![allow(
    unsafe_code,
    reason = "no safe wrapper knows the options of netlink sockets"
)]

use crate::netlink::error::acknowledgement;
use crate::netlink::{Message, Messages, NetlinkError, Writer};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The kernel's largest datagram of a dump is 32 KiB.
const RECEIVE: usize = 64 * 1024;
/// Answers of the kernel are there when sending returns; more than this is a bug somewhere.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a dump is begun anew when tables change under it.
const DUMPS: u32 = 20;

/// Flags of a request that wants to be acknowledged, and others besides.
pub(crate) fn request_flags(more: i32) -> u16 {
    (libc::NLM_F_REQUEST | libc::NLM_F_ACK | more) as u16
}

/// A netlink socket. It keeps the network namespace that it was opened in.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    port: u32,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens one in the current thread's network namespace.
    ///
    /// `protocol` is a number such as `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    pub(crate) fn open(protocol: i32) -> Result<Self, NetlinkError> {
        let protocol = u32::try_from(protocol)
            .ok()
            .and_then(std::num::NonZeroU32::new)
            .map(rustix::net::Protocol::from_raw);
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        let port = SocketAddrNetlink::try_from(rustix::net::getsockname(&fd)?)?.pid();
        let socket = Self {
            fd,
            port,
            seq: 0,
            buffer: Vec::new(),
        };
        // Old kernels lack them; then there is less to tell in errors.
        let _ = socket.set_option(libc::NETLINK_EXT_ACK, 1);
        let _ = socket.set_option(libc::NETLINK_CAP_ACK, 1);
        sockopt::set_socket_timeout(&socket.fd, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(socket)
    }

    /// Makes room for that many bytes in flight; as much as is allowed when the right to exceed
    /// the system's limit is missing.
    pub(crate) fn set_buffers(&self, send: usize, receive: usize) {
        if sockopt::set_socket_send_buffer_size_force(&self.fd, send).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(&self.fd, send);
        }
        if sockopt::set_socket_recv_buffer_size_force(&self.fd, receive).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&self.fd, receive);
        }
    }

    /// Sets an option of the level `SOL_NETLINK`.
    pub(crate) fn set_option(&self, option: i32, value: i32) -> Result<(), NetlinkError> {
        // SAFETY: the descriptor is open, and the pointer and length describe `value`, which
        // outlives the call.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                option,
                std::ptr::from_ref(&value).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        match done {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }

    /// Number that the kernel knows this socket by.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// A sequence number that was not used yet.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.checked_add(1).unwrap_or(1);
        self.seq
    }

    /// Sends messages as one datagram.
    pub(crate) fn send(&self, messages: &[u8]) -> Result<(), NetlinkError> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::io::retry_on_intr(|| {
            rustix::net::sendto(&self.fd, messages, SendFlags::empty(), &kernel)
        })?;
        Ok(())
    }

    /// Waits for one datagram and hands on its messages. `None` when there is none and the flags
    /// say not to wait.
    pub(crate) fn receive(
        &mut self,
        flags: RecvFlags,
    ) -> Result<Option<Messages<'_>>, NetlinkError> {
        self.buffer.resize(RECEIVE, 0);
        let fd = &self.fd;
        let buffer = &mut self.buffer;
        let got = rustix::io::retry_on_intr(|| {
            rustix::net::recv(fd, buffer.as_mut_slice(), flags | RecvFlags::TRUNC)
        });
        match got {
            Ok((_, len)) if len > RECEIVE => Err(Errno::MSGSIZE.into()),
            Ok((_, len)) => Ok(Some(Messages::new(&self.buffer[..len]))),
            Err(Errno::AGAIN) if flags.contains(RecvFlags::DONTWAIT) => Ok(None),
            Err(Errno::AGAIN) => Err(Errno::TIMEDOUT.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends one message and waits for its acknowledgement. `flags` come besides those of a
    /// request.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: i32,
        fill: impl FnOnce(&mut Writer),
    ) -> Result<(), NetlinkError> {
        self.ask(kind, flags, fill, |_| {})
    }

    /// The same, and hands on what the kernel answers before it acknowledges.
    pub(crate) fn ask(
        &mut self,
        kind: u16,
        flags: i32,
        fill: impl FnOnce(&mut Writer),
        mut answer: impl FnMut(&Message<'_>),
    ) -> Result<(), NetlinkError> {
        let seq = self.next_seq();
        let mut writer = Writer::default();
        writer.message(kind, request_flags(flags), seq, fill);
        self.send(writer.finish()?)?;
        loop {
            let Some(messages) = self.receive(RecvFlags::empty())? else {
                continue;
            };
            for message in messages.filter(|message| message.seq == seq) {
                match i32::from(message.kind) {
                    libc::NLMSG_ERROR => return acknowledgement(&message),
                    libc::NLMSG_NOOP => {}
                    _ => answer(&message),
                }
            }
        }
    }

    /// Asks for all objects of a type and folds them into a value; begins anew with an empty one
    /// when the objects changed meanwhile.
    pub(crate) fn dump<T: Default>(
        &mut self,
        kind: u16,
        fill: impl Fn(&mut Writer),
        mut fold: impl FnMut(&mut T, &Message<'_>),
    ) -> Result<T, NetlinkError> {
        for _ in 0..DUMPS {
            let mut whole = T::default();
            match self.dump_once(kind, &fill, |message| fold(&mut whole, message)) {
                Ok(true) => return Ok(whole),
                Ok(false) => {}
                Err(error) if again(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(NetlinkError::Interrupted(DUMPS))
    }

    /// Asks for all objects of a type, once. False when they changed meanwhile, so that some may
    /// be missing or doubled.
    pub(crate) fn dump_once(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Writer),
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<bool, NetlinkError> {
        let seq = self.next_seq();
        let mut writer = Writer::default();
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        writer.message(kind, flags, seq, fill);
        self.send(writer.finish()?)?;
        let mut whole = true;
        loop {
            let Some(messages) = self.receive(RecvFlags::empty())? else {
                continue;
            };
            for message in messages.filter(|message| message.seq == seq) {
                whole &= i32::from(message.flags) & libc::NLM_F_DUMP_INTR == 0;
                match i32::from(message.kind) {
                    libc::NLMSG_ERROR => return acknowledgement(&message).map(|()| whole),
                    // Its body is the dump's own result.
                    libc::NLMSG_DONE if message.body.len() >= 4 => {
                        return acknowledgement(&message).map(|()| whole);
                    }
                    libc::NLMSG_DONE => return Ok(whole),
                    libc::NLMSG_NOOP => {}
                    _ => each(&message),
                }
            }
        }
    }
}

/// Whether a dump that failed so is worth another try.
fn again(error: &NetlinkError) -> bool {
    matches!(
        error.errno(),
        Some(libc::EINTR | libc::EAGAIN | libc::ENOBUFS | libc::EBUSY)
    )
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
