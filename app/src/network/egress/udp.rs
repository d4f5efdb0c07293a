//! The way out over UDP: datagrams of Pods end at the edge, and go on from a socket of this
//! machine for each pair of source and destination; answers come back the same way.
//!
//! The kernel leads datagrams to the edge by translating their destination, and by its connection
//! tracking it is found out what the destination was. Two destinations of one source are told
//! apart by that as well: the kernel gives the second one another source port at the edge.

use super::{NodeNetwork, is_outside};
use kernel::conntrack::{Conntrack, Tuple};
use kernel::link::sysctl;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// Sessions at once; a further one takes the place of the one that was silent longest.
const SESSIONS: usize = 512;

/// How long a session may be silent. The kernel has to remember its addresses for longer, or it
/// might give them to another one.
const IDLE: Duration = Duration::from_secs(30);

/// What the kernel is told to remember, in seconds, and what it is set to remember otherwise.
const REMEMBERED: (&str, &str) = ("netfilter/nf_conntrack_udp_timeout", "60");

/// Largest datagram.
const DATAGRAM: usize = 65_535;

/// `IPPROTO_UDP`
pub(super) const UDP: u8 = 17;

type Sessions = Arc<Mutex<BTreeMap<SocketAddr, Session>>>;

/// One source that talks to one destination.
struct Session {
    outer: Arc<UdpSocket>,
    heard: Arc<Mutex<Instant>>,
    /// Carries answers
    task: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries the datagrams of one family that come to `at`. Must be called within a tokio runtime.
///
/// # Errors
/// What the system says.
pub(super) fn start(network: &Arc<NodeNetwork>, at: SocketAddr) -> anyhow::Result<()> {
    // A kernel that does not let us keeps its own time, which is no shorter than a session's.
    if let Err(error) = sysctl(&network.edge, REMEMBERED.0, REMEMBERED.1) {
        tracing::debug!(%error, "sessions over UDP are remembered as the kernel likes");
    }
    let inner = network.edge.udp_bind(at)?;
    inner.set_nonblocking(true)?;
    let relay = Relay {
        inner: Arc::new(UdpSocket::from_std(inner)?),
        tracking: network.edge.run(Conntrack::open)??,
        edge: at,
        network: network.clone(),
        sessions: Sessions::default(),
    };
    tokio::spawn(relay.run());
    Ok(())
}

struct Relay {
    inner: Arc<UdpSocket>,
    tracking: Conntrack,
    edge: SocketAddr,
    network: Arc<NodeNetwork>,
    sessions: Sessions,
}

impl Relay {
    async fn run(mut self) {
        let mut datagram = vec![0; DATAGRAM];
        loop {
            match self.inner.recv_from(&mut datagram).await {
                Ok((len, from)) => {
                    if let Err(error) = self.carry(from, &datagram[..len]).await {
                        tracing::debug!(%error, "a datagram does not get out");
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the edge cannot receive");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn carry(&mut self, from: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let known = self.known(from);
        let outer = match known {
            Some(outer) => outer,
            None => self.begin(from).await?,
        };
        outer.send(datagram).await.map(drop)
    }

    fn known(&self, from: SocketAddr) -> Option<Arc<UdpSocket>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&from)?;
        touch(&session.heard);
        Some(session.outer.clone())
    }

    async fn begin(&mut self, from: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        let wanted = self.destination(from)?;
        let any: IpAddr = match wanted {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let outer = UdpSocket::bind((any, 0)).await?;
        outer.connect(wanted).await?;
        let outer = Arc::new(outer);
        let heard = Arc::new(Mutex::new(Instant::now()));
        let answers = answers(self.inner.clone(), outer.clone(), from, heard.clone());
        let sessions = self.sessions.clone();
        let mut all = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut all);
        let task = tokio::spawn(async move {
            answers.await;
            let mut all = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(&from);
        });
        let session = Session {
            outer: outer.clone(),
            heard,
            task: task.abort_handle(),
        };
        all.insert(from, session);
        Ok(outer)
    }

    /// Where a datagram was to go that came from there to the edge.
    fn destination(&mut self, from: SocketAddr) -> io::Result<SocketAddr> {
        let reply = Tuple {
            source: self.edge.ip(),
            destination: from.ip(),
            protocol: UDP,
            source_port: self.edge.port(),
            destination_port: from.port(),
        };
        let entry = self.tracking.find_reply(&reply).map_err(io::Error::other)?;
        let original = entry.ok_or(io::ErrorKind::NotFound)?.original;
        if !is_outside(original.destination, &self.network) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(SocketAddr::new(
            original.destination,
            original.destination_port,
        ))
    }
}

/// Carries answers back until nothing came or went for a while.
async fn answers(
    inner: Arc<UdpSocket>,
    outer: Arc<UdpSocket>,
    to: SocketAddr,
    heard: Arc<Mutex<Instant>>,
) {
    loop {
        let last = *heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = IDLE.checked_sub(last.elapsed()) else {
            return;
        };
        if timeout(left, outer.readable()).await.is_err() {
            continue;
        }
        // Sessions are many and mostly silent: none keeps a buffer of its own.
        let mut datagram = vec![0; DATAGRAM];
        match outer.try_recv(&mut datagram) {
            Ok(len) => {
                touch(&heard);
                let _ = inner.send_to(&datagram[..len], to).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Nobody listens there, for now: ICMP said so.
            Err(error) => tracing::debug!(%error, "no answer from outside"),
        }
    }
}

fn touch(heard: &Mutex<Instant>) {
    *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

/// Ends the session that was silent longest, if there are too many.
fn make_room(sessions: &mut BTreeMap<SocketAddr, Session>) {
    if sessions.len() < SESSIONS {
        return;
    }
    let last = |session: &Session| *session.heard.lock().unwrap_or_else(PoisonError::into_inner);
    let oldest = sessions.iter().min_by_key(|(_, session)| last(session));
    if let Some(from) = oldest.map(|(from, _)| *from) {
        sessions.remove(&from);
    }
}
