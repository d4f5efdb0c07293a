//! The networks that Pods live in, made by the owner of the runner.

use socket2::{Domain, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Makes networks of Pods. Without one ([`crate::Settings::network`]), every process shares the
/// network of this machine.
pub trait Network: Send + Sync {
    /// The network that the Node itself and Pods with `hostNetwork` live in.
    fn node(&self) -> Arc<dyn Place>;

    /// A network for a Pod with these addresses, whose processes take `host` for their machine's
    /// name. Nothing of it is left once it is dropped. Blocks for some milliseconds.
    ///
    /// # Errors
    /// Why there is none, for the Pod's events.
    fn pod(&self, ips: &[IpAddr], host: &str) -> Result<Arc<dyn Place>, String>;
}

/// One network.
pub trait Place: Send + Sync {
    /// A new socket of this network for addresses of `address`' family.
    ///
    /// # Errors
    /// What the system says.
    fn socket(&self, address: SocketAddr, kind: Kind) -> io::Result<OwnedFd>;

    /// The words to put before a command so that it runs in this network with these files.
    fn enter(&self, files: &Files) -> Vec<String>;
}

/// Kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP
    Stream,
    /// UDP
    Datagram,
}

/// Files that a Pod's processes find in the place of the machine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
    /// `/etc/hosts`
    pub hosts: PathBuf,
}

/// Who makes networks, in [`crate::Settings`].
#[derive(Clone)]
pub struct NetworkSource(pub Arc<dyn Network>);

impl fmt::Debug for NetworkSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkSource")
    }
}

/// Makes sockets of one network, or of this machine's.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Option<Arc<dyn Place>>);

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "inside" } else { "host" })
    }
}

impl From<Arc<dyn Place>> for Sockets {
    fn from(place: Arc<dyn Place>) -> Self {
        Self(Some(place))
    }
}

impl Sockets {
    /// A new socket that does not block.
    pub(crate) fn open(&self, address: SocketAddr, kind: Kind) -> io::Result<Socket> {
        let socket = match &self.0 {
            Some(place) => Socket::from(place.socket(address, kind)?),
            None => {
                let kind = match kind {
                    Kind::Stream => Type::STREAM,
                    Kind::Datagram => Type::DGRAM,
                };
                Socket::new(Domain::for_address(address), kind, None)?
            }
        };
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Connects over TCP.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.open(address, Kind::Stream)?;
        TcpSocket::from_std_stream(socket.into())
            .connect(address)
            .await
    }

    /// Connects over TCP to a host by name or address; names are looked up on this machine.
    pub(crate) async fn connect_host(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut last = None;
        for address in lookup_host((host, port)).await? {
            match self.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Connects to a Pod from within its network as container runtimes do: its address first,
    /// then what listens on its loopback only.
    pub(crate) async fn connect_within(&self, at: SocketAddr) -> io::Result<TcpStream> {
        let refused = match self.connect(at).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => error,
            other => return other,
        };
        if self.0.is_none() {
            return Err(refused);
        }
        let loopback: IpAddr = match at.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        let inner = self.connect(SocketAddr::new(loopback, at.port())).await;
        inner.map_err(|_| refused)
    }
}
