//! EndpointSlices (discovery.k8s.io/v1).

use super::endpoint_ip;
use super::fields::{first_generation, items, items_mut, label, next_generation, read, same, text};
use super::service::check_protocol;
use crate::field::{ip, names};
use crate::{Context, Strategy};
use model::{FieldError, FieldErrorKind};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_PORTS: usize = 20_000;
const MOST_HINTS: usize = 8;
const MOST_TOPOLOGY_LABELS: usize = 16;
/// Controllers whose slices are right by construction, so that no time is spent on warnings
const OWN_CONTROLLERS: &[&str] = &[
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
];

/// The rules of EndpointSlices.
pub(crate) struct EndpointSlices;

impl Strategy for EndpointSlices {
    fn default(&self, object: &mut Value) {
        for port in items_mut(object, "ports") {
            for (key, value) in [("name", ""), ("protocol", "TCP")] {
                if port.get(key).is_none_or(Value::is_null) {
                    port[key] = value.into();
                }
            }
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        first_generation(object);
        drop_topology(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        let parts = ["addressType", "endpoints", "ports"];
        let changed = parts.iter().any(|p| !same(object.get(*p), old.get(*p)))
            || !same(
                object.pointer("/metadata/labels"),
                old.pointer("/metadata/labels"),
            );
        next_generation(object, old, changed);
        if !same(object.get("endpoints"), old.get("endpoints")) {
            drop_topology(object);
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut errors = check_type_and_ports(object);
        errors.extend(check_endpoints(object, context.loopback_endpoints));
        errors
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = check_type_and_ports(object);
        // What was stored may have been fine under older rules.
        if !same(object.get("endpoints"), old.get("endpoints")) {
            errors.extend(check_endpoints(object, context.loopback_endpoints));
        }
        let kind = text(object, "addressType");
        if kind != text(old, "addressType") {
            let detail = "field is immutable";
            errors.push(FieldError::invalid("addressType", &kind.into(), detail));
        }
        errors
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let mut warnings = Vec::new();
        if old.is_none() && text(object, "addressType") == "FQDN" {
            // The path is the real one's, though there is no spec.
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        if OWN_CONTROLLERS.contains(&label(object, "endpointslice.kubernetes.io/managed-by")) {
            return warnings;
        }
        for (i, endpoint) in items(object, "endpoints").iter().enumerate() {
            for (j, address) in items(endpoint, "addresses").iter().enumerate() {
                let field = format!("endpoints[{i}].addresses[{j}]");
                let address = address.as_str().unwrap_or_default();
                warnings.extend(ip::ip_warnings(&field, address));
            }
        }
        warnings
    }
}

/// Writes of `deprecatedTopology` are dropped in v1.
fn drop_topology(object: &mut Value) {
    for endpoint in items_mut(object, "endpoints") {
        if let Value::Object(endpoint) = endpoint {
            endpoint.remove("deprecatedTopology");
        }
    }
}

fn too_many(field: &str, count: usize, most: usize) -> FieldError {
    let detail = format!("must have at most {most} items");
    FieldError::new(FieldErrorKind::TooMany, field, Some(&count.into()), detail)
}

fn check_type_and_ports(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let kind = text(object, "addressType");
    if kind.is_empty() {
        errors.push(FieldError::required("addressType", ""));
    } else if !ADDRESS_TYPES.contains(&kind) {
        let value = kind.into();
        errors.push(FieldError::not_supported(
            "addressType",
            &value,
            ADDRESS_TYPES,
        ));
    }
    let ports = items(object, "ports");
    if ports.len() > MOST_PORTS {
        errors.push(too_many("ports", ports.len(), MOST_PORTS));
        return errors;
    }
    let mut seen = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        errors.extend(check_port(&format!("ports[{i}]"), port, &mut seen));
    }
    errors
}

fn check_port<'a>(field: &str, port: &'a Value, seen: &mut BTreeSet<&'a str>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = text(port, "name");
    let name_field = format!("{field}.name");
    if !name.is_empty() {
        errors.extend(invalid(&name_field, name, names::dns1123_label(name)));
    }
    if !seen.insert(name) {
        errors.push(FieldError::duplicate(name_field, &name.into()));
    }
    let protocol_field = format!("{field}.protocol");
    match port.get("protocol").and_then(Value::as_str) {
        // Set and empty is no protocol, rather than a missing one.
        Some("") => {
            let supported = super::service::PROTOCOLS;
            errors.push(FieldError::not_supported(
                protocol_field,
                &"".into(),
                supported,
            ));
        }
        other => errors.extend(check_protocol(&protocol_field, other.unwrap_or_default())),
    }
    if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
        let texts = names::qualified_name(protocol);
        errors.extend(invalid(&format!("{field}.appProtocol"), protocol, texts));
    }
    errors
}

fn invalid(field: &str, value: &str, texts: Vec<String>) -> Vec<FieldError> {
    let value = Value::from(value);
    texts
        .iter()
        .map(|text| FieldError::invalid(field, &value, text))
        .collect()
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    addresses: Option<Vec<String>>,
    node_name: Option<String>,
    hostname: Option<String>,
    deprecated_topology: Option<BTreeMap<String, String>>,
    hints: Option<Hints>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hints {
    for_zones: Option<Vec<Value>>,
    for_nodes: Option<Vec<Value>>,
}

fn check_endpoints(object: &Value, loopback: bool) -> Vec<FieldError> {
    let endpoints = items(object, "endpoints");
    if endpoints.len() > MOST_ENDPOINTS {
        return vec![too_many("endpoints", endpoints.len(), MOST_ENDPOINTS)];
    }
    let kind = text(object, "addressType");
    let all = endpoints.iter().enumerate();
    all.flat_map(|(i, endpoint)| {
        let field = format!("endpoints[{i}]");
        let endpoint: Endpoint = read(Some(endpoint));
        let mut errors = check_addresses(&field, &endpoint, kind, loopback);
        errors.extend(check_endpoint(&field, &endpoint));
        errors
    })
    .collect()
}

fn check_addresses(
    field: &str,
    endpoint: &Endpoint,
    kind: &str,
    loopback: bool,
) -> Vec<FieldError> {
    let field = format!("{field}.addresses");
    let addresses = endpoint.addresses.as_deref().unwrap_or_default();
    let mut errors = Vec::new();
    if addresses.is_empty() {
        let detail = "must contain at least 1 address";
        errors.push(FieldError::required(field.as_str(), detail));
    } else if addresses.len() > MOST_ADDRESSES {
        errors.push(too_many(&field, addresses.len(), MOST_ADDRESSES));
    }
    for (i, address) in addresses.iter().enumerate() {
        let item = format!("{field}[{i}]");
        if kind == "FQDN" {
            errors.extend(names::check_domain(&item, address));
            continue;
        }
        let (malformed, fits) = match kind {
            "IPv4" => (ip::check_ip(&item, address), ip::is_ipv4(address)),
            "IPv6" => (ip::check_canonical_ip(&item, address), ip::is_ipv6(address)),
            // Unknown types are told once, for the type.
            _ => continue,
        };
        if !malformed.is_empty() {
            errors.extend(malformed);
            continue;
        }
        if !fits {
            let detail = format!("must be an {kind} address");
            errors.push(FieldError::invalid(
                field.as_str(),
                &address.as_str().into(),
                detail,
            ));
        }
        errors.extend(endpoint_ip::check(&item, address, loopback));
    }
    errors
}

fn check_endpoint(field: &str, endpoint: &Endpoint) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(node) = &endpoint.node_name {
        let texts = names::dns1123_subdomain(node);
        errors.extend(invalid(&format!("{field}.nodeName"), node, texts));
    }
    if let Some(topology) = &endpoint.deprecated_topology {
        errors.extend(check_topology(
            &format!("{field}.deprecatedTopology"),
            topology,
        ));
    }
    if let Some(hostname) = &endpoint.hostname {
        let texts = names::dns1123_label(hostname);
        errors.extend(invalid(&format!("{field}.hostname"), hostname, texts));
    }
    if let Some(hints) = &endpoint.hints {
        errors.extend(check_hints(&format!("{field}.hints"), hints));
    }
    errors
}

fn check_topology(field: &str, topology: &BTreeMap<String, String>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if topology.len() > MOST_TOPOLOGY_LABELS {
        errors.push(too_many(field, topology.len(), MOST_TOPOLOGY_LABELS));
    }
    for (key, value) in topology {
        errors.extend(invalid(field, key, names::qualified_name(key)));
        errors.extend(invalid(field, value, names::label_value(value)));
    }
    errors
}

fn check_hints(field: &str, hints: &Hints) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (part, list, check) in [
        (
            "forZones",
            &hints.for_zones,
            names::label_value as fn(&str) -> Vec<String>,
        ),
        ("forNodes", &hints.for_nodes, names::dns1123_subdomain),
    ] {
        let field = format!("{field}.{part}");
        let list = list.as_deref().unwrap_or_default();
        if list.len() > MOST_HINTS {
            errors.push(too_many(&field, list.len(), MOST_HINTS));
            return errors;
        }
        let mut seen = BTreeSet::new();
        for (i, hint) in list.iter().enumerate() {
            let (field, name) = (format!("{field}[{i}].name"), text(hint, "name"));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(field.as_str(), &name.into()));
            }
            errors.extend(invalid(&field, name, check(name)));
        }
    }
    errors
}
