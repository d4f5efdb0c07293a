//! Tracked UDP connections that the plan wants forgotten.

use kernel::conntrack::{Conntrack, Entry};
use proxy::kernel::FlushTarget;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

const UDP: u8 = 17;

/// Deletes those to these destinations, but for those to endpoints that are to be kept.
pub(crate) fn flush(
    conntrack: &mut Conntrack,
    flushes: &BTreeMap<FlushTarget, BTreeSet<SocketAddr>>,
) {
    if flushes.is_empty() {
        return;
    }
    let stale = |entry: &Entry| {
        let server = SocketAddr::new(entry.reply.source, entry.reply.source_port);
        let hit = |(target, keep): (&FlushTarget, &BTreeSet<_>)| {
            leads_to(entry, target) && !keep.contains(&server)
        };
        flushes.iter().any(hit)
    };
    conntrack.flush(Some(UDP), stale).expect("flushed");
}

fn leads_to(entry: &Entry, target: &FlushTarget) -> bool {
    let to = SocketAddr::new(entry.original.destination, entry.original.destination_port);
    match target {
        FlushTarget::Address(address) => to == *address,
        FlushTarget::NodePort {
            ipv4,
            port,
            addresses,
        } => {
            let among = addresses.as_ref().is_none_or(|a| a.contains(&to.ip()));
            to.is_ipv4() == *ipv4 && to.port() == *port && among
        }
    }
}
