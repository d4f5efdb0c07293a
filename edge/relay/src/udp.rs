//! UDP: a socket towards the backend for each client.

use crate::metrics::{add, subtract};
use crate::relay::{Shared, Target};
use crate::tcp::choose;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// The largest datagram there can be.
const DATAGRAM: usize = 65_535;

/// One client of one frontend.
struct Session {
    backend: SocketAddr,
    upstream: Arc<UdpSocket>,
    /// Milliseconds of relay time when a datagram last passed
    seen: AtomicU64,
    shared: Arc<Shared>,
}

struct Seat {
    session: Arc<Session>,
    replies: AbortHandle,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.replies.abort();
        subtract(&self.session.shared.metrics.udp_sessions, 1);
    }
}

/// Serves until it is aborted.
pub(crate) async fn serve(socket: UdpSocket, target: Arc<Target>, shared: Arc<Shared>) {
    let mut frontend = UdpFrontend {
        socket: Arc::new(socket),
        target,
        shared,
        seats: BTreeMap::new(),
    };
    let pause = frontend.shared.settings.udp_idle / 4;
    loop {
        let waiting = frontend.socket.clone();
        // Without clients there is nothing to tidy and no reason to wake up.
        if frontend.seats.is_empty() {
            let _ = waiting.readable().await;
        } else if tokio::time::timeout(pause, waiting.readable())
            .await
            .is_err()
        {
            frontend.tidy();
            continue;
        }
        frontend.drain();
    }
}

struct UdpFrontend {
    socket: Arc<UdpSocket>,
    target: Arc<Target>,
    shared: Arc<Shared>,
    seats: BTreeMap<SocketAddr, Seat>,
}

impl UdpFrontend {
    /// Passes on what has arrived. The buffer lives on the stack between two waits, so that idle
    /// frontends hold none.
    fn drain(&mut self) {
        let mut buffer = [0u8; DATAGRAM];
        for _ in 0..64 {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, client)) => self.pass(client, &buffer[..length]),
                // An ICMP answer to an earlier reply: the client is gone, others are not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    fn pass(&mut self, client: SocketAddr, datagram: &[u8]) {
        add(&self.shared.metrics.udp_in, 1);
        let sent = self.session(client).is_some_and(|session| {
            session.touch();
            match send(&session.upstream, datagram) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // That was the answer to an earlier datagram; this one is sent all the same.
                    send(&session.upstream, datagram).is_ok()
                }
                result => result.is_ok(),
            }
        });
        if !sent {
            add(&self.shared.metrics.udp_dropped, 1);
        }
    }

    /// The client's session; a new one when there is none, or when its backend is one no longer.
    fn session(&mut self, client: SocketAddr) -> Option<Arc<Session>> {
        let route = self.target.route.load();
        if !route.admits(client.ip()) {
            return None;
        }
        if let Some(seat) = self.seats.get(&client)
            && (self.shared.settings.handover.is_some()
                || route.backends.contains(&seat.session.backend))
        {
            return Some(seat.session.clone());
        }
        drop(route);
        self.seats.remove(&client);
        if self.seats.len() >= self.shared.settings.max_udp_sessions {
            self.tidy();
            self.evict();
        }
        let session = Arc::new(self.connect(client)?);
        add(&self.shared.metrics.udp_sessions, 1);
        let replies = reply(Arc::downgrade(&session), self.socket.clone(), client);
        let seat = Seat {
            session: session.clone(),
            replies: tokio::spawn(replies).abort_handle(),
        };
        self.seats.insert(client, seat);
        Some(session)
    }

    fn connect(&self, client: SocketAddr) -> Option<Session> {
        let (backend, upstream) = self
            .dial(client)
            .inspect_err(|error| tracing::debug!(%error, "no socket towards a backend"))
            .ok()?;
        Some(Session {
            backend,
            upstream: Arc::new(upstream),
            seen: AtomicU64::new(0),
            shared: self.shared.clone(),
        })
    }

    fn dial(&self, client: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
        if let Some(handover) = &self.shared.settings.handover {
            let frontend = &self.target.frontend;
            let route = self.target.route.load();
            let (socket, to) = handover.open(frontend, &route, client.ip())?;
            socket.connect(&to.into())?;
            return Ok((to, UdpSocket::from_std(socket.into())?));
        }
        let backend = choose(client.ip(), &self.target, &self.shared, &[]);
        let backend = backend.ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok((backend, dial(client.ip(), backend)?))
    }

    fn tidy(&mut self) {
        let idle = self.shared.settings.udp_idle;
        let now = self.shared.now();
        self.seats
            .retain(|_, seat| now.saturating_sub(seat.session.seen()) < idle);
    }

    fn evict(&mut self) {
        if self.seats.len() < self.shared.settings.max_udp_sessions {
            return;
        }
        let oldest = self
            .seats
            .iter()
            .min_by_key(|(_, seat)| seat.session.seen());
        if let Some(client) = oldest.map(|(client, _)| *client) {
            self.seats.remove(&client);
        }
    }
}

impl Session {
    fn touch(&self) {
        let now = u64::try_from(self.shared.now().as_millis()).unwrap_or(u64::MAX);
        self.seen.store(now, Ordering::Relaxed);
    }

    fn seen(&self) -> Duration {
        Duration::from_millis(self.seen.load(Ordering::Relaxed))
    }

    /// Hands on what the backend answered.
    fn drain(&self, frontend: &UdpSocket, client: SocketAddr) {
        let mut buffer = [0u8; DATAGRAM];
        for _ in 0..64 {
            match self.upstream.try_recv(&mut buffer) {
                Ok(length) => {
                    self.touch();
                    if frontend.try_send_to(&buffer[..length], client).is_ok() {
                        add(&self.shared.metrics.udp_out, 1);
                    } else {
                        add(&self.shared.metrics.udp_dropped, 1);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    add(&self.shared.metrics.connect_failures, 1);
                }
                Err(_) => return,
            }
        }
    }
}

/// Sends at once: the runtime does not know of a new socket yet that it can be written to.
fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<usize> {
    socket2::SockRef::from(socket).send(datagram)
}

/// Waits for the backend's answers as long as the session lives.
async fn reply(session: Weak<Session>, frontend: Arc<UdpSocket>, client: SocketAddr) {
    loop {
        let Some(upstream) = session.upgrade().map(|session| session.upstream.clone()) else {
            return;
        };
        let _ = upstream.readable().await;
        match session.upgrade() {
            Some(session) => session.drain(&frontend, client),
            None => return,
        }
    }
}

/// A socket that sends to `backend` only, from the client's address where that is possible.
fn dial(client: IpAddr, backend: SocketAddr) -> io::Result<UdpSocket> {
    let from = match backend.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && client.is_loopback() && client.is_ipv4() => client,
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(from, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(backend)?;
    UdpSocket::from_std(socket)
}
