//! HTTP and HTTPS listeners that carry out what `gateway` decides.
//!
//! ```text
//! accept ─(TLS by SNI)─► h1 | h2 ─head─► gateway::select ─► answer | endpoint ─► response
//! ```
//!
//! One single-threaded runtime per thread, each with its own sockets on the same address. The
//! route table, endpoints and certificates are pointers that [`Server::publish`] and its sisters
//! swap; listeners are bound once and nothing is ever reloaded, so that no connection ends because
//! of a change.
//!
//! HTTP/1 is spoken by our own codec on both sides, because ingress-nginx forwards request targets
//! and header fields byte for byte, also such as HTTP libraries refuse or change.
//!
//! **Invariants.** Everything from the network is bounded in memory and time. A request sees one
//! table from beginning to end.
//!
//! **Does not** decide anything about routes, redirects or headers.
#![forbid(unsafe_code)]

mod body;
mod clock;
mod grpc;
mod h1;
mod h2_serve;
mod id;
mod limits;
mod listen;
mod log;
mod metrics;
mod proxy;
mod relay;
mod shared;
mod sink;
mod splice;
mod tls;
mod upstream;
mod wire;

use arc_swap::ArcSwap;
use gateway::{Certificates, EndpointSet, RouteTable, ServiceRef, Update};
use shared::{Shared, system_lookup};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

pub use shared::Lookup;
pub use tls::{CertificateError, check_key_pair};

/// Makes a socket to connect to an address with, or leaves that to the server (`None`).
pub type SocketSource =
    Arc<dyn Fn(SocketAddr) -> Option<io::Result<std::os::fd::OwnedFd>> + Send + Sync>;

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    /// Address of the HTTP listener; port 0 picks one
    pub http: Option<SocketAddr>,
    /// Address of the HTTPS listener; port 0 picks one
    pub https: Option<SocketAddr>,
    /// Threads, at least one
    pub threads: usize,
    /// How long connections may take to end at shutdown
    pub drain: Duration,
    /// Makes the sockets that connect to backends; `None` makes them in this process's network
    pub sockets: Option<SocketSource>,
    /// Looks names of ExternalName Services up; `None` asks the system
    pub lookup: Option<Lookup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: None,
            https: None,
            threads: 1,
            drain: Duration::from_secs(10),
            sockets: None,
            lookup: None,
        }
    }
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address
        address: SocketAddr,
        /// Why
        source: io::Error,
    },
    /// TLS cannot be set up
    #[error("cannot set TLS up: {0}")]
    Tls(String),
    /// A thread cannot be started
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddresses {
    /// HTTP
    pub http: Option<SocketAddr>,
    /// HTTPS
    pub https: Option<SocketAddr>,
}

