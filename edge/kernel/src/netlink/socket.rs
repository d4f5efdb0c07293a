//! A netlink socket: requests with their acknowledgement, and dumps.
#![allow(
    unsafe_code,
    reason = "no safe wrapper knows the options of netlink sockets"
)]

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
/// What the kernel needs beside a datagram.
const OVERHEAD: usize = 4096;
/// How often a dump is begun anew when tables change under it.
const DUMPS: u32 = 20;

/// Flags of a request that wants to be acknowledged, and others besides.
fn request_flags(more: i32) -> u16 {
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

    /// Makes room for that many bytes in flight, each way unless it is zero; as much as is allowed
    /// when the right to exceed the system's limit is missing.
    pub(crate) fn set_buffers(&self, send: usize, receive: usize) {
        let fd = &self.fd;
        if send != 0 && sockopt::set_socket_send_buffer_size_force(fd, send).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(fd, send);
        }
        if receive != 0 && sockopt::set_socket_recv_buffer_size_force(fd, receive).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(fd, receive);
        }
    }

    /// Makes room for one datagram of that many bytes, if it is allowed.
    pub(crate) fn make_room(&self, datagram: usize) {
        if datagram > self.room() {
            self.set_buffers(datagram + OVERHEAD, 0);
        }
    }

    /// Largest datagram that can be sent.
    pub(crate) fn room(&self) -> usize {
        let size = sockopt::socket_send_buffer_size(&self.fd).unwrap_or_default();
        size.saturating_sub(OVERHEAD)
    }

    /// Receives what is sent to a group from now on, but for what one port causes.
    pub(crate) fn join(&self, group: i32, but: u32) -> Result<Membership, NetlinkError> {
        self.ignore(but)?;
        let fd = self.fd.try_clone()?;
        let membership = Membership { fd, group };
        membership.join()?;
        Ok(membership)
    }

    /// Lets the kernel drop datagrams whose first message names that port.
    fn ignore(&self, port: u32) -> Result<(), NetlinkError> {
        let step = |code: u32, jt: u8, k: u32| libc::sock_filter {
            code: code as u16,
            jt,
            jf: 0,
            k,
        };
        // Filters load numbers as if they were in network order.
        let mut program = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 12),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, port.to_be()),
            step(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
            step(libc::BPF_RET | libc::BPF_K, 0, 0),
        ];
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        option(&self.fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
    }

    /// Sets an option of the level `SOL_NETLINK`.
    pub(crate) fn set_option(&self, option: i32, value: i32) -> Result<(), NetlinkError> {
        self::option(&self.fd, libc::SOL_NETLINK, option, &value)
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

    /// Goes on with sequence numbers behind that one.
    pub(crate) fn advance(&mut self, seq: u32) {
        self.seq = seq;
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
                    libc::NLMSG_ERROR => return message.acknowledgement(),
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
                    libc::NLMSG_ERROR => return message.acknowledgement().map(|()| whole),
                    // Its body is the dump's own result.
                    libc::NLMSG_DONE if message.body.len() >= 4 => {
                        return message.acknowledgement().map(|()| whole);
                    }
                    libc::NLMSG_DONE => return Ok(whole),
                    libc::NLMSG_NOOP => {}
                    _ => each(&message),
                }
            }
        }
    }
}

fn option<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> Result<(), NetlinkError> {
    // SAFETY: the descriptor is open, and the pointer and length describe `value`, which
    // outlives the call. What `value` points to in turn does too, for the kernel copies it.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// That a socket receives what is sent to a group; it can be left for a while.
#[derive(Debug)]
pub(crate) struct Membership {
    fd: OwnedFd,
    group: i32,
}

impl Membership {
    /// Receives again.
    pub(crate) fn join(&self) -> Result<(), NetlinkError> {
        let add = libc::NETLINK_ADD_MEMBERSHIP;
        option(&self.fd, libc::SOL_NETLINK, add, &self.group)
    }

    /// Does not receive any more.
    pub(crate) fn leave(&self) -> Result<(), NetlinkError> {
        let drop = libc::NETLINK_DROP_MEMBERSHIP;
        option(&self.fd, libc::SOL_NETLINK, drop, &self.group)
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
