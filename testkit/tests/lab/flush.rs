//! Tracked UDP connections that the plan wants forgotten.

use kernel::conntrack::{Conntrack, Entry};
use kernel::lab::Machine;
use proxy::kernel::{ConntrackFlush, Forgetting};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

const UDP: u8 = 17;

/// Forgets stale connections of one node, also while its rules change.
pub(crate) struct Forgetter {
    forgetting: Mutex<Forgetting>,
    conntrack: Mutex<Conntrack>,
    local: BTreeSet<IpAddr>,
}

impl Forgetter {
    pub(crate) fn new(node: &Machine) -> Self {
        let conntrack = node.namespace.make(Conntrack::open);
        Self {
            forgetting: Mutex::default(),
            conntrack: Mutex::new(conntrack.expect("inside").expect("conntrack")),
            local: node.addresses.both().into(),
        }
    }

    /// To be called before the rules change.
    pub(crate) fn plan(&self, flushes: Vec<ConntrackFlush>) {
        self.forgetting.lock().expect("no panic").plan(flushes);
    }

    /// To be called when they have changed.
    pub(crate) fn ready(&self) {
        self.forgetting.lock().expect("no panic").ready();
    }

    /// Forgets what is due. Costs a walk over all entries of the whole machine, however few there
    /// are.
    pub(crate) fn pass(&self) {
        self.pass_with(|| {});
    }

    /// The same, and does something at the first entry.
    pub(crate) fn pass_with(&self, meanwhile: impl FnOnce()) {
        let lock = || self.forgetting.lock().expect("no panic");
        if !lock().is_due() {
            return;
        }
        lock().begin();
        let mut meanwhile = Some(meanwhile);
        let stale = |entry: &Entry| {
            if let Some(meanwhile) = meanwhile.take() {
                meanwhile();
            }
            let to = SocketAddr::new(entry.original.destination, entry.original.destination_port);
            let by = SocketAddr::new(entry.reply.source, entry.reply.source_port);
            lock().is_stale(to, by, &self.local)
        };
        let mut conntrack = self.conntrack.lock().expect("no panic");
        conntrack.flush(Some(UDP), stale).expect("flushed");
        lock().end();
    }
}
