//! `subsets` of Endpoints in their canonical form.

use super::ports::{self, Port};
use crate::fields::{elements, text};
use crate::hash::fnv128a;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One subset, as made or as read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Subset {
    /// `addresses`
    pub(super) ready: Vec<Value>,
    /// `notReadyAddresses`
    pub(super) not_ready: Vec<Value>,
    /// `ports`
    pub(super) ports: Vec<Port>,
}

impl Subset {
    /// Reads an element of `subsets`.
    pub(super) fn parse(value: &Value) -> Self {
        Self {
            ready: elements(value, "/addresses").to_vec(),
            not_ready: elements(value, "/notReadyAddresses").to_vec(),
            ports: ports::parse_all(elements(value, "/ports")),
        }
    }

    /// As it is written: empty lists are left out.
    pub(super) fn value(&self) -> Value {
        let ports: Vec<Value> = self.ports.iter().map(Port::in_subset).collect();
        let mut out = json!({});
        for (field, list) in [
            ("addresses", &self.ready),
            ("notReadyAddresses", &self.not_ready),
            ("ports", &ports),
        ] {
            if !list.is_empty() {
                out[field] = Value::Array(list.clone());
            }
        }
        out
    }
}

/// Same address and same target: one entry.
type AddressKey = (String, String);

/// Brings subsets into the canonical form: per set of addresses one subset with all its ports. An
/// address that is both ready and not ready on a port is not ready.
pub(super) fn repack(subsets: &[Subset]) -> Vec<Subset> {
    let mut addresses: BTreeMap<AddressKey, &Value> = BTreeMap::new();
    let mut by_port: BTreeMap<Option<&Port>, BTreeMap<AddressKey, bool>> = BTreeMap::new();
    for subset in subsets {
        let ports: Vec<Option<&Port>> = match subset.ports.as_slice() {
            [] => vec![None],
            ports => ports.iter().map(Some).collect(),
        };
        let ready = subset.ready.iter().map(|address| (address, true));
        let not_ready = subset.not_ready.iter().map(|address| (address, false));
        for (address, ready) in ready.chain(not_ready) {
            let key = address_key(address);
            addresses.entry(key.clone()).or_insert(address);
            for port in &ports {
                let states = by_port.entry(*port).or_default();
                let state = states.entry(key.clone()).or_insert(ready);
                *state = *state && ready;
            }
        }
    }
    let mut by_addresses: BTreeMap<BTreeMap<AddressKey, bool>, Vec<Port>> = BTreeMap::new();
    for (port, states) in by_port {
        by_addresses
            .entry(states)
            .or_default()
            .extend(port.cloned());
    }
    let made = by_addresses.into_iter().map(|(states, ports)| {
        let of = |wanted: bool| {
            let chosen = states.iter().filter(move |(_, ready)| **ready == wanted);
            let found = chosen.filter_map(|(key, _)| addresses.get(key));
            found.map(|address| (*address).clone()).collect()
        };
        Subset {
            ready: of(true),
            not_ready: of(false),
            ports: in_order(ports),
        }
    });
    made.collect()
}

fn address_key(address: &Value) -> AddressKey {
    let of = |pointer| text(address, pointer).to_owned();
    (of("/ip"), of("/targetRef/uid"))
}

/// Ports stand in the order of the hash of what Go prints of them.
fn in_order(mut ports: Vec<Port>) -> Vec<Port> {
    ports.sort_by_cached_key(|port| {
        let app_protocol = port.app_protocol.as_deref().unwrap_or("<nil>");
        fnv128a(
            format!(
                "(v1.EndpointPort){{Name:(string){} Port:(int32){} Protocol:(v1.Protocol){} \
                 AppProtocol:(*string){app_protocol}}}",
                port.name,
                port.port.unwrap_or(0),
                port.protocol,
            )
            .as_bytes(),
        )
    });
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(subsets: Value) -> Value {
        let read: Vec<Subset> = elements(&subsets, "").iter().map(Subset::parse).collect();
        repack(&read).iter().map(Subset::value).collect()
    }

    #[test]
    fn ports_of_the_same_addresses_join() {
        let made = packed(json!([
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "a", "port": 1}]},
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "b", "port": 2}]},
            {"notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"name": "b", "port": 2}]},
        ]));
        assert_eq!(made.as_array().map(Vec::len), Some(2), "{made}");
        let again = packed(made.clone());
        assert_eq!(again, made);
    }

    #[test]
    fn not_ready_wins() {
        let made = packed(json!([{
            "addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.1"}],
        }]));
        assert_eq!(made, json!([{"notReadyAddresses": [{"ip": "10.0.0.1"}]}]));
    }
}
