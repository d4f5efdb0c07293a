//! Threads and their listeners.

use crate::h1::{self, Peer};
use crate::h2_serve;
use crate::shared::Shared;
use crate::upstream::{Pool, Worker};
use crate::wire::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Longest wait for a TLS handshake or a first byte.
const HANDSHAKE_TIME: Duration = Duration::from_secs(60);
/// How often idle connections to backends are looked through.
const SWEEP: Duration = Duration::from_secs(15);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Checks that nobody listens on an address.
pub(crate) fn probe(address: SocketAddr) -> io::Result<()> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Binds an address; several sockets of this process may share it.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sockets of one thread.
pub(crate) struct Sockets {
    pub(crate) http: Option<std::net::TcpListener>,
    pub(crate) https: Option<std::net::TcpListener>,
}

/// Runs one thread until the server stops and its connections are over.
pub(crate) fn run(shared: Arc<Shared>, sockets: Sockets, drain: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let worker = Arc::new(Worker {
            shared: shared.clone(),
            pool: Pool::default(),
        });
        let mut tasks = Vec::new();
        for (socket, https) in [(sockets.http, false), (sockets.https, true)] {
            if let Some(socket) = socket {
                let listener = TcpListener::from_std(socket)?;
                tasks.push(tokio::spawn(accept(worker.clone(), listener, https)));
            }
        }
        let mut stopping = shared.stopping.subscribe();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                _ = sweep.tick() => worker.pool.sweep(),
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let until = tokio::time::Instant::now() + drain;
        while shared.open.load(Ordering::Relaxed) > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
}

async fn accept(worker: Arc<Worker>, listener: TcpListener, https: bool) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let worker = worker.clone();
        tokio::spawn(async move {
            let shared = worker.shared.clone();
            shared.metrics.accepted.fetch_add(1, Ordering::Relaxed);
            shared.open.fetch_add(1, Ordering::Relaxed);
            let _open = Open(shared);
            let peer = Peer {
                address,
                server_port: port,
                https,
                sni: None,
                certificate: None,
            };
            let _ = stream.set_nodelay(true);
            if https {
                secure(worker, stream, peer).await;
            } else {
                plain(worker, stream, peer).await;
            }
        });
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// HTTP/1, or HTTP/2 when the client knows that we speak it.
async fn plain(worker: Arc<Worker>, stream: TcpStream, peer: Peer) {
    let mut first = [0u8; PREFACE.len()];
    let http2 = worker.shared.table.load().global.http2;
    let peeked = tokio::time::timeout(HANDSHAKE_TIME, peek_preface(&stream, &mut first)).await;
    match peeked {
        Ok(Ok(true)) if http2 => h2_serve::serve(worker, Box::new(stream), peer).await,
        Ok(Ok(_)) => h1::serve(worker, Box::new(stream), peer, &[]).await,
        _ => {}
    }
}

/// Whether the connection begins with the HTTP/2 preface; nothing is taken from it.
async fn peek_preface(stream: &TcpStream, first: &mut [u8]) -> io::Result<bool> {
    loop {
        let n = stream.peek(first).await?;
        let seen = first.get(..n).unwrap_or_default();
        if n == 0 || !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if n == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// TLS; plain HTTP sent here gets 400.
async fn secure(worker: Arc<Worker>, stream: TcpStream, mut peer: Peer) {
    let mut first = [0u8; 1];
    let peeked = tokio::time::timeout(HANDSHAKE_TIME, stream.peek(&mut first)).await;
    match peeked {
        Ok(Ok(1)) if first == [0x16] => {}
        Ok(Ok(1)) if first.first().is_some_and(u8::is_ascii_uppercase) => {
            return plain_to_tls(stream).await;
        }
        _ => return,
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(worker.shared.tls.load_full());
    let handshake = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await;
    let Ok(Ok(stream)) = handshake else {
        worker
            .shared
            .metrics
            .handshake_errors
            .fetch_add(1, Ordering::Relaxed);
        return;
    };
    let (_, session) = stream.get_ref();
    peer.sni = session.server_name().map(str::to_owned);
    let h2 = session.alpn_protocol() == Some(b"h2");
    let stream: Box<dyn Stream> = Box::new(stream);
    if h2 {
        h2_serve::serve(worker, stream, peer).await;
    } else {
        h1::serve(worker, stream, peer, &[]).await;
    }
}

async fn plain_to_tls(mut stream: TcpStream) {
    use tokio::io::AsyncWriteExt;
    let mut buffer = [0u8; 4096];
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
    let body = "The plain HTTP request was sent to HTTPS port\n";
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
