//! What a server is started with, and why it may not start.

use crate::PodAccess;
use model::Cidr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Metrics of other parts, in Prometheus's text form.
pub type MoreMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Where the cluster reaches the server, when that is another network than its administrator's.
#[derive(Debug)]
pub struct Gate {
    /// They listen already, and do not block
    pub listeners: Vec<std::net::TcpListener>,
    /// What the endpoints of the Service `kubernetes` say
    pub address: SocketAddr,
    /// A kubeconfig for use there (mode 0600)
    pub kubeconfig: PathBuf,
}

/// How the server runs.
pub struct Settings {
    /// Where everything is kept; made when it is missing
    pub data_dir: PathBuf,
    /// Address to listen on; port 0 picks one
    pub listen: SocketAddr,
    /// Where the administrator's kubeconfig is written (mode 0600); `None` writes it to
    /// `kubeconfig` in the data directory
    pub kubeconfig: Option<PathBuf>,
    /// Sockets that listen elsewhere and are served as well, with the address by which the cluster
    /// knows the server instead of `listen`
    pub gate: Option<Gate>,
    /// Service address ranges, primary first
    pub service_cidrs: Vec<Cidr>,
    /// First and last NodePort
    pub node_ports: (u16, u16),
    /// Accept endpoint addresses in 127.0.0.0/8 other than 127.0.0.1
    pub loopback_endpoints: bool,
    /// Who answers for the logs of Pods on this machine
    pub pods: Option<Arc<dyn PodAccess>>,
    /// More text for `/metrics`, which begins with the server's own
    pub metrics: Option<MoreMetrics>,
    /// Watches at once, at most
    pub max_watches: usize,
    /// Connections at once, at most
    pub max_connections: usize,
}

impl Settings {
    /// The defaults with a data directory, an address and service ranges.
    pub fn new(data_dir: impl Into<PathBuf>, listen: SocketAddr, service_cidrs: Vec<Cidr>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen,
            kubeconfig: None,
            gate: None,
            service_cidrs,
            node_ports: (30000, 32767),
            loopback_endpoints: true,
            pods: None,
            metrics: None,
            max_watches: 4096,
            max_connections: 4096,
        }
    }
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the data directory
    #[error(
        "data directory {dir} is in use by process {holder}: stop that process or choose another directory"
    )]
    Locked {
        /// The directory
        dir: PathBuf,
        /// Process id, or `unknown`
        holder: String,
    },
    /// The address cannot be bound
    #[error("cannot listen on {address}: {source}: choose another --api-listen address")]
    Listen {
        /// The address
        address: SocketAddr,
        /// What the system says
        source: std::io::Error,
    },
    /// A file cannot be read or written
    #[error("{path}: {source}")]
    File {
        /// The file
        path: PathBuf,
        /// What the system says
        source: std::io::Error,
    },
    /// The store holds a cluster with other Service addresses
    #[error(
        "the cluster in {dir} has the Service range {stored}, and {wanted} was asked for: its Services keep their addresses, so start it with --service-cidr {stored} or without the flag, or choose another --data-dir for a new cluster"
    )]
    ServiceRange {
        /// The directory
        dir: PathBuf,
        /// What its ServiceCIDR says, as the flag takes it
        stored: String,
        /// What was asked for
        wanted: String,
    },
    /// The store is damaged or cannot be opened
    #[error("store: {0}")]
    Store(#[from] crate::store::StoreError),
    /// Keys or certificates cannot be made or read
    #[error("certificates: {0}")]
    Pki(String),
    /// The objects that every cluster has cannot be written
    #[error("first start: {0}")]
    Bootstrap(String),
}

impl StartError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
