//! Validation of `spec.ports`.

use super::spec::{Port, Spec};
use crate::field::names;
use model::{FieldError, FieldErrorKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Transport protocols, as errors list them
pub(in crate::net) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Each port for itself.
pub(super) fn check_ports(spec: &Spec) -> Vec<FieldError> {
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (i, port) in spec.ports.iter().enumerate() {
        let field = format!("spec.ports[{i}]");
        let needs_name = spec.ports.len() > 1;
        if needs_name && port.name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        } else if !port.name.is_empty() {
            errors.extend(port_name(&field, port, &mut seen));
        }
        errors.extend(check_port(&field, port));
    }
    errors
}

fn port_name<'a>(field: &str, port: &'a Port, seen: &mut BTreeSet<&'a str>) -> Vec<FieldError> {
    let field = format!("{field}.name");
    let value = Value::from(port.name.as_str());
    let mut errors: Vec<FieldError> = names::dns1123_label(&port.name)
        .iter()
        .map(|text| FieldError::invalid(field.as_str(), &value, text))
        .collect();
    if !seen.insert(&port.name) {
        errors.push(FieldError::duplicate(field, &value));
    }
    errors
}

fn check_port(field: &str, port: &Port) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut invalid = |part: &str, value: &Value, texts: Vec<String>| {
        let field = format!("{field}.{part}");
        errors.extend(
            texts
                .iter()
                .map(|text| FieldError::invalid(field.as_str(), value, text)),
        );
    };
    invalid("port", &port.port.into(), names::port_number(port.port));
    let target = port.target_port.clone().unwrap_or_default();
    let texts = match &target {
        Value::String(name) => names::port_name(name),
        number => names::port_number(number.as_i64().unwrap_or(0)),
    };
    invalid("targetPort", &target, texts);
    if let Some(protocol) = &port.app_protocol {
        let value = protocol.as_str().into();
        invalid("appProtocol", &value, names::qualified_name(protocol));
    }
    errors.extend(check_protocol(&format!("{field}.protocol"), &port.protocol));
    errors
}

/// A transport protocol, which may not be missing.
pub(in crate::net) fn check_protocol(field: &str, protocol: &str) -> Option<FieldError> {
    if protocol.is_empty() {
        return Some(FieldError::required(field, ""));
    }
    let known = PROTOCOLS.contains(&protocol);
    (!known).then(|| FieldError::not_supported(field, &protocol.into(), PROTOCOLS))
}

/// Ports against each other: node ports and port numbers are unique per protocol.
pub(super) fn check_duplicate_ports(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, port) in spec.ports.iter().enumerate() {
        if spec.is("ClusterIP") && port.node_port != 0 {
            let field = format!("spec.ports[{i}].nodePort");
            let text = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(field, text));
        }
    }
    let mut seen = BTreeSet::new();
    for (i, port) in spec.ports.iter().enumerate() {
        if port.node_port != 0 && !seen.insert((&port.protocol, port.node_port)) {
            let field = format!("spec.ports[{i}].nodePort");
            errors.push(FieldError::duplicate(field, &port.node_port.into()));
        }
    }
    let mut seen = BTreeSet::new();
    for (i, port) in spec.ports.iter().enumerate() {
        if !seen.insert((&port.protocol, port.port)) {
            errors.push(duplicate_port(i, port));
        }
    }
    errors
}

/// The value is printed as Go prints its internal type: all fields, in their order.
fn duplicate_port(index: usize, port: &Port) -> FieldError {
    let value = format!(
        r#"{{"Name":"","Protocol":{},"AppProtocol":null,"Port":{},"TargetPort":0,"NodePort":0}}"#,
        json!(port.protocol),
        port.port
    );
    FieldError {
        kind: FieldErrorKind::Duplicate,
        field: format!("spec.ports[{index}]"),
        value: Some(value),
        detail: String::new(),
    }
}
