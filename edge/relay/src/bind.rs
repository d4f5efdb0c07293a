//! Sockets that listen.

use model::Protocol;
use proxy::Frontend;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use tokio::net::{TcpListener, UdpSocket};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

pub(crate) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Opens the socket of a frontend.
pub(crate) fn listen(frontend: Frontend) -> io::Result<Bound> {
    let address = frontend.socket();
    let kind = match frontend.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
        Protocol::Sctp => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // Connections of an earlier listener that linger must not keep the port.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
        return TcpListener::from_std(socket.into()).map(Bound::Tcp);
    }
    UdpSocket::from_std(socket.into()).map(Bound::Udp)
}
