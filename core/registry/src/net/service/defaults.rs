//! `SetDefaults_Service`.

use crate::net::fields::{child, items_mut, text};
use serde_json::{Map, Value, json};

pub(super) fn apply(service: &mut Value) {
    let spec = child(service, "spec");
    affinity(spec);
    default_text(spec, "type", "ClusterIP");
    if let Some(Value::Array(ports)) = spec.get_mut("ports") {
        ports.iter_mut().for_each(port);
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let has_node_ports = kind == "NodePort" || kind == "LoadBalancer";
    let external_ips =
        matches!(spec.get("externalIPs"), Some(Value::Array(ips)) if !ips.is_empty());
    if has_node_ports || (kind == "ClusterIP" && external_ips) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if has_node_ports || kind == "ClusterIP" {
        default_value(spec, "internalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        default_value(spec, "allocateLoadBalancerNodePorts", true.into());
        ingress_modes(service);
    }
}

fn affinity(spec: &mut Map<String, Value>) {
    default_text(spec, "sessionAffinity", "None");
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") => {
            let config = spec.get("sessionAffinityConfig");
            let seconds = config.and_then(|c| c.get("clientIP")?.get("timeoutSeconds"));
            if seconds.is_none_or(Value::is_null) {
                let config = json!({"clientIP": {"timeoutSeconds": 10800}});
                spec.insert("sessionAffinityConfig".to_owned(), config);
            }
        }
        _ => {}
    }
}

fn port(port: &mut Value) {
    let Value::Object(port) = port else { return };
    default_text(port, "protocol", "TCP");
    let unset = match port.get("targetPort") {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) => name.is_empty(),
        Some(number) => number.as_i64() == Some(0),
    };
    if unset {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        port.insert("targetPort".to_owned(), number.into());
    }
}

/// Addresses of a load balancer are virtual unless they say otherwise.
fn ingress_modes(service: &mut Value) {
    let Some(balancer) = service.pointer_mut("/status/loadBalancer") else {
        return;
    };
    for ingress in items_mut(balancer, "ingress") {
        if text(ingress, "ip").is_empty() {
            continue;
        }
        if let Value::Object(ingress) = ingress {
            default_value(ingress, "ipMode", "VIP".into());
        }
    }
}

fn default_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    if map
        .get(key)
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        map.insert(key.to_owned(), value.into());
    }
}

fn default_value(map: &mut Map<String, Value>, key: &str, value: Value) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), value);
    }
}
