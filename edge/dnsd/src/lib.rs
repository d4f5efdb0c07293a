//! The DNS listeners: UDP and TCP in front of [`dns::answer`], and the forwarder with its cache
//! for names that are not the cluster's.
//!
//! ```text
//! datagram ─┐            ┌ Reply ────────────────────────────────► out
//! TCP frame ┴ dns::answer┼ Shared ── cache? ─────────────────────► out
//!                        └ Forward ─ cache? ─ flight ─ upstream ─► out
//! ```
//!
//! The zone is read from an [`arc_swap::ArcSwap`] for every question, so that a new zone counts
//! from the next question on; nothing is ever reloaded.
//!
//! **Invariants.** Everything that the network can make grow is bounded: questions in flight, TCP
//! connections and the questions in each, cached answers by number and octets. An idle server has
//! no timer running. No name of the cluster's domain is ever sent to another server.
//!
//! **Does not** decide what a name resolves to: that is `dns`.
#![forbid(unsafe_code)]

mod cache;
mod forwarder;
mod metrics;
mod random;
mod resolv;
mod server;
mod service;
mod tcp;
mod udp;
mod upstream;

pub use metrics::Metrics;
pub use resolv::{nameservers, system_nameservers};
pub use server::{Server, StartError};

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Makes a socket of a network for an address' family: for datagrams if the second argument says
/// so, for a stream otherwise.
pub type SocketSource = Arc<dyn Fn(SocketAddr, bool) -> io::Result<OwnedFd> + Send + Sync>;

/// Addresses of a network that this process is not in.
#[derive(Clone)]
pub struct Inside {
    /// Addresses to listen on, each over UDP and TCP
    pub listen: Vec<SocketAddr>,
    /// Makes the sockets
    pub sockets: SocketSource,
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inside").field(&self.listen).finish()
    }
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on, each over UDP and TCP; port 0 picks a free one
    pub listen: Vec<SocketAddr>,
    /// Addresses of another network to listen on as well
    pub inside: Option<Inside>,
    /// Servers for names that are not the cluster's, the preferred one first
    pub upstreams: Vec<SocketAddr>,
    /// UDP sockets for each address; more than one lets the kernel spread clients over cores
    pub workers: usize,
    /// Most questions that wait for upstreams at a time; more are refused
    pub max_concurrent: usize,
    /// Most TCP connections at a time
    pub tcp_connections: usize,
    /// How long a TCP connection may stay silent
    pub tcp_idle: Duration,
    /// Most answers in the cache
    pub cache_entries: usize,
    /// Most octets of memory that cached answers take
    pub cache_octets: usize,
    /// Whether to ask each upstream once for a name that only this process knows: if the question
    /// comes back here, the upstream forwards to us and is not used
    pub probe_loops: bool,
}

impl Settings {
    /// The usual limits: 1000 questions in flight, 1000 connections that may idle for 10 s, 10,000
    /// cached answers of together 16 MiB, one socket for each address.
    pub fn new(listen: Vec<SocketAddr>, upstreams: Vec<SocketAddr>) -> Self {
        Self {
            listen,
            inside: None,
            upstreams,
            workers: 1,
            max_concurrent: 1000,
            tcp_connections: 1000,
            tcp_idle: Duration::from_secs(10),
            cache_entries: 10_000,
            cache_octets: 16 << 20,
            probe_loops: true,
        }
    }
}