/// Running listeners. Dropping it stops them at once; [`Server::shutdown`] lets requests finish.
pub struct Server {
    shared: Arc<Shared>,
    addresses: LocalAddresses,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Binds the addresses, without serving anything yet: the port that was picked may be needed
    /// to plan the table.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn bind(settings: &Settings) -> Result<Bound, StartError> {
        let threads = settings.threads.max(1);
        let mut sockets: Vec<listen::Sockets> = (0..threads)
            .map(|_| listen::Sockets {
                http: None,
                https: None,
            })
            .collect();
        let mut addresses = LocalAddresses {
            http: settings.http,
            https: settings.https,
        };
        for (n, socket) in sockets.iter_mut().enumerate() {
            let first = n == 0;
            socket.http = addresses
                .http
                .map(|a| bind(a, &mut addresses.http, first))
                .transpose()?;
            socket.https = addresses
                .https
                .map(|a| bind(a, &mut addresses.https, first))
                .transpose()?;
        }
        Ok(Bound {
            settings: settings.clone(),
            sockets,
            addresses,
        })
    }

    /// Binds and serves.
    ///
    /// # Errors
    /// When an address cannot be bound or TLS cannot be set up.
    pub fn start(settings: &Settings, table: Arc<RouteTable>) -> Result<Self, StartError> {
        Self::bind(settings)?.serve(table)
    }

    /// Where it listens.
    pub fn local_addrs(&self) -> LocalAddresses {
        self.addresses
    }

    /// Takes a new route table.
    pub fn publish(&self, table: Arc<RouteTable>) {
        match tls::server_config(&self.shared.resolver, &table) {
            Ok(config) => self.shared.tls.store(config),
            Err(error) => tracing::error!(%error, "the TLS settings cannot be used"),
        }
        self.shared.table.store(table);
    }

    /// Takes the endpoints of one Service.
    pub fn publish_endpoints(&self, service: ServiceRef, set: EndpointSet) {
        self.shared.publish_endpoints(service, set);
    }

    /// Takes new certificates, and tells which of them cannot be used.
    pub fn publish_certificates(&self, certificates: &Certificates) -> Vec<CertificateError> {
        self.shared.resolver.publish(certificates)
    }

    /// Takes an update of `gateway::Planner`: certificates and endpoints first, so that a route is
    /// never there before what it needs.
    pub fn apply(&self, update: Update) -> Vec<CertificateError> {
        let certificates = update.certificates.as_ref();
        let errors = certificates.map_or_else(Vec::new, |c| self.publish_certificates(c));
        for (service, set) in update.endpoints {
            self.publish_endpoints(service, set);
        }
        if let Some(table) = update.table {
            self.publish(table);
        }
        self.shared.remove_endpoints(&update.removed);
        errors
    }

    /// Counters as Prometheus text.
    pub fn metrics(&self) -> String {
        let open = self.shared.open.load(Ordering::Relaxed);
        self.shared.metrics.render(open)
    }

    /// Stops accepting, lets requests finish, and returns when all threads are done. It blocks for
    /// at most the drain time.
    pub fn shutdown(mut self) {
        self.shared.stopping.send_replace(true);
        for thread in self.threads.drain(..) {
            if matches!(thread.join(), Err(_) | Ok(Err(_))) {
                tracing::error!("a listener thread failed");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
    }
}

fn bind(
    address: SocketAddr,
    chosen: &mut Option<SocketAddr>,
    first: bool,
) -> Result<std::net::TcpListener, StartError> {
    let error = |source| StartError::Bind { address, source };
    if first && address.port() != 0 {
        // Sockets that share a port may belong to another process; only its own may share ours.
        listen::probe(address).map_err(error)?;
    }
    let socket = listen::bind(address).map_err(error)?;
    *chosen = Some(socket.local_addr().map_err(error)?);
    Ok(socket)
}

/// Addresses that are bound and not served yet.
pub struct Bound {
    settings: Settings,
    sockets: Vec<listen::Sockets>,
    addresses: LocalAddresses,
}

impl Bound {
    /// Where it will listen.
    pub fn local_addrs(&self) -> LocalAddresses {
        self.addresses
    }

    /// Serves.
    ///
    /// # Errors
    /// When TLS or a thread cannot be set up.
    pub fn serve(self, table: Arc<RouteTable>) -> Result<Server, StartError> {
        let resolver = Arc::new(tls::Resolver::new().map_err(StartError::Tls)?);
        let tls = tls::server_config(&resolver, &table)
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let shared = Arc::new(Shared {
            table: ArcSwap::new(table),
            services: ArcSwap::default(),
            resolver,
            tls: ArcSwap::new(tls),
            metrics: metrics::Metrics::default(),
            limits: limits::Limits::new(),
            sockets: self.settings.sockets.clone(),
            lookup: self.settings.lookup.clone().unwrap_or_else(system_lookup),
            stopping: watch::Sender::new(false),
            open: std::sync::atomic::AtomicUsize::new(0),
        });
        let mut threads = Vec::new();
        for (index, sockets) in self.sockets.into_iter().enumerate() {
            let (shared, drain) = (shared.clone(), self.settings.drain);
            let thread = std::thread::Builder::new()
                .name(format!("httpd-{index}"))
                .spawn(move || listen::run(shared, sockets, drain))?;
            threads.push(thread);
        }
        Ok(Server {
            shared,
            addresses: self.addresses,
            threads,
        })
    }
}
