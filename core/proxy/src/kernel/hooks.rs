//! Connections of this machine that can be led to an endpoint when a socket connects, with the
//! same verdict as the rules have.
//!
//! Those are connections to ClusterIPs whose endpoint is chosen by chance alone. Whatever asks
//! for more is left to the rules: affinity and consistent choice, for which a socket is too
//! young; external addresses and NodePorts, which are masqueraded or check sources; refusals,
//! which only rules answer as the API promises.

use super::NodeSettings;
use super::entry::{Entry, PortPlan};
use super::shape::Choice;
use crate::Frontend;
use model::{NamespacedName, Protocol};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Endpoints by slot, each slot with the same share of connections.
pub type HookSlots = Vec<SocketAddr>;

/// What changed for hooks, and was not yet told.
#[derive(Default)]
pub(super) struct Hooks {
    pending: BTreeMap<Frontend, HookSlots>,
}

impl Hooks {
    /// Takes in what became of one Service.
    pub(super) fn change(
        &mut self,
        before: &Entry,
        after: &Entry,
        old: &NodeSettings,
        settings: &NodeSettings,
    ) {
        if !old.connect_hooks && !settings.connect_hooks {
            return;
        }
        let mut gone: BTreeMap<Frontend, HookSlots> = led(before, old).collect();
        for (frontend, slots) in led(after, settings) {
            if gone.remove(&frontend).as_ref() != Some(&slots) {
                self.pending.insert(frontend, slots);
            }
        }
        for frontend in gone.into_keys() {
            // Another Service may have taken it over in the same batch.
            self.pending.entry(frontend).or_default();
        }
    }

    /// What changed since this was last asked; frontends without slots are not led any more.
    pub(super) fn take_changes(&mut self) -> BTreeMap<Frontend, HookSlots> {
        std::mem::take(&mut self.pending)
    }
}

/// All that is led.
pub(super) fn whole(
    entries: &BTreeMap<NamespacedName, Entry>,
    settings: &NodeSettings,
) -> BTreeMap<Frontend, HookSlots> {
    let entries = entries.values();
    entries.flat_map(|entry| led(entry, settings)).collect()
}

fn led<'a>(
    entry: &'a Entry,
    settings: &'a NodeSettings,
) -> impl Iterator<Item = (Frontend, HookSlots)> + 'a {
    let ports = entry.ports.iter();
    let ports = ports.filter(|plan| can_be_led(plan, settings));
    ports.filter_map(|plan| {
        let members = if plan.internal_local {
            &plan.local
        } else {
            &plan.cluster
        };
        let slots = plan.slots(members).into_iter().map(|at| at.socket());
        let slots: HookSlots = slots.collect();
        (!slots.is_empty()).then_some((plan.identity, slots))
    })
}

fn can_be_led(plan: &PortPlan, settings: &NodeSettings) -> bool {
    let protocol = match plan.identity.protocol {
        Protocol::Udp => true,
        // Rules reset what they have rewritten.
        Protocol::Tcp => !settings.reset_removed,
        Protocol::Sctp => false,
    };
    settings.connect_hooks
        && !settings.masquerade_all
        && protocol
        && plan.granted
        && plan.on_cluster_ip
        && plan.any
        && plan.choice == Choice::Random
        && plan.affinity == 0
}
