//! Tracked connections that lead nowhere any more.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Original destination of tracked connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushTarget {
    /// An address and port of a Service
    Address(SocketAddr),
    /// A NodePort
    NodePort {
        /// Whether of IPv4
        ipv4: bool,
        /// Port number
        port: u16,
        /// Addresses of this node that NodePorts answer on; `None` for any
        addresses: Option<BTreeSet<IpAddr>>,
    },
}

/// UDP entries to delete: those with this original destination whose reply source (where the
/// packets really go) is none of `keep`. To be done after the transaction that it came with, for
/// until then packets would make the same entries again. TCP is left alone: its clients notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConntrackFlush {
    /// Original destination
    pub target: FlushTarget,
    /// Endpoints that still serve
    pub keep: BTreeSet<SocketAddr>,
}
