//! TCP: accept, choose, connect, splice.

use crate::handover::Handover;
use crate::metrics::{add, subtract};
use crate::relay::{Shared, Target};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Backends that one connection tries before it gives up.
const ATTEMPTS: usize = 5;

/// Accepts until it is aborted.
pub(crate) async fn accept(listener: TcpListener, target: Arc<Target>, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => admit(stream, client, &target, &shared),
            Err(error) => {
                // Out of descriptors or memory: connections wait in the kernel meanwhile.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn admit(stream: TcpStream, client: SocketAddr, target: &Arc<Target>, shared: &Arc<Shared>) {
    add(&shared.metrics.tcp_accepted, 1);
    let welcome = target.route.load().admits(client.ip());
    let permit = shared.permits.clone().try_acquire_owned();
    let (true, Ok(permit)) = (welcome, permit) else {
        add(&shared.metrics.tcp_refused, 1);
        reset(stream);
        return;
    };
    let (target, shared) = (target.clone(), shared.clone());
    tokio::spawn(async move {
        let _permit = permit;
        let mut stop = shared.stop.subscribe();
        add(&shared.metrics.tcp_active, 1);
        tokio::select! {
            () = carry(stream, client, &target, &shared) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        subtract(&shared.metrics.tcp_active, 1);
    });
}

async fn carry(mut stream: TcpStream, client: SocketAddr, target: &Target, shared: &Shared) {
    let Some(mut upstream) = connect(client, target, shared).await else {
        add(&shared.metrics.tcp_refused, 1);
        reset(stream);
        return;
    };
    // Each write of one side goes out at once on the other; batching is up to the ends.
    let _ = (stream.set_nodelay(true), upstream.set_nodelay(true));
    match copy_bidirectional(&mut stream, &mut upstream).await {
        Ok((from_client, from_backend)) => {
            add(&shared.metrics.bytes_in, from_client);
            add(&shared.metrics.bytes_out, from_backend);
        }
        Err(_) => {
            // One end broke off: the other one gets to know it.
            reset(stream);
            reset(upstream);
        }
    }
}

/// Connects to one backend after the other, as the balancer has them.
async fn connect(client: SocketAddr, target: &Target, shared: &Shared) -> Option<TcpStream> {
    if let Some(handover) = &shared.settings.handover {
        return hand_over(client, target, shared, handover).await;
    }
    let mut tried = Vec::new();
    while tried.len() < ATTEMPTS {
        let backend = choose(client.ip(), target, shared, &tried)?;
        let attempt = dial(client.ip(), backend);
        match tokio::time::timeout(shared.settings.connect_timeout, attempt).await {
            Ok(Ok(upstream)) => return Some(upstream),
            Ok(Err(error)) => tracing::debug!(%backend, %error, "backend refuses"),
            Err(_) => tracing::debug!(%backend, "backend does not answer"),
        }
        add(&shared.metrics.connect_failures, 1);
        tried.push(backend);
    }
    None
}

/// Connects to the other data path, which answers for its endpoints.
async fn hand_over(
    client: SocketAddr,
    target: &Target,
    shared: &Shared,
    handover: &Handover,
) -> Option<TcpStream> {
    let (socket, to) = handover
        .open(&target.frontend, &target.route.load(), client.ip())
        .inspect_err(|error| tracing::debug!(%error, "no socket inside"))
        .ok()?;
    let attempt = TcpSocket::from_std_stream(socket.into()).connect(to);
    match tokio::time::timeout(shared.settings.connect_timeout, attempt).await {
        Ok(Ok(upstream)) => return Some(upstream),
        Ok(Err(error)) => tracing::debug!(%to, %error, "the data path refuses"),
        Err(_) => tracing::debug!(%to, "the data path does not answer"),
    }
    add(&shared.metrics.connect_failures, 1);
    None
}

pub(crate) fn choose(
    client: IpAddr,
    target: &Target,
    shared: &Shared,
    tried: &[SocketAddr],
) -> Option<SocketAddr> {
    let route = target.route.load();
    let affinity = route.affinity_seconds.map(u64::from);
    let balancer = target.balancer.load();
    let mut balancer = balancer.lock().unwrap_or_else(PoisonError::into_inner);
    balancer.choose(
        &route.backends,
        client,
        affinity.map(Duration::from_secs),
        shared.now(),
        tried,
    )
}

/// Connects from the client's own address where that is possible, which is on loopback addresses,
/// so that the backend sees who asks.
async fn dial(client: IpAddr, backend: SocketAddr) -> io::Result<TcpStream> {
    let socket = match backend {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    let own = client.is_loopback() && backend.ip().is_loopback() && client.is_ipv4();
    if own && client != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        socket.bind(SocketAddr::new(client, 0))?;
    }
    socket.connect(backend).await
}

/// Closes so that the other end sees a reset, as a kernel without listener would answer.
fn reset(stream: TcpStream) {
    if let Ok(stream) = stream.into_std() {
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}
