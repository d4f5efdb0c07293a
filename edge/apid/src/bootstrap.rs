//! Objects that every cluster has, written when they are missing.

use crate::hub::Hub;
use crate::{Settings, StartError};
use api::State;
use model::{ApiError, Resource, View};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Checks that the store's cluster has the Service ranges that are asked for: what Services have
/// already would lie outside of others.
pub(crate) fn same_ranges(settings: &Settings, state: &State) -> Result<(), StartError> {
    let Some(stored) = state.get(Resource::SERVICE_CIDRS, "", "kubernetes") else {
        return Ok(());
    };
    let value = stored.value();
    let stored = value["spec"]["cidrs"].as_array().into_iter().flatten();
    let stored: Vec<&str> = stored.filter_map(Value::as_str).collect();
    let wanted = settings.service_cidrs.iter().map(ToString::to_string);
    let wanted: Vec<String> = wanted.collect();
    if stored.is_empty() || stored == wanted {
        return Ok(());
    }
    Err(StartError::ServiceRange {
        dir: settings.data_dir.clone(),
        stored: stored.join(","),
        wanted: wanted.join(","),
    })
}

/// Writes what is missing; `address` is where the API is reached.
pub(crate) async fn run(hub: &Hub, address: SocketAddr) -> Result<(), ApiError> {
    let mut wanted = cluster(hub);
    wanted.extend(api_service(hub, address));
    wanted.extend(access::bootstrap());
    {
        let committed = hub.committed();
        wanted.retain(|(resource, value)| {
            let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
            let there = committed
                .state()
                .get(*resource, text("namespace"), text("name"));
            // Endpoints depend on this run: on the port that was picked.
            let depends = matches!(*resource, Resource::ENDPOINTS | Resource::ENDPOINT_SLICES);
            depends || there.is_none()
        });
    }
    hub.seed(wanted).await
}

/// Namespaces, priority classes and the address range.
fn cluster(hub: &Hub) -> Vec<(Resource, Value)> {
    let mut wanted = Vec::new();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        wanted.push((Resource::NAMESPACES, namespace));
    }
    for class in registry::system_classes() {
        wanted.push((Resource::PRIORITY_CLASSES, class));
    }
    let cidrs: Vec<String> = hub
        .settings
        .service_cidrs
        .iter()
        .map(ToString::to_string)
        .collect();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": crate::clock::now().rfc3339(),
    });
    let cidr = json!({
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": cidrs}, "status": {"conditions": [ready]},
    });
    wanted.push((Resource::SERVICE_CIDRS, cidr));
    wanted
}

/// The Service `default/kubernetes` with its endpoints.
fn api_service(hub: &Hub, address: SocketAddr) -> Vec<(Resource, Value)> {
    let mut wanted = Vec::new();
    let first = hub
        .settings
        .service_cidrs
        .first()
        .and_then(|cidr| cidr.nth(1));
    let Some(cluster_ip) = first.map(|ip| ip.to_string()) else {
        return wanted;
    };
    let family = if cluster_ip.contains(':') {
        "IPv6"
    } else {
        "IPv4"
    };
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": address.port()}],
        },
        "status": {"loadBalancer": {}},
    });
    wanted.push((Resource::SERVICES, service));
    let held = json!({
        "metadata": {"name": cluster_ip, "labels": {
            "ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}},
    });
    wanted.push((Resource::IP_ADDRESSES, held));
    let ip = address.ip().to_string();
    let endpoints = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": ip}], "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}]}],
    });
    wanted.push((Resource::ENDPOINTS, endpoints));
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
    });
    wanted.push((Resource::ENDPOINT_SLICES, slice));
    wanted
}
