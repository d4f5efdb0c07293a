//! Validation of `spec` of IngressClasses.

use super::fields::text;
use crate::field::names;
use model::{FieldError, FieldErrorKind};
use serde_json::Value;

const SCOPES: &[&str] = &["Cluster", "Namespace"];
const LONGEST_CONTROLLER: usize = 250;

pub(super) fn check_spec(spec: &Value) -> Vec<FieldError> {
    let field = "spec.controller";
    let controller = text(spec, "controller");
    let mut errors = Vec::new();
    if controller.len() > LONGEST_CONTROLLER {
        let detail = format!("may not be more than {LONGEST_CONTROLLER} bytes");
        errors.push(FieldError::new(
            FieldErrorKind::TooLong,
            field,
            None,
            detail,
        ));
    }
    errors.extend(names::check_domain_prefixed_path(field, controller));
    if let Some(parameters) = spec.get("parameters").filter(|p| !p.is_null()) {
        errors.extend(check_reference("spec.parameters", parameters));
        errors.extend(check_scope("spec.parameters", parameters));
    }
    errors
}

/// A typed reference: `apiGroup` if there is one, `kind` and `name` in any case.
pub(super) fn check_reference(field: &str, reference: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(group) = reference.get("apiGroup").and_then(Value::as_str) {
        let texts = names::dns1123_subdomain(group);
        errors.extend(invalid(&format!("{field}.apiGroup"), group, texts));
    }
    for part in ["kind", "name"] {
        let field = format!("{field}.{part}");
        let value = text(reference, part);
        if value.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else {
            errors.extend(invalid(
                &field,
                value,
                names::path_segment_name(value, false),
            ));
        }
    }
    errors
}

fn invalid(field: &str, value: &str, texts: Vec<String>) -> Vec<FieldError> {
    let value = Value::from(value);
    let all = texts.iter();
    all.map(|text| FieldError::invalid(field, &value, text))
        .collect()
}

fn check_scope(field: &str, parameters: &Value) -> Vec<FieldError> {
    let scope_field = format!("{field}.scope");
    let Some(scope) = parameters.get("scope").filter(|scope| !scope.is_null()) else {
        return vec![FieldError::required(scope_field, "")];
    };
    let namespace = parameters.get("namespace").and_then(Value::as_str);
    let field = format!("{field}.namespace");
    match (scope.as_str(), namespace) {
        (Some("Namespace"), None) => {
            let detail = "`parameters.scope` is set to 'Namespace'";
            vec![FieldError::required(field, detail)]
        }
        (Some("Namespace"), Some(name)) => invalid(&field, name, names::dns1123_label(name)),
        (Some("Cluster"), Some(_)) => {
            let detail = "`parameters.scope` is set to 'Cluster'";
            vec![FieldError::forbidden(field, detail)]
        }
        (Some("Cluster"), None) => Vec::new(),
        _ => vec![FieldError::not_supported(scope_field, scope, SCOPES)],
    }
}
