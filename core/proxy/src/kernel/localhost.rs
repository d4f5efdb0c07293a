//! NodePorts on loopback addresses, which rules cannot serve: a userspace relay does.

use super::NodeSettings;
use super::entry::{Entry, PortPlan};
use crate::{Change, Changes, Frontend, Origin, Policy, Route};
use model::{NamespacedName, Protocol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Routes of the relay.
#[derive(Default)]
pub(super) struct Localhost {
    routes: BTreeMap<Frontend, Arc<Route>>,
    pending: BTreeMap<Frontend, Option<Arc<Route>>>,
}

impl Localhost {
    /// Takes in what became of one Service.
    pub(super) fn change(
        &mut self,
        id: &NamespacedName,
        before: &Entry,
        after: &Entry,
        old: &NodeSettings,
        settings: &NodeSettings,
    ) {
        for (frontend, _) in frontends(before, old) {
            // Another Service may have taken it over in the same batch.
            self.pending.entry(frontend).or_insert(None);
        }
        for (frontend, port) in frontends(after, settings) {
            let route = Arc::new(route(id, port));
            self.pending.insert(frontend, Some(route));
        }
    }

    /// What changed since this was last asked.
    pub(super) fn take_changes(&mut self) -> Changes {
        let mut steps = Vec::new();
        for (frontend, wanted) in std::mem::take(&mut self.pending) {
            let present = self.routes.get(&frontend);
            steps.extend(Change::between(frontend, present, wanted.as_ref()));
            match wanted {
                Some(route) => self.routes.insert(frontend, route),
                None => self.routes.remove(&frontend),
            };
        }
        Changes::new(steps)
    }
}

fn frontends<'a>(
    entry: &'a Entry,
    settings: &'a NodeSettings,
) -> impl Iterator<Item = (Frontend, &'a PortPlan)> {
    let ports = entry.ports.iter().filter(|port| {
        port.granted
            && port.node_port != 0
            && port.node_port_granted
            && port.identity.protocol == Protocol::Tcp
    });
    ports.flat_map(|port| {
        let ipv4 = port.identity.address.is_ipv4();
        let addresses = settings.localhost_node_ports.iter();
        let ours = addresses.filter(move |address| address.is_ipv4() == ipv4);
        ours.map(move |address| {
            let frontend = Frontend {
                address: *address,
                protocol: Protocol::Tcp,
                port: port.node_port,
            };
            (frontend, port)
        })
    })
}

/// This machine's own connections take any endpoint, whatever the external policy.
fn route(id: &NamespacedName, port: &PortPlan) -> Route {
    Route {
        service: id.clone(),
        port_name: port.name.to_string(),
        field: format!("spec.ports[{}].nodePort", port.index),
        origin: Origin::NodePort,
        policy: Policy::Cluster,
        backends: port
            .cluster
            .iter()
            .map(|member| member.at.socket())
            .collect(),
        affinity_seconds: (port.affinity > 0).then_some(port.affinity),
        source_ranges: None,
    }
}
