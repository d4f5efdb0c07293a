//! `status.loadBalancer` of Ingresses.

use crate::table::RouteTable;
use model::{NamespacedName, Snapshot};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Addresses under which the listeners are reached, for the status of Ingresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// Addresses and host names
    pub addresses: Vec<String>,
}

/// The statuses that differ from what should be there: Ingress and its new `status`.
pub fn statuses(
    table: &RouteTable,
    snapshot: &Snapshot,
    publish: &Publish,
) -> Vec<(NamespacedName, Value)> {
    let mut wanted: Vec<(Option<IpAddr>, String)> = publish
        .addresses
        .iter()
        .map(|address| match address.parse() {
            Ok(ip) => (Some(ip), String::new()),
            Err(_) => (None, address.clone()),
        })
        .collect();
    wanted.sort();
    let mut out = Vec::new();
    for id in table.ingresses() {
        let Some(ingress) = snapshot.ingresses.get(id) else {
            continue;
        };
        let current = ingress.load_balancer.iter();
        let mut current: Vec<_> = current.map(|lb| (lb.ip, lb.hostname.clone())).collect();
        current.sort();
        if current != wanted {
            out.push((id.clone(), status(&wanted)));
        }
    }
    out
}

fn status(addresses: &[(Option<IpAddr>, String)]) -> Value {
    let ingress: Vec<Value> = addresses
        .iter()
        .map(|(ip, hostname)| match ip {
            Some(ip) => json!({"ip": ip.to_string()}),
            None => json!({"hostname": hostname}),
        })
        .collect();
    json!({"loadBalancer": {"ingress": ingress}})
}
