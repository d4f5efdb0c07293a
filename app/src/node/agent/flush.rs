//! Tracked connections that lead nowhere any more are forgotten.

use super::lock;
use kernel::NetlinkError;
use kernel::conntrack::{Conntrack, Entry, Flushed};
use kernel::link::Links;
use proxy::kernel::Forgetting;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

const UDP: u8 = 17;

/// Forgets what waits, in one pass over all entries of UDP. It is not locked meanwhile.
pub(super) fn pass(
    forgetting: &Mutex<Forgetting>,
    conntrack: &mut Conntrack,
) -> Result<Flushed, NetlinkError> {
    let everywhere = lock(forgetting).begin();
    let local = match everywhere {
        true => local_addresses(),
        false => BTreeSet::new(),
    };
    let stale = |entry: &Entry| {
        let to = SocketAddr::new(entry.original.destination, entry.original.destination_port);
        let by = SocketAddr::new(entry.reply.source, entry.reply.source_port);
        lock(forgetting).is_stale(to, by, &local)
    };
    let flushed = conntrack.flush(Some(UDP), stale);
    lock(forgetting).end();
    flushed
}

/// Those of the thread's network namespace.
fn local_addresses() -> BTreeSet<IpAddr> {
    let listed = Links::open_here().and_then(|mut links| links.addresses());
    let listed =
        listed.inspect_err(|error| tracing::warn!(%error, "stale flows of NodePorts stay"));
    let listed = listed.unwrap_or_default().into_iter();
    listed.map(|address| address.address).collect()
}
