//! Tracked UDP connections that the plan wants forgotten.

use kernel::conntrack::{Conntrack, Entry};
use proxy::kernel::{ConntrackFlush, FlushTarget};
use std::net::SocketAddr;

const UDP: u8 = 17;

/// Deletes what these ask for.
pub(crate) fn flush(conntrack: &mut Conntrack, flushes: &[ConntrackFlush]) {
    if flushes.is_empty() {
        return;
    }
    let stale = |entry: &Entry| flushes.iter().any(|flush| matches(flush, entry));
    conntrack.flush(Some(UDP), stale).expect("flushed");
}

fn matches(flush: &ConntrackFlush, entry: &Entry) -> bool {
    let to = SocketAddr::new(entry.original.destination, entry.original.destination_port);
    let hit = match &flush.target {
        FlushTarget::Address(address) => to == *address,
        FlushTarget::NodePort {
            ipv4,
            port,
            addresses,
        } => {
            let among = addresses.as_ref().is_none_or(|a| a.contains(&to.ip()));
            to.is_ipv4() == *ipv4 && to.port() == *port && among
        }
    };
    let server = SocketAddr::new(entry.reply.source, entry.reply.source_port);
    hit && !flush.keep.contains(&server)
}
