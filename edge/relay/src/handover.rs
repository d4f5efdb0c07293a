//! Handing connections in to a data path of another network.

use model::Protocol;
use proxy::{Frontend, Route};
use socket2::{SockAddr, Socket};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The address by which a frontend is known in the other network.
pub type Known = Arc<dyn Fn(&Frontend, &Route) -> SocketAddr + Send + Sync>;

/// Makes a socket of the other network for an address' family.
pub type SocketSource = Arc<dyn Fn(SocketAddr, Protocol) -> io::Result<OwnedFd> + Send + Sync>;

/// A data path that chooses the endpoint by itself.
#[derive(Clone)]
pub struct Handover {
    /// Where connections to a frontend go on
    pub known: Known,
    /// Makes the sockets for it
    pub sockets: SocketSource,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

impl Handover {
    /// A socket towards a frontend, and where to connect it to. It has the client's own address
    /// where that is one of every machine's, so that affinity and source ranges see who asks.
    pub(crate) fn open(
        &self,
        frontend: &Frontend,
        route: &Route,
        client: IpAddr,
    ) -> io::Result<(Socket, SocketAddr)> {
        let to = (self.known)(frontend, route);
        let socket = Socket::from((self.sockets)(to, frontend.protocol)?);
        socket.set_nonblocking(true)?;
        let own = client.is_loopback() && client.is_ipv4() && to.is_ipv4();
        if own && client != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            socket.bind(&SockAddr::from(SocketAddr::new(client, 0)))?;
        }
        Ok((socket, to))
    }
}
