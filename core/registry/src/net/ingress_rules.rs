//! Validation of `spec` of Ingresses.

use super::fields::{items, text};
use super::ingress::hosts;
use super::ingress_class_rules::check_reference;
use crate::field::{ip, names};
use model::FieldError;
use serde_json::Value;

const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const BAD_SUFFIXES: &[&str] = &["/..", "/."];

/// What an update may keep because the stored Ingress has it already.
#[derive(Clone, Copy, Default)]
pub(super) struct Lenience {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Lenience {
    /// What the stored `spec` got wrong once is not held against its update.
    pub(super) fn towards(old: &Value) -> Self {
        let bad_secret = |tls: &Value| !secret_name(text(tls, "secretName")).is_empty();
        Self {
            secret_names: items(old, "tls").iter().any(bad_secret),
            wildcard_rules: hosts(old)
                .any(|(host, rule)| host.contains('*') && !check_paths("", rule).is_empty()),
        }
    }
}

/// `ValidateIngressSpec`
pub(super) fn check_spec(spec: &Value, lenience: Lenience) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let rules = spec.get("rules").unwrap_or(&Value::Null);
    let default = spec.get("defaultBackend").filter(|b| !b.is_null());
    if default.is_none() && items(spec, "rules").is_empty() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid("spec", rules, detail));
    }
    if let Some(backend) = default {
        errors.extend(check_backend("spec.defaultBackend", backend));
    }
    for (i, (host, rule)) in hosts(spec).enumerate() {
        let field = format!("spec.rules[{i}]");
        errors.extend(check_host(&format!("{field}.host"), host));
        if !(lenience.wildcard_rules && host.contains('*')) {
            errors.extend(check_paths(&field, rule));
        }
    }
    errors.extend(check_tls(spec, lenience));
    if let Some(class) = spec.get("ingressClassName").and_then(Value::as_str) {
        let texts = names::dns1123_subdomain(class);
        errors.extend(invalid("spec.ingressClassName", class, &texts));
    }
    errors
}

fn invalid(field: &str, value: &str, texts: &[String]) -> Vec<FieldError> {
    let value = Value::from(value);
    let all = texts.iter();
    all.map(|text| FieldError::invalid(field, &value, text))
        .collect()
}

fn check_host(field: &str, host: &str) -> Vec<FieldError> {
    if host.is_empty() {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if ip::parse_ip(host).is_some() {
        let detail = "must be a DNS name, not an IP address";
        errors.push(FieldError::invalid(field, &host.into(), detail));
    }
    errors.extend(invalid(field, host, &host_texts(host)));
    errors
}

fn host_texts(host: &str) -> Vec<String> {
    if host.contains('*') {
        names::wildcard_dns1123_subdomain(host)
    } else {
        names::dns1123_subdomain(host)
    }
}

fn check_tls(spec: &Value, lenience: Lenience) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, tls) in items(spec, "tls").iter().enumerate() {
        for (j, host) in items(tls, "hosts").iter().enumerate() {
            let host = host.as_str().unwrap_or_default();
            let field = format!("spec.tls[{i}].hosts[{j}]");
            errors.extend(invalid(&field, host, &host_texts(host)));
        }
        if !lenience.secret_names {
            let name = text(tls, "secretName");
            let field = format!("spec.tls[{i}].secretName");
            errors.extend(invalid(&field, name, &secret_name(name)));
        }
    }
    errors
}

fn secret_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return Vec::new();
    }
    names::dns1123_subdomain(name)
}

fn check_paths(field: &str, rule: &Value) -> Vec<FieldError> {
    let Some(http) = rule.get("http").filter(|http| !http.is_null()) else {
        return Vec::new();
    };
    let field = format!("{field}.http.paths");
    let paths = items(http, "paths");
    if paths.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let all = paths.iter().enumerate();
    all.flat_map(|(i, path)| check_path(&format!("{field}[{i}]"), path))
        .collect()
}

fn check_path(field: &str, value: &Value) -> Vec<FieldError> {
    let type_field = format!("{field}.pathType");
    let Some(kind) = value.get("pathType").filter(|kind| !kind.is_null()) else {
        let detail = "pathType must be specified";
        return vec![FieldError::required(type_field, detail)];
    };
    let path = text(value, "path");
    let path_field = format!("{field}.path");
    let invalid = |detail: String| FieldError::invalid(path_field.as_str(), &path.into(), detail);
    let relative = || (!path.starts_with('/')).then(|| "must be an absolute path".to_owned());
    let mut errors = Vec::new();
    match kind.as_str().unwrap_or_default() {
        "Exact" | "Prefix" => {
            errors.extend(relative().map(&invalid));
            errors.extend(bad_parts(path).into_iter().map(&invalid));
        }
        "ImplementationSpecific" if path.is_empty() => {}
        "ImplementationSpecific" => errors.extend(relative().map(&invalid)),
        _ => errors.push(FieldError::not_supported(type_field, kind, PATH_TYPES)),
    }
    let backend = value.get("backend").unwrap_or(&Value::Null);
    errors.extend(check_backend(&format!("{field}.backend"), backend));
    errors
}

fn bad_parts(path: &str) -> Vec<String> {
    let sequences = BAD_SEQUENCES.iter().filter(|part| path.contains(**part));
    let suffixes = BAD_SUFFIXES.iter().filter(|end| path.ends_with(**end));
    sequences
        .map(|part| format!("must not contain '{part}'"))
        .chain(suffixes.map(|end| format!("cannot end with '{end}'")))
        .collect()
}

fn check_backend(field: &str, backend: &Value) -> Vec<FieldError> {
    let part = |key: &str| backend.get(key).filter(|part| !part.is_null());
    let whole = |detail: &str| vec![FieldError::invalid(field, &"".into(), detail)];
    match (part("resource"), part("service")) {
        (Some(_), Some(_)) => whole("cannot set both resource and service backends"),
        (Some(resource), None) => check_reference(&format!("{field}.resource"), resource),
        (None, Some(service)) => check_service(field, service),
        (None, None) => whole("resource or service backend is required"),
    }
}

fn check_service(field: &str, service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = text(service, "name");
    let name_field = format!("{field}.service.name");
    if name.is_empty() {
        errors.push(FieldError::required(name_field, ""));
    } else {
        errors.extend(invalid(&name_field, name, &names::dns1123_label(name)));
    }
    let port = service.get("port").unwrap_or(&Value::Null);
    let port_name = text(port, "name");
    let number = port.get("number").and_then(Value::as_i64).unwrap_or(0);
    match (port_name.is_empty(), number) {
        (false, 0) => {
            let texts = names::port_name(port_name);
            errors.extend(invalid(
                &format!("{field}.service.port.name"),
                port_name,
                &texts,
            ));
        }
        (false, _) => {
            let detail = "cannot set both port name & port number";
            errors.push(FieldError::invalid(field, &"".into(), detail));
        }
        (true, 0) => {
            let detail = "port name or number is required";
            errors.push(FieldError::required(field, detail));
        }
        (true, _) => {
            let field = format!("{field}.service.port.number");
            let texts = names::port_number(number);
            let all = texts.iter();
            errors
                .extend(all.map(|text| FieldError::invalid(field.as_str(), &number.into(), text)));
        }
    }
    errors
}
