//! Objects that every cluster has, written when they are missing.

use crate::hub::Hub;
use model::{ApiError, Resource, View};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Writes what is missing; `address` is where the API is reached.
pub(crate) async fn run(hub: &Hub, address: SocketAddr) -> Result<(), ApiError> {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        missing(hub, Resource::NAMESPACES, namespace).await?;
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
    missing(hub, Resource::SERVICE_CIDRS, cidr).await?;
    api_service(hub, address).await
}

/// The Service `default/kubernetes` with its endpoints.
async fn api_service(hub: &Hub, address: SocketAddr) -> Result<(), ApiError> {
    let first = hub
        .settings
        .service_cidrs
        .first()
        .and_then(|cidr| cidr.nth(1));
    let Some(cluster_ip) = first.map(|ip| ip.to_string()) else {
        return Ok(());
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
    missing(hub, Resource::SERVICES, service).await?;
    let held = json!({
        "metadata": {"name": cluster_ip, "labels": {
            "ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}},
    });
    missing(hub, Resource::IP_ADDRESSES, held).await?;
    let ip = address.ip().to_string();
    let endpoints = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": ip}], "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}]}],
    });
    replace(hub, Resource::ENDPOINTS, endpoints).await?;
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
    });
    replace(hub, Resource::ENDPOINT_SLICES, slice).await
}

async fn missing(hub: &Hub, resource: Resource, value: Value) -> Result<(), ApiError> {
    let text = |key: &str| {
        value["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let there = hub
        .committed()
        .state()
        .get(resource, &text("namespace"), &text("name"));
    match there {
        Some(_) => Ok(()),
        None => hub.seed(resource, value).await,
    }
}

/// Writes what depends on this run, such as the port that was picked.
async fn replace(hub: &Hub, resource: Resource, value: Value) -> Result<(), ApiError> {
    hub.seed(resource, value).await
}
