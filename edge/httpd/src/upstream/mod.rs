//! Connections to backends, kept per thread.

pub(crate) mod exchange;
pub(crate) mod grpc;
mod tls;

use crate::SocketSource;
use crate::wire::{self, Reader, Stream, Writer};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

/// Idle connections kept per thread (`upstream-keepalive-connections`).
const IDLE_LIMIT: usize = 320;
/// How long an idle connection is kept (`upstream-keepalive-timeout`).
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Requests on one connection (`upstream-keepalive-requests`).
const REQUEST_LIMIT: u64 = 10_000;

/// Who a connection may be shared with: same address, same TLS settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) address: SocketAddr,
    /// Server name for TLS; `None` without TLS
    pub(crate) tls: Option<String>,
}

/// A connection to a backend.
pub(crate) struct Upstream {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) reused: bool,
    requests: u64,
}

struct Idle {
    upstream: Upstream,
    since: Instant,
}

/// Idle connections of one thread.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<PoolKey, Vec<Idle>>>,
    pub(crate) grpc: grpc::GrpcPool,
}

impl Pool {
    /// An idle connection that is still alive.
    pub(crate) async fn reuse(&self, key: &PoolKey) -> Option<Upstream> {
        loop {
            let mut upstream = self.pop(key)?;
            if !upstream.reader.is_stale().await {
                upstream.reused = true;
                return Some(upstream);
            }
        }
    }

    fn pop(&self, key: &PoolKey) -> Option<Upstream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let list = idle.get_mut(key)?;
        let found = list.pop();
        if list.is_empty() {
            idle.remove(key);
        }
        found
            .filter(|found| found.since.elapsed() < IDLE_TIME)
            .map(|found| found.upstream)
    }

    /// Keeps a connection for later.
    pub(crate) fn keep(&self, key: PoolKey, mut upstream: Upstream) {
        upstream.requests += 1;
        if upstream.requests >= REQUEST_LIMIT {
            return;
        }
        upstream.reader.release();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.values().map(Vec::len).sum::<usize>() < IDLE_LIMIT {
            let since = Instant::now();
            idle.entry(key).or_default().push(Idle { upstream, since });
        }
    }

    /// Closes what was idle for too long.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, list| {
            list.retain(|entry| entry.since.elapsed() < IDLE_TIME);
            !list.is_empty()
        });
    }
}

/// Opens a connection.
pub(crate) async fn connect(
    key: &PoolKey,
    limit: Duration,
    from: Option<&SocketSource>,
) -> io::Result<Upstream> {
    let stream = open(key, limit, &[], from).await?;
    let (reader, writer) = wire::split(stream);
    Ok(Upstream {
        reader,
        writer,
        reused: false,
        requests: 0,
    })
}

/// Opens a byte stream, with TLS when the key says so.
pub(crate) async fn open(
    key: &PoolKey,
    limit: Duration,
    alpn: &[&[u8]],
    from: Option<&SocketSource>,
) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = dial(key.address, from).await?;
        stream.set_nodelay(true)?;
        match &key.tls {
            None => Ok(Box::new(stream) as Box<dyn Stream>),
            Some(name) => tls::wrap(stream, name, key.address.ip(), alpn).await,
        }
    };
    match tokio::time::timeout(limit, connecting).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn dial(address: SocketAddr, from: Option<&SocketSource>) -> io::Result<TcpStream> {
    let Some(made) = from.and_then(|make| make(address)) else {
        return TcpStream::connect(address).await;
    };
    let socket = std::net::TcpStream::from(made?);
    socket.set_nonblocking(true)?;
    TcpSocket::from_std_stream(socket).connect(address).await
}

/// Shared by all connections of a thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<crate::shared::Shared>,
    pub(crate) pool: Pool,
}
