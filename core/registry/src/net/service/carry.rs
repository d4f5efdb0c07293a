//! What an update may leave out: allocated values are carried over from the stored Service, and
//! `clusterIP` and `clusterIPs` are brought into step, so that a client may send its YAML again.

use super::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// Takes addresses and node ports over that the client did not name.
pub(super) fn carry_over(spec: &mut Spec, old: &Spec) {
    if !old.is_external_name() && !spec.is_external_name() {
        if spec.cluster_ip.is_empty() {
            spec.cluster_ip.clone_from(&old.cluster_ip);
        }
        if spec.cluster_ips.is_empty() {
            spec.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if old.wants_node_ports() && spec.wants_node_ports() {
        carry_node_ports(spec, old);
    }
    if old.needs_health_check() && spec.needs_health_check() && spec.health_check_node_port == 0 {
        spec.health_check_node_port = old.health_check_node_port;
    }
}

/// Ports keep their number by name, unless another port took it.
fn carry_node_ports(spec: &mut Spec, old: &Spec) {
    let kept: BTreeSet<i64> = old.node_ports().into_iter().collect();
    let kept: BTreeSet<i64> = spec
        .node_ports()
        .into_iter()
        .filter(|port| kept.contains(port))
        .collect();
    let by_name: BTreeMap<&str, i64> = old
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.node_port))
        .collect();
    for port in spec.ports.iter_mut().filter(|port| port.node_port == 0) {
        let number = by_name.get(port.name.as_str()).copied().unwrap_or(0);
        if !kept.contains(&number) {
            port.node_port = number;
        }
    }
}

/// Makes the plural out of the singular where only that one was set or changed. It looks at
/// nothing else: validation tells what does not fit.
pub(super) fn align_addresses(spec: &mut Spec, old: Option<&Spec>) {
    let Some(old) = old else {
        if !spec.cluster_ip.is_empty() && spec.cluster_ips.is_empty() {
            spec.cluster_ips = vec![spec.cluster_ip.clone()];
        }
        return;
    };
    let same_singular = old.cluster_ip == spec.cluster_ip;
    if same_singular && spec.cluster_ips.is_empty() {
        spec.cluster_ips.clone_from(&old.cluster_ips);
    }
    if !same_singular && old.cluster_ips == spec.cluster_ips {
        if spec.cluster_ip.is_empty() {
            spec.cluster_ips.clear();
        } else {
            spec.cluster_ips = vec![spec.cluster_ip.clone()];
        }
    }
}
