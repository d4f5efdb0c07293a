//! The image `portolan/echo`: answers within this process, on the Pod's own address.
//!
//! A TCP port tells from the first bytes what its client speaks: `PRI * HTTP/2.0` is h2c (and
//! gRPC), a request line is HTTP/1.1 (and WebSocket), anything else comes back as it went in. A
//! UDP port sends every datagram back.

mod body;
mod http;
mod sniff;
mod websocket;

use crate::clock::Clock;
use crate::logs::{Log, Output};
use crate::network::{Kind, Sockets};
use crate::spec::Container;
use model::Protocol;
use socket2::SockAddr;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

/// The port of containers that declare none.
const DEFAULT_PORT: u16 = 8080;

/// Most connections of one container at once; further ones wait in the kernel.
const CONNECTIONS: usize = 1024;

/// Who answers.
pub(crate) struct Identity {
    pub(crate) pod: String,
    pub(crate) namespace: String,
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Clock,
}

impl Identity {
    /// One line of the container's log.
    fn say(&self, text: &str) {
        self.log
            .line(self.clock.now(), Output::Stdout, text.as_bytes(), true);
    }
}

/// A running echo server.
pub(crate) struct Echo {
    tasks: Vec<AbortHandle>,
    stop: watch::Sender<bool>,
    /// Closes when the last connection has ended
    idle: mpsc::Receiver<()>,
}

/// One connection's share of the server.
struct Session {
    identity: Arc<Identity>,
    local: SocketAddr,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

enum Socketed {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Echo {
    /// Listens on the container's ports.
    ///
    /// # Errors
    /// Which address cannot be listened on, why, and what to do.
    pub(crate) fn start(
        container: &Container,
        ips: &[IpAddr],
        from: &Sockets,
        identity: Arc<Identity>,
    ) -> Result<Self, String> {
        let mut sockets = Vec::new();
        for (protocol, port) in ports(container) {
            for ip in ips {
                let at = SocketAddr::new(*ip, port);
                let socket = bind(at, protocol, from).map_err(|error| complaint(at, &error))?;
                identity.say(&format!("listening on {at} ({})", protocol.as_str()));
                sockets.push((at, socket));
            }
        }
        let (stop, stopped) = watch::channel(false);
        let (alive, idle) = mpsc::channel(1);
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let tasks = sockets.into_iter().map(|(local, socket)| {
            let session = Opening {
                identity: identity.clone(),
                local,
                stop: stopped.clone(),
                alive: alive.clone(),
                permits: permits.clone(),
            };
            let task = match socket {
                Socketed::Tcp(listener) => tokio::spawn(accept(listener, session)),
                Socketed::Udp(socket) => tokio::spawn(datagrams(socket)),
            };
            task.abort_handle()
        });
        Ok(Self {
            tasks: tasks.collect(),
            stop,
            idle,
        })
    }

    /// Stops to listen, lets requests that are under way finish, and closes what is open after
    /// `grace`.
    pub(crate) async fn stop(mut self, grace: Duration) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(grace, self.idle.recv()).await;
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn ports(container: &Container) -> BTreeSet<(Protocol, u16)> {
    let declared = container.ports.iter();
    let served = declared.filter(|port| port.protocol != Protocol::Sctp);
    let mut ports: BTreeSet<_> = served.map(|p| (p.protocol, p.container_port)).collect();
    if container.ports.is_empty() {
        ports.insert((Protocol::Tcp, DEFAULT_PORT));
    }
    ports
}

fn bind(at: SocketAddr, protocol: Protocol, from: &Sockets) -> io::Result<Socketed> {
    let tcp = protocol == Protocol::Tcp;
    let kind = if tcp { Kind::Stream } else { Kind::Datagram };
    let socket = from.open(at, kind)?;
    if tcp {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SockAddr::from(at))?;
    if tcp {
        socket.listen(1024)?;
        return TcpListener::from_std(socket.into()).map(Socketed::Tcp);
    }
    UdpSocket::from_std(socket.into()).map(Socketed::Udp)
}

fn complaint(at: SocketAddr, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another container of the Pod, or a program on 0.0.0.0, has this port: give each \
             container a containerPort of its own"
        }
        io::ErrorKind::PermissionDenied => {
            "ports under 1024 need a privilege: use a containerPort from 1024 up, or allow them \
             with `sudo sysctl net.ipv4.ip_unprivileged_port_start=0`"
        }
        io::ErrorKind::AddrNotAvailable => {
            "the Pod's address is not one of this machine: choose a pod range within 127.0.0.0/8"
        }
        _ => "see the message",
    };
    format!("listen on {at}: {error} ({cure})")
}

/// What an accept loop hands to each connection.
struct Opening {
    identity: Arc<Identity>,
    local: SocketAddr,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
    permits: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, opening: Opening) {
    loop {
        let Ok(permit) = opening.permits.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "echo cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let session = Session {
            identity: opening.identity.clone(),
            local: opening.local,
            peer,
            stop: opening.stop.clone(),
            _alive: opening.alive.clone(),
        };
        tokio::spawn(async move {
            let _permit = permit;
            serve(stream, session).await;
        });
    }
}

async fn serve(stream: TcpStream, session: Session) {
    let _ = stream.set_nodelay(true);
    let mut stop = session.stop.clone();
    let spoken = tokio::select! {
        spoken = sniff::sniff(&stream) => spoken,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match spoken {
        Some(sniff::Spoken::Http1) => http::serve1(stream, session).await,
        Some(sniff::Spoken::Http2) => http::serve2(stream, session).await,
        Some(sniff::Spoken::Other) => raw(stream, session).await,
        None => {}
    }
}

/// Sends everything back until the client has no more to say.
async fn raw(mut stream: TcpStream, session: Session) {
    let mut stop = session.stop.clone();
    session
        .identity
        .say(&format!("TCP connection from {}", session.peer));
    let mut buffer = vec![0; 8192];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if stream.write_all(&buffer[..length]).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = stream.shutdown().await;
}

async fn datagrams(socket: UdpSocket) {
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        // On the stack between two waits, so that an idle port holds no buffer.
        let mut buffer = [0u8; 65_535];
        for _ in 0..64 {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, peer)) => {
                    let _ = socket.try_send_to(&buffer[..length], peer);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests;
