//! Fields that mean nothing under a new `type` are wiped, as long as the user did not change them
//! in the same request (which validation then refuses).
//!
//! Source: `dropTypeDependentFields`.

use super::spec::Spec;
use crate::net::fields::{child, items_mut};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Wipes what only the old type could have; `spec` and `old` are the Services as they came in.
pub(super) fn wipe(service: &mut Value, spec: &Spec, old: &Spec) {
    let fields = child(service, "spec");
    if !old.is_external_name() && spec.is_external_name() {
        if old.cluster_ip == spec.cluster_ip && old.cluster_ips == spec.cluster_ips {
            fields.remove("clusterIP");
            fields.remove("clusterIPs");
        }
        if old.ip_families == spec.ip_families {
            fields.remove("ipFamilies");
        }
        if old.ip_family_policy == spec.ip_family_policy {
            fields.remove("ipFamilyPolicy");
        }
    }
    if old.needs_health_check()
        && !spec.needs_health_check()
        && old.health_check_node_port == spec.health_check_node_port
    {
        fields.remove("healthCheckNodePort");
    }
    if old.is_load_balancer() && !spec.is_load_balancer() {
        if old.allocate_load_balancer_node_ports == spec.allocate_load_balancer_node_ports {
            fields.remove("allocateLoadBalancerNodePorts");
        }
        if old.load_balancer_class == spec.load_balancer_class {
            fields.remove("loadBalancerClass");
        }
    }
    if old.externally_accessible()
        && !spec.externally_accessible()
        && old.external_traffic_policy == spec.external_traffic_policy
    {
        fields.remove("externalTrafficPolicy");
    }
    if old.has_node_ports() && !spec.has_node_ports() && names_no_new_port(spec, old) {
        for port in items_mut(&mut service["spec"], "ports") {
            if let Value::Object(port) = port {
                port.remove("nodePort");
            }
        }
    }
    if !spec.is_load_balancer() {
        child(service, "status").insert("loadBalancer".to_owned(), json!({}));
    }
}

fn names_no_new_port(spec: &Spec, old: &Spec) -> bool {
    let old: BTreeSet<i64> = old.node_ports().into_iter().collect();
    spec.node_ports().iter().all(|port| old.contains(port))
}
