//! Sockets that are made inside a namespace and used from outside.

use super::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, bind, connect, socket_with, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

impl Namespace {
    /// A socket of this namespace: not inherited by child processes, and blocking.
    ///
    /// # Errors
    /// What `socket(2)` said.
    pub fn socket(
        &self,
        domain: AddressFamily,
        kind: SocketType,
        protocol: Option<Protocol>,
    ) -> io::Result<OwnedFd> {
        self.make(move || socket_with(domain, kind, SocketFlags::CLOEXEC, protocol))?
            .map_err(io::Error::from)
    }

    /// A TCP socket that listens at `address`, with `SO_REUSEADDR`.
    ///
    /// # Errors
    /// What `bind(2)` or `listen(2)` said.
    pub fn tcp_listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.make(move || TcpListener::bind(address))?
    }

    /// A UDP socket bound to `address`.
    ///
    /// # Errors
    /// What `bind(2)` said.
    pub fn udp_bind(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        self.make(move || UdpSocket::bind(address))?
    }

    /// A TCP socket for the family of `address` that is neither bound nor connected, and does not
    /// block: what an asynchronous runtime connects by itself.
    ///
    /// # Errors
    /// What `socket(2)` said.
    pub fn tcp_unconnected(&self, address: IpAddr) -> io::Result<TcpStream> {
        let socket = self.socket(family(address), SocketType::STREAM, None)?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    /// A TCP connection to `to`, made within `timeout`.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut` and what else `connect(2)` says.
    pub fn tcp_connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        self.tcp_connect_from(None, to, timeout)
    }

    /// As [`Namespace::tcp_connect`], from an address (and port, unless zero) of this namespace.
    ///
    /// # Errors
    /// Also what `bind(2)` says.
    pub fn tcp_connect_from(
        &self,
        from: Option<SocketAddr>,
        to: SocketAddr,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        let stream = self.tcp_unconnected(to.ip())?;
        if let Some(from) = from {
            sockopt::set_socket_reuseaddr(&stream, true)?;
            bind(&stream, &from)?;
        }
        match connect(&stream, &to) {
            Ok(()) => {}
            Err(rustix::io::Errno::INPROGRESS) => wait_connected(&stream, timeout)?,
            Err(error) => return Err(error.into()),
        }
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}

/// Waits until a connection stands, or says why it does not.
fn wait_connected(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(stream, PollFlags::OUT)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    sockopt::socket_error(stream)??;
    Ok(())
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    }
}

/// Sets the loopback interface of the calling thread's namespace up.
pub(super) fn loopback_up() -> io::Result<()> {
    ioctl::loopback_up()
}

mod ioctl {
    #![expect(unsafe_code, reason = "interface flags are set by ioctl(2)")]

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use std::io;
    use std::os::fd::AsRawFd;

    pub(super) fn loopback_up() -> io::Result<()> {
        let kind = SocketType::DGRAM;
        let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
        // SAFETY: an all-zero ifreq is valid: it holds plain bytes and numbers.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        let flags = libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOOPBACK;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: `request` lives through the call and is of the type SIOCSIFFLAGS reads.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
