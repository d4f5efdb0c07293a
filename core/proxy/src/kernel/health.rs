//! What health servers and metrics of the node shall say.

use super::entry::Entry;
use model::{NamespacedName, Node};
use std::collections::BTreeMap;

/// The taint of nodes that the cluster autoscaler is about to remove.
const AUTOSCALER_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// Whether load balancers should send new connections to the node (KEP-3836): not when it is about
/// to be removed. A node that is not known is not held against it.
pub fn node_eligible(node: Option<&Node>) -> bool {
    node.is_none_or(|node| {
        let marked = node
            .taints
            .iter()
            .any(|taint| taint.key == AUTOSCALER_TAINT);
        !marked && !node.meta.is_deleting()
    })
}

/// What the server on one `spec.healthCheckNodePort` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPort {
    /// The Service
    pub service: NamespacedName,
    /// Number of its ready endpoints on this node; with none the server answers 503
    pub local_endpoints: usize,
}

/// Number of Service ports with policy `Local` that have endpoints, but none on this node
/// (`kubeproxy_sync_proxy_rules_no_local_endpoints_total`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints {
    /// By `internalTrafficPolicy`
    pub internal: usize,
    /// By `externalTrafficPolicy`
    pub external: usize,
}

/// Health ports of all Services.
#[derive(Default)]
pub(super) struct HealthPorts {
    wanted: BTreeMap<u16, BTreeMap<NamespacedName, usize>>,
    ports: BTreeMap<u16, HealthPort>,
    changed: bool,
}

impl HealthPorts {
    pub(super) fn ports(&self) -> &BTreeMap<u16, HealthPort> {
        &self.ports
    }

    /// Whether something changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn change(
        &mut self,
        id: &NamespacedName,
        before: Option<(u16, usize)>,
        after: Option<(u16, usize)>,
    ) {
        if before == after {
            return;
        }
        if let Some((port, _)) = before
            && let Some(services) = self.wanted.get_mut(&port)
        {
            services.remove(id);
        }
        if let Some((port, count)) = after {
            self.wanted
                .entry(port)
                .or_default()
                .insert(id.clone(), count);
        }
        for (port, _) in [before, after].into_iter().flatten() {
            self.settle(port);
        }
    }

    /// The API gives a port to one Service only; should two have it, the first by name keeps it.
    fn settle(&mut self, port: u16) {
        let services = self.wanted.get(&port);
        let first = services.and_then(|services| services.first_key_value());
        let wanted = first.map(|(service, count)| HealthPort {
            service: service.clone(),
            local_endpoints: *count,
        });
        if wanted.is_none() {
            self.wanted.remove(&port);
        }
        if self.ports.get(&port) == wanted.as_ref() {
            return;
        }
        self.changed = true;
        match wanted {
            Some(wanted) => self.ports.insert(port, wanted),
            None => self.ports.remove(&port),
        };
    }
}

/// Counts of [`NoLocalEndpoints`] in both families.
#[derive(Default)]
pub(super) struct Counted {
    ipv4: NoLocalEndpoints,
    ipv6: NoLocalEndpoints,
}

impl Counted {
    pub(super) fn of(&self, ipv4: bool) -> NoLocalEndpoints {
        if ipv4 { self.ipv4 } else { self.ipv6 }
    }

    pub(super) fn change(&mut self, before: &Entry, after: &Entry) {
        self.count(before, |count| *count -= 1);
        self.count(after, |count| *count += 1);
    }

    fn count(&mut self, entry: &Entry, step: impl Fn(&mut usize)) {
        let ports = entry.ports.iter();
        for port in ports.filter(|port| port.granted && port.any && port.local.is_empty()) {
            let counts = if port.identity.address.is_ipv4() {
                &mut self.ipv4
            } else {
                &mut self.ipv6
            };
            if port.internal_local {
                step(&mut counts.internal);
            }
            if port.external_local && port.has_externals() {
                step(&mut counts.external);
            }
        }
    }
}
