//! Starting and stopping.

use crate::forwarder::Forwarder;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::tcp::{self, Limits};
use crate::udp;
use crate::{Settings, SocketSource};
use arc_swap::ArcSwap;
use dns::Zone;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Tries to find a port that is free over both UDP and TCP.
const PORT_TRIES: usize = 32;
/// What a burst of questions may take before they are read; the kernel caps it.
const RECEIVE_BUFFER: usize = 1 << 20;
const BACKLOG: i32 = 256;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound
    #[error("cannot listen for DNS on {address} over {protocol}: {error}")]
    Listen {
        /// The address
        address: SocketAddr,
        /// `UDP` or `TCP`
        protocol: &'static str,
        /// The system's reason
        error: io::Error,
    },
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    local: Vec<SocketAddr>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds all addresses and serves them on the current tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be bound; then none is.
    pub fn start(settings: &Settings, zone: Arc<ArcSwap<Zone>>) -> Result<Self, StartError> {
        let mut bound = Vec::new();
        for address in &settings.listen {
            bound.push(Listener::bind(*address, settings.workers.max(1), None)?);
        }
        if let Some(inside) = &settings.inside {
            for address in &inside.listen {
                let (workers, sockets) = (settings.workers.max(1), Some(&inside.sockets));
                bound.push(Listener::bind(*address, workers, sockets)?);
            }
        }
        let local: Vec<SocketAddr> = bound.iter().map(|listener| listener.local).collect();
        let metrics = Arc::new(Metrics::default());
        let forwarder = Arc::new(Forwarder::new(settings, &local, metrics.clone()));
        let service = Arc::new(Service {
            zone,
            forwarder: forwarder.clone(),
            metrics: metrics.clone(),
            in_flight: Arc::new(Semaphore::new(settings.max_concurrent)),
        });
        let limits = Arc::new(Limits {
            connections: Arc::new(Semaphore::new(settings.tcp_connections)),
            idle: settings.tcp_idle,
        });
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        for listener in bound {
            for socket in listener.udp {
                tasks.spawn(udp::serve(socket, service.clone(), stopped.clone()));
            }
            let (service, limits) = (service.clone(), limits.clone());
            tasks.spawn(tcp::serve(listener.tcp, service, limits, stopped.clone()));
        }
        if settings.probe_loops {
            tasks.spawn(forwarder.probe());
        }
        Ok(Self {
            local,
            metrics,
            stop,
            tasks,
        })
    }

    /// The addresses that are listened on, in the order of the settings, with real ports; those of
    /// another network come last.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local
    }

    /// Counters, under CoreDNS's names.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Stops listening and ends all connections.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(());
        self.tasks.shutdown().await;
    }
}

/// One address over both transports.
struct Listener {
    local: SocketAddr,
    udp: Vec<UdpSocket>,
    tcp: TcpListener,
}

impl Listener {
    fn bind(
        address: SocketAddr,
        workers: usize,
        from: Option<&SocketSource>,
    ) -> Result<Self, StartError> {
        let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            match Self::bind_both(address, workers, from) {
                Err(error) if tries == 0 => return Err(error),
                Err(_) => {}
                Ok(listener) => return Ok(listener),
            }
        }
    }

    fn bind_both(
        address: SocketAddr,
        workers: usize,
        from: Option<&SocketSource>,
    ) -> Result<Self, StartError> {
        let failed = |address, protocol| {
            move |error| StartError::Listen {
                address,
                protocol,
                error,
            }
        };
        // Shared ports hide that another process has the port: the first bind does not share.
        let alone = udp_socket(address, false, from).map_err(failed(address, "UDP"))?;
        let local = alone.local_addr().map_err(failed(address, "UDP"))?;
        let tcp = tcp_listener(local, from).map_err(failed(local, "TCP"))?;
        if workers == 1 {
            return Ok(Self {
                local,
                udp: vec![alone],
                tcp,
            });
        }
        drop(alone);
        let udp = (0..workers)
            .map(|_| udp_socket(local, true, from))
            .collect::<io::Result<_>>()
            .map_err(failed(local, "UDP"))?;
        Ok(Self { local, udp, tcp })
    }
}

fn udp_socket(
    address: SocketAddr,
    shared: bool,
    from: Option<&SocketSource>,
) -> io::Result<UdpSocket> {
    let socket = match from {
        Some(make) => Socket::from(make(address, true)?),
        None => Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?,
    };
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn tcp_listener(address: SocketAddr, from: Option<&SocketSource>) -> io::Result<TcpListener> {
    let socket = match from {
        Some(make) => Socket::from(make(address, false)?),
        None => Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?,
    };
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
