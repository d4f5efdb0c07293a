//! What allocation looks up and no list of objects answers quickly.

use model::{Object, Resource};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Derived from the stored objects: whoever stores them calls [`Indexes::apply`] for each write,
/// within the same batch, and starts anew with [`Indexes::new`] when a batch is thrown away.
///
/// **Invariant.** Equal sets of objects give equal indexes, in whatever order they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    /// How many Services hold a node port; more than one only after a write around allocation
    node_ports: BTreeMap<u16, u32>,
}

impl Indexes {
    /// The indexes of all stored objects; those of other kinds are passed over.
    pub fn new<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let mut indexes = Self::default();
        for object in objects {
            indexes.apply(None, Some(object));
        }
        indexes
    }

    /// Takes in one write: `old` is what was stored before (`None` when it is new), `new` what is
    /// stored now (`None` when it is gone). Costs what the two objects cost.
    pub fn apply(&mut self, old: Option<&Object>, new: Option<&Object>) {
        for port in old.map(held_ports).unwrap_or_default() {
            if let Some(count) = self.node_ports.get_mut(&port) {
                *count -= 1;
                if *count == 0 {
                    self.node_ports.remove(&port);
                }
            }
        }
        for port in new.map(held_ports).unwrap_or_default() {
            *self.node_ports.entry(port).or_default() += 1;
        }
    }

    /// Whether a Service holds `port`, as `nodePort` or `healthCheckNodePort`.
    pub fn node_port_taken(&self, port: u16) -> bool {
        self.node_ports.contains_key(&port)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Held {
    spec: Option<HeldSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HeldSpec {
    r#type: Option<String>,
    ports: Option<Vec<HeldPort>>,
    external_traffic_policy: Option<String>,
    health_check_node_port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HeldPort {
    node_port: Option<u16>,
}

/// The node ports of a Service, each once; TCP and UDP of one Service may share one.
fn held_ports(object: &Object) -> Vec<u16> {
    if object.resource != Resource::SERVICES {
        return Vec::new();
    }
    let Some(spec) = object.parse::<Held>().unwrap_or_default().spec else {
        return Vec::new();
    };
    let kind = spec.r#type.unwrap_or_default();
    let mut held = Vec::new();
    if kind == "NodePort" || kind == "LoadBalancer" {
        let ports = spec.ports.unwrap_or_default();
        held.extend(ports.iter().filter_map(|port| port.node_port));
    }
    if kind == "LoadBalancer" && spec.external_traffic_policy.as_deref() == Some("Local") {
        held.extend(spec.health_check_node_port);
    }
    held.retain(|port| *port != 0);
    held.sort_unstable();
    held.dedup();
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(ports: &[u16]) -> Object {
        let ports: Vec<_> = ports.iter().map(|p| json!({"nodePort": p})).collect();
        let value = json!({"metadata": {"name": "a"}, "spec": {
            "type": "LoadBalancer", "ports": ports,
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999}});
        Object::from_value(Resource::SERVICES, &value).unwrap()
    }

    #[test]
    fn a_change_gives_back_what_it_no_longer_names() {
        let (old, new) = (service(&[30001, 30001, 30002]), service(&[30002, 30003]));
        let mut indexes = Indexes::new([&old]);
        assert!(indexes.node_port_taken(30001) && indexes.node_port_taken(30999));
        indexes.apply(Some(&old), Some(&new));
        assert!(!indexes.node_port_taken(30001) && indexes.node_port_taken(30003));
        assert_eq!(indexes, Indexes::new([&new]));
        indexes.apply(Some(&new), None);
        assert_eq!(indexes, Indexes::default());
    }
}
