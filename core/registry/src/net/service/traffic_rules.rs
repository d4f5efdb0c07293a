//! Validation of affinity, traffic policies and what only load balancers have.

use super::spec::Spec;
use crate::field::names;
use model::FieldError;
use serde_json::Value;

const AFFINITIES: &[&str] = &["ClientIP", "None"];
const POLICIES: &[&str] = &["Cluster", "Local"];
/// In the order of the API's own list, which is not sorted
const DISTRIBUTIONS: &[&str] = &["PreferClose", "PreferSameZone", "PreferSameNode"];
const LONGEST_AFFINITY_SECONDS: i64 = 86_400;

pub(super) fn check_affinity(spec: &Spec) -> Vec<FieldError> {
    let field = "spec.sessionAffinity";
    let affinity = spec.session_affinity.as_str();
    let config = spec.session_affinity_config.as_ref();
    let mut errors = Vec::new();
    if affinity.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if !AFFINITIES.contains(&affinity) {
        errors.push(FieldError::not_supported(
            field,
            &affinity.into(),
            AFFINITIES,
        ));
    }
    let field = "spec.sessionAffinityConfig";
    match affinity {
        "ClientIP" => errors.extend(client_ip(field, config)),
        "None" if config.is_some() => {
            let text = "must not be set when session affinity is None";
            errors.push(FieldError::forbidden(field, text));
        }
        _ => {}
    }
    errors
}

fn client_ip(field: &str, config: Option<&Value>) -> Option<FieldError> {
    let missing = |field: String| {
        let text = "when session affinity type is ClientIP";
        Some(FieldError::required(field, text))
    };
    let Some(config) = config else {
        return missing(field.to_owned());
    };
    let Some(client_ip) = config.get("clientIP").filter(|v| !v.is_null()) else {
        return missing(format!("{field}.clientIP"));
    };
    let field = format!("{field}.clientIP.timeoutSeconds");
    let Some(seconds) = client_ip.get("timeoutSeconds").and_then(Value::as_i64) else {
        return missing(field);
    };
    if (1..=LONGEST_AFFINITY_SECONDS).contains(&seconds) {
        return None;
    }
    let text = format!("must be greater than 0 and less than {LONGEST_AFFINITY_SECONDS}");
    Some(FieldError::invalid(field, &seconds.into(), text))
}

pub(super) fn check_node_port_switch(spec: &Spec) -> Option<FieldError> {
    match (
        spec.is_load_balancer(),
        spec.allocate_load_balancer_node_ports,
    ) {
        (false, Some(_)) => Some(FieldError::forbidden(
            "spec.allocateLoadBalancerNodePorts",
            "may only be used when `type` is 'LoadBalancer'",
        )),
        (true, None) => Some(FieldError::required("allocateLoadBalancerNodePorts", "")),
        _ => None,
    }
}

/// The class may be set on load balancers only, and once.
pub(super) fn check_load_balancer_class(spec: &Spec, old: Option<&Spec>) -> Vec<FieldError> {
    let field = "spec.loadBalancerClass";
    let class = spec.load_balancer_class.as_deref();
    let value = class.map_or(Value::Null, Value::from);
    let mut errors = Vec::new();
    if let Some(old) = old
        && old.is_load_balancer()
        && spec.is_load_balancer()
        && old.load_balancer_class != spec.load_balancer_class
    {
        errors.push(FieldError::invalid(
            field,
            &value,
            "may not change once set",
        ));
    }
    let Some(class) = class else {
        return errors;
    };
    if spec.is_load_balancer() {
        let texts = names::qualified_name(class);
        errors.extend(
            texts
                .iter()
                .map(|text| FieldError::invalid(field, &value, text)),
        );
    } else {
        let text = "may only be used when `type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden(field, text));
    }
    errors
}

/// External and internal traffic policy, health check port, traffic distribution.
pub(super) fn check_policies(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(external_policy(spec));
    errors.extend(health_check(spec));
    errors.extend(internal_policy(spec));
    if let Some(wanted) = spec.traffic_distribution.as_deref()
        && !DISTRIBUTIONS.contains(&wanted)
    {
        let field = "spec.trafficDistribution";
        errors.push(FieldError::not_supported(
            field,
            &wanted.into(),
            DISTRIBUTIONS,
        ));
    }
    errors
}

fn external_policy(spec: &Spec) -> Option<FieldError> {
    let field = "spec.externalTrafficPolicy";
    let policy = spec.external_traffic_policy.as_str();
    let value = Value::from(policy);
    match (spec.externally_accessible(), policy) {
        (false, "") => None,
        (false, _) => {
            let text = "may only be set for externally-accessible services";
            Some(FieldError::invalid(field, &value, text))
        }
        (true, "") => Some(FieldError::required(field, "")),
        (true, _) => (!POLICIES.contains(&policy))
            .then(|| FieldError::not_supported(field, &value, POLICIES)),
    }
}

fn health_check(spec: &Spec) -> Vec<FieldError> {
    let field = "spec.healthCheckNodePort";
    let port = spec.health_check_node_port;
    match (spec.needs_health_check(), port) {
        (false, 0) => Vec::new(),
        (true, 0) => vec![FieldError::required(field, "")],
        (false, _) => {
            let text = "may only be set when `type` is 'LoadBalancer' and \
                        `externalTrafficPolicy` is 'Local'";
            vec![FieldError::invalid(field, &port.into(), text)]
        }
        (true, _) => names::port_number(port)
            .iter()
            .map(|text| FieldError::invalid(field, &port.into(), text))
            .collect(),
    }
}

fn internal_policy(spec: &Spec) -> Option<FieldError> {
    let field = "spec.internalTrafficPolicy";
    match spec.internal_traffic_policy.as_deref() {
        None => {
            (spec.is("ClusterIP") || spec.has_node_ports()).then(|| FieldError::required(field, ""))
        }
        Some(policy) => (!POLICIES.contains(&policy))
            .then(|| FieldError::not_supported(field, &policy.into(), POLICIES)),
    }
}
