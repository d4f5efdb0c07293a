//! `status` of a Service.

use super::spec::Spec;
use crate::net::fields::text;
use crate::net::load_balancer_status::{check_ingress, entries};
use model::FieldError;
use serde_json::Value;

const MODES: &[&str] = &["Proxy", "VIP"];

/// `ValidateLoadBalancerStatus`
pub(super) fn check(service: &Value, old: &Value) -> Vec<FieldError> {
    let all = entries(service);
    if !Spec::of(service).is_load_balancer() && !all.is_empty() {
        return vec![FieldError::forbidden(
            "status.loadBalancer.ingress",
            "may only be used when `spec.type` is 'LoadBalancer'",
        )];
    }
    let mut errors = Vec::new();
    for (i, entry) in all.iter().enumerate() {
        let field = format!("status.loadBalancer.ingress[{i}]");
        errors.extend(check_ingress(&field, entry, entries(old)));
        errors.extend(check_mode(&format!("{field}.ipMode"), entry));
    }
    errors
}

fn check_mode(field: &str, entry: &Value) -> Option<FieldError> {
    let has_ip = !text(entry, "ip").is_empty();
    let mode = entry.get("ipMode").filter(|mode| !mode.is_null());
    match (has_ip, mode) {
        (true, None) => {
            let text = "must be specified when `ip` is set";
            Some(FieldError::required(field, text))
        }
        (false, Some(_)) => {
            let text = "may not be specified when `ip` is not set";
            Some(FieldError::forbidden(field, text))
        }
        (true, Some(mode)) => (!MODES.contains(&mode.as_str().unwrap_or_default()))
            .then(|| FieldError::not_supported(field, mode, MODES)),
        (false, None) => None,
    }
}
