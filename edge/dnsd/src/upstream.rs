//! One question to one other server.

use crate::random::Random;
use dns::{Key, Mismatch, Stored, upstream_query};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Largest datagram that is read; we ask for no more than 1232 octets.
const DATAGRAM: usize = 4096;
/// Foreign datagrams that are passed over before a question is given up: someone is guessing.
const FOREIGN_MAX: usize = 32;
/// Failures in a row after which a server is passed over.
const FAILS_DOWN: u32 = 2;
/// How long it is passed over before it gets a question again.
const DOWN_FOR: Duration = Duration::from_secs(5);

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("the answer is malformed")]
    Malformed,
    #[error("too many datagrams that answer something else")]
    Foreign,
}

/// Another server and how it fares.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    fails: AtomicU32,
    down_since: Mutex<Option<Instant>>,
    /// It forwards to us
    pub(crate) looped: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            fails: AtomicU32::new(0),
            down_since: Mutex::new(None),
            looped: AtomicBool::new(false),
        }
    }

    /// Whether it answered lately, or is due for another try.
    pub(crate) fn is_up(&self, now: Instant) -> bool {
        let since = self.down_since.lock().unwrap_or_else(|e| e.into_inner());
        since.is_none_or(|since| now.saturating_duration_since(since) >= DOWN_FOR)
    }

    /// Notes how a question went; true when the server goes down by it.
    pub(crate) fn note(&self, answered: bool, now: Instant) -> bool {
        let mut since = self.down_since.lock().unwrap_or_else(|e| e.into_inner());
        if answered {
            self.fails.store(0, Ordering::Relaxed);
            *since = None;
            return false;
        }
        let fails = self.fails.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if fails < FAILS_DOWN {
            return false;
        }
        since.replace(now).is_none()
    }

    /// Asks and waits for the answer for at most `patience`. Over UDP, the answer may be cut.
    pub(crate) async fn ask(
        &self,
        key: &Key,
        tcp: bool,
        random: &Random,
        patience: Duration,
    ) -> Result<Stored, AskError> {
        let once = async |edns: bool| {
            let id = random.id();
            let asked = Asked {
                key,
                id,
                edns,
                query: upstream_query(key, id, edns),
            };
            let answer = async {
                if tcp {
                    over_tcp(self.address, &asked).await
                } else {
                    over_udp(self.address, &asked).await
                }
            };
            timeout(patience, answer).await?
        };
        match once(true).await? {
            Some(stored) => Ok(stored),
            None => once(false).await?.ok_or(AskError::Malformed),
        }
    }
}

struct Asked<'k> {
    key: &'k Key,
    id: u16,
    edns: bool,
    query: Vec<u8>,
}

impl Asked<'_> {
    fn read(&self, message: &[u8]) -> Result<Stored, Mismatch> {
        Stored::read(self.key, self.id, self.edns, message)
    }
}

/// A socket of its own for each question: the kernel draws its port. `None` when the server does
/// not know EDNS.
async fn over_udp(address: SocketAddr, asked: &Asked<'_>) -> Result<Option<Stored>, AskError> {
    let local: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(address).await?;
    socket.send(&asked.query).await?;
    let mut buffer = vec![0; DATAGRAM];
    for _ in 0..FOREIGN_MAX {
        let length = socket.recv(&mut buffer).await?;
        match asked.read(&buffer[..length]) {
            Ok(stored) => return Ok(Some(stored)),
            Err(Mismatch::NoEdns) => return Ok(None),
            Err(Mismatch::Malformed) => return Err(AskError::Malformed),
            Err(Mismatch::Foreign) => {}
        }
    }
    Err(AskError::Foreign)
}

async fn over_tcp(address: SocketAddr, asked: &Asked<'_>) -> Result<Option<Stored>, AskError> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let length = u16::try_from(asked.query.len()).unwrap_or(u16::MAX);
    let frame = [&length.to_be_bytes()[..], &asked.query].concat();
    stream.write_all(&frame).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    match asked.read(&buffer) {
        Ok(stored) => Ok(Some(stored)),
        Err(Mismatch::NoEdns) => Ok(None),
        Err(Mismatch::Malformed) => Err(AskError::Malformed),
        Err(Mismatch::Foreign) => Err(AskError::Foreign),
    }
}
