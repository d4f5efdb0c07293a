//! `status.loadBalancer.ingress`, of Services and of Ingresses.

use super::fields::{items, text};
use crate::field::{ip, names};
use model::FieldError;
use serde_json::Value;

/// Address and host name of each entry; addresses that were stored before may stay as they are.
pub(super) fn check_ingress(field: &str, ingress: &Value, old: &[Value]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let address = text(ingress, "ip");
    if !address.is_empty() && !old.iter().any(|old| text(old, "ip") == address) {
        errors.extend(ip::check_ip(&format!("{field}.ip"), address));
    }
    let host = text(ingress, "hostname");
    if !host.is_empty() {
        let field = format!("{field}.hostname");
        let invalid = |text: &str| FieldError::invalid(field.as_str(), &host.into(), text);
        let texts = names::dns1123_subdomain(host);
        errors.extend(texts.iter().map(|text| invalid(text)));
        if ip::parse_ip(host).is_some() {
            errors.push(invalid("must be a DNS name, not an IP address"));
        }
    }
    errors
}

/// The entries of `status.loadBalancer.ingress`.
pub(super) fn entries(object: &Value) -> &[Value] {
    object
        .pointer("/status/loadBalancer")
        .map_or(&[], |balancer| items(balancer, "ingress"))
}

/// Warnings about addresses in a form that is taken but not canonical.
pub(super) fn warnings(object: &Value) -> Vec<String> {
    let entries = entries(object).iter().enumerate();
    entries
        .flat_map(|(i, entry)| {
            let field = format!("status.loadBalancer.ingress[{i}]");
            ip::ip_warnings(&field, text(entry, "ip"))
        })
        .collect()
}
