//! Endpoints (v1), deprecated and still written by users and controllers.

use super::endpoint_ip;
use super::fields::{items, items_mut, label, nullable, read, same, text};
use super::service::check_protocol;
use crate::field::{ip, names};
use crate::{Context, Strategy};
use model::FieldError;
use serde::Deserialize;
use serde_json::Value;

/// The rules of Endpoints.
pub(crate) struct AllEndpoints;

impl Strategy for AllEndpoints {
    fn default(&self, object: &mut Value) {
        for subset in items_mut(object, "subsets") {
            for port in items_mut(subset, "ports") {
                if text(port, "protocol").is_empty() {
                    port["protocol"] = "TCP".into();
                }
            }
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let subsets = items(object, "subsets").iter().enumerate();
        subsets
            .flat_map(|(i, subset)| check_subset(&format!("subsets[{i}]"), subset, context))
            .collect()
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let errors = self.validate(object, context);
        // What was stored may have been fine under older rules.
        if !errors.is_empty() && same(object.get("subsets"), old.get("subsets")) {
            return Vec::new();
        }
        errors
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let mut warnings = Vec::new();
        if label(object, "endpoints.kubernetes.io/managed-by") == "endpoint-controller" {
            return warnings;
        }
        for (i, subset) in items(object, "subsets").iter().enumerate() {
            for list in ["addresses", "notReadyAddresses"] {
                for (j, address) in items(subset, list).iter().enumerate() {
                    let field = format!("subsets[{i}].{list}[{j}].ip");
                    warnings.extend(ip::ip_warnings(&field, text(address, "ip")));
                }
            }
        }
        warnings
    }

    fn deprecation(&self) -> Option<&'static str> {
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Address {
    #[serde(deserialize_with = "nullable")]
    ip: String,
    #[serde(deserialize_with = "nullable")]
    hostname: String,
    node_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    port: i64,
    #[serde(deserialize_with = "nullable")]
    protocol: String,
    app_protocol: Option<String>,
}

fn check_subset(field: &str, subset: &Value, context: &Context<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let lists = ["addresses", "notReadyAddresses"];
    if lists.iter().all(|list| items(subset, list).is_empty()) {
        let text = "must specify `addresses` or `notReadyAddresses`";
        errors.push(FieldError::required(field, text));
    }
    for list in lists {
        for (i, address) in items(subset, list).iter().enumerate() {
            let field = format!("{field}.{list}[{i}]");
            let loopback = context.loopback_endpoints;
            errors.extend(check_address(&field, &read(Some(address)), loopback));
        }
    }
    let ports = items(subset, "ports");
    for (i, port) in ports.iter().enumerate() {
        let field = format!("{field}.ports[{i}]");
        errors.extend(check_port(&field, &read(Some(port)), ports.len() > 1));
    }
    errors
}

fn check_address(field: &str, address: &Address, loopback: bool) -> Vec<FieldError> {
    let mut errors = ip::check_ip(&format!("{field}.ip"), &address.ip);
    let mut invalid = |part: &str, value: &str, texts: Vec<String>| {
        let field = format!("{field}.{part}");
        errors.extend(
            texts
                .iter()
                .map(|text| FieldError::invalid(field.as_str(), &value.into(), text)),
        );
    };
    if !address.hostname.is_empty() {
        invalid(
            "hostname",
            &address.hostname,
            names::dns1123_label(&address.hostname),
        );
    }
    if let Some(node) = &address.node_name {
        invalid("nodeName", node, names::dns1123_subdomain(node));
    }
    errors.extend(endpoint_ip::check(
        &format!("{field}.ip"),
        &address.ip,
        loopback,
    ));
    errors
}

fn check_port(field: &str, port: &Port, needs_name: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut invalid = |part: &str, value: Value, texts: Vec<String>| {
        let field = format!("{field}.{part}");
        errors.extend(
            texts
                .iter()
                .map(|text| FieldError::invalid(field.as_str(), &value, text)),
        );
    };
    if !port.name.is_empty() {
        let texts = names::dns1123_label(&port.name);
        invalid("name", port.name.as_str().into(), texts);
    }
    invalid("port", port.port.into(), names::port_number(port.port));
    if let Some(protocol) = &port.app_protocol {
        let texts = names::qualified_name(protocol);
        invalid("appProtocol", protocol.as_str().into(), texts);
    }
    if needs_name && port.name.is_empty() {
        errors.push(FieldError::required(format!("{field}.name"), ""));
    }
    errors.extend(check_protocol(&format!("{field}.protocol"), &port.protocol));
    errors
}
