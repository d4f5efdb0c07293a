//! `validateService` and what an update adds to it.

use super::address_rules::{check_address_change, check_address_fields, check_family_change};
use super::port_rules::{check_duplicate_ports, check_ports};
use super::spec::Spec;
use super::{traffic_rules, traffic_rules::check_load_balancer_class};
use crate::field::{ip, names};
use crate::net::endpoint_ip;
use crate::net::fields::annotation;
use model::FieldError;
use serde_json::Value;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// Deprecated form of [`TOPOLOGY_MODE`]
pub(super) const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";

/// All that is wrong with a new Service, or with a changed one apart from [`check_change`].
pub(super) fn check(service: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let spec = Spec::of(service);
    let old_spec = old.map(Spec::of);
    let mut errors = Vec::new();
    errors.extend(topology_annotations(service));
    errors.extend(type_rules(&spec));
    errors.extend(check_ports(&spec));
    errors.extend(selector(&spec));
    errors.extend(traffic_rules::check_affinity(&spec));
    errors.extend(check_address_fields(&spec, old_spec.as_ref()));
    errors.extend(external_ips(&spec, old_spec.as_ref()));
    errors.extend(known_type(&spec));
    errors.extend(check_duplicate_ports(&spec));
    errors.extend(source_ranges(service, &spec, old, old_spec.as_ref()));
    errors.extend(traffic_rules::check_node_port_switch(&spec));
    errors.extend(check_load_balancer_class(&spec, None));
    errors.extend(traffic_rules::check_policies(&spec));
    errors
}

/// What may not change.
pub(super) fn check_change(service: &Value, old: &Value) -> Vec<FieldError> {
    let (spec, old) = (Spec::of(service), Spec::of(old));
    let mut errors = check_address_change(&spec, &old);
    errors.extend(check_family_change(&spec, &old));
    errors.extend(check_load_balancer_class(&spec, Some(&old)));
    let both = spec.needs_health_check() && old.needs_health_check();
    if both && spec.health_check_node_port != old.health_check_node_port {
        let field = "spec.healthCheckNodePort";
        errors.push(FieldError::forbidden(field, "field is immutable"));
    }
    errors
}

fn topology_annotations(service: &Value) -> Option<FieldError> {
    let hints = annotation(service, TOPOLOGY_HINTS)?;
    let mode = annotation(service, TOPOLOGY_MODE)?;
    (hints != mode).then(|| {
        FieldError::invalid(
            format!("metadata.annotations[{TOPOLOGY_MODE}]"),
            &mode.into(),
            format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified"),
        )
    })
}

fn type_rules(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec.ports.is_empty() && !spec.is_headless() && !spec.is_external_name() {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if spec.is_headless() && spec.has_node_ports() {
        let text = format!("may not be set to 'None' for {} services", spec.kind);
        errors.push(FieldError::invalid(
            "spec.clusterIPs[0]",
            &"None".into(),
            text,
        ));
    }
    if spec.is_external_name() {
        errors.extend(external_name(spec));
    }
    errors
}

fn external_name(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (set, field) in [
        (!spec.cluster_ips.is_empty(), "spec.clusterIPs"),
        (!spec.ip_families.is_empty(), "spec.ipFamilies"),
        (spec.ip_family_policy.is_some(), "spec.ipFamilyPolicy"),
    ] {
        if set {
            let text = "may not be set for ExternalName services";
            errors.push(FieldError::forbidden(field, text));
        }
    }
    let field = "spec.externalName";
    let full = spec.external_name.as_str();
    let name = full.strip_suffix('.').unwrap_or(full);
    if name.is_empty() {
        errors.push(FieldError::required(field, ""));
        return errors;
    }
    let texts = names::dns1123_subdomain(name);
    errors.extend(
        texts
            .iter()
            .map(|text| FieldError::invalid(field, &name.into(), text)),
    );
    errors
}

fn selector(spec: &Spec) -> Vec<FieldError> {
    let field = "spec.selector";
    let mut errors = Vec::new();
    for (key, value) in spec.selector.iter().flatten() {
        let texts = names::qualified_name(key);
        errors.extend(
            texts
                .iter()
                .map(|t| FieldError::invalid(field, &key.as_str().into(), t)),
        );
        let texts = names::label_value(value.as_str().unwrap_or_default());
        errors.extend(texts.iter().map(|t| FieldError::invalid(field, value, t)));
    }
    errors
}

/// Stored ones may have been fine under older rules, so only new ones are parsed strictly.
fn external_ips(spec: &Spec, old: Option<&Spec>) -> Vec<FieldError> {
    let stored = old.map_or(&[][..], |old| &old.external_ips);
    let mut errors = Vec::new();
    for (i, address) in spec.external_ips.iter().enumerate() {
        let field = format!("spec.externalIPs[{i}]");
        let malformed = if stored.contains(address) {
            Vec::new()
        } else {
            ip::check_ip(&field, address)
        };
        if malformed.is_empty() {
            errors.extend(endpoint_ip::check(&field, address, false));
        }
        errors.extend(malformed);
    }
    errors
}

fn known_type(spec: &Spec) -> Option<FieldError> {
    if spec.kind.is_empty() {
        return Some(FieldError::required("spec.type", ""));
    }
    let known = TYPES.contains(&spec.kind.as_str());
    (!known).then(|| FieldError::not_supported("spec.type", &spec.kind.as_str().into(), TYPES))
}

/// The field, or in its absence the annotation that it grew out of.
fn source_ranges(
    service: &Value,
    spec: &Spec,
    old: Option<&Value>,
    old_spec: Option<&Spec>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let only = "may only be used when `type` is 'LoadBalancer'";
    if !spec.load_balancer_source_ranges.is_empty() {
        // The capital letter is the real one's.
        let field = "spec.LoadBalancerSourceRanges";
        if !spec.is_load_balancer() {
            errors.push(FieldError::forbidden(field, only));
        }
        let stored = old_spec.map_or(&[][..], |old| &old.load_balancer_source_ranges);
        for (i, range) in spec.load_balancer_source_ranges.iter().enumerate() {
            let range = range.trim();
            if !stored.iter().any(|stored| stored.trim() == range) {
                errors.extend(ip::check_cidr(&format!("{field}[{i}]"), range));
            }
        }
    } else if let Some(text) = annotation(service, SOURCE_RANGES) {
        let field = format!("metadata.annotations[{SOURCE_RANGES}]");
        if !spec.is_load_balancer() {
            errors.push(FieldError::forbidden(field.as_str(), only));
        }
        let unchanged = old.and_then(|old| annotation(old, SOURCE_RANGES)) == Some(text);
        if !unchanged && !text.trim().is_empty() {
            let ranges = text.trim().split(',');
            errors.extend(ranges.flat_map(|range| ip::check_cidr(&field, range.trim())));
        }
    }
    errors
}
