//! What is wrong with Services, alone and together.

use super::claims::{Claimed, Claims};
use super::entry::{Entry, PortPlan};
use crate::plan::service_key;
use model::{NamespacedName, Problem, Severity};

/// Every Problem, in order of its object.
pub(super) fn problems<'a>(
    entries: impl IntoIterator<Item = (&'a NamespacedName, &'a Entry)>,
    claims: &Claims,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, entry) in entries {
        problems.extend(entry.problems.iter().cloned());
        for port in &entry.ports {
            for (claimed, field, shown) in lost(port) {
                let winner = claims.winner(claimed).filter(|winner| *winner != id);
                problems.extend(winner.map(|winner| conflict(id, &field, &shown, winner)));
            }
        }
    }
    problems.sort();
    problems
}

/// Whether there may be problems with a Service.
pub(super) fn is_troubled(entry: &Entry) -> bool {
    let mut ports = entry.ports.iter();
    !entry.problems.is_empty() || ports.any(|port| !lost(port).is_empty())
}

/// What a port wanted and did not get, with the field that asks for it.
fn lost(port: &PortPlan) -> Vec<(Claimed, String, String)> {
    let mut lost = Vec::new();
    let field = |name: &str| format!("spec.ports[{}].{name}", port.index);
    if !port.granted {
        let claimed = Claimed::Address(port.identity);
        lost.push((claimed, field("port"), port.identity.to_string()));
    }
    for external in port.externals.iter().filter(|external| !external.granted) {
        let frontend = port.external(external.address);
        let claimed = Claimed::Address(frontend);
        lost.push((claimed, field("port"), frontend.to_string()));
    }
    if port.node_port != 0 && !port.node_port_granted {
        let protocol = port.identity.protocol;
        let ipv4 = port.identity.address.is_ipv4();
        let claimed = Claimed::NodePort(ipv4, protocol, port.node_port);
        let shown = format!("NodePort {}/{}", port.node_port, protocol.as_str());
        lost.push((claimed, field("nodePort"), shown));
    }
    lost
}

fn conflict(id: &NamespacedName, field: &str, shown: &str, winner: &NamespacedName) -> Problem {
    Problem {
        object: service_key(id),
        field: field.to_owned(),
        severity: Severity::Error,
        reason: "AddressConflict",
        message: format!("{shown} belongs to Service {winner} already."),
        cure: "Give one of the two another port or address.".to_owned(),
    }
}
