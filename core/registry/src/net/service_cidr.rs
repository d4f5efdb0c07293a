//! ServiceCIDRs: the ranges that ClusterIPs come from (KEP-1880).

use super::fields::items;
use crate::field::{ip, names};
use crate::{Context, Strategy, Subresource};
use model::{FieldError, FieldErrorKind};
use serde_json::{Value, json};

const FIELD: &str = "spec.cidrs";
const IMMUTABLE: &str = "field is immutable";
/// What a status update may not touch
const STATUS_META: &[&str] = &[
    "annotations",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "labels",
    "ownerReferences",
];

/// The rules of ServiceCIDRs.
pub(crate) struct ServiceCidrs;

impl Strategy for ServiceCidrs {
    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        object["status"] = json!({});
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        object["status"] = old.get("status").cloned().unwrap_or_else(|| json!({}));
    }

    fn prepare_subresource(
        &self,
        _: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        let spec = old.get("spec").cloned().unwrap_or_else(|| json!({}));
        object["spec"] = spec;
        let Some(Value::Object(meta)) = object.get_mut("metadata") else {
            return;
        };
        for key in STATUS_META {
            match old["metadata"].get(*key) {
                Some(stored) => meta.insert((*key).to_owned(), stored.clone()),
                None => meta.remove(*key),
            };
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        check_ranges(&ranges(object))
    }

    /// A range stays; a second one may come, to make the cluster dual-stack.
    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let (new, old) = (ranges(object), ranges(old));
        let mut errors = Vec::new();
        if new.len() != old.len() && (old.len(), new.len()) != (1, 2) {
            errors.push(FieldError::invalid(FIELD, &list(&new), IMMUTABLE));
            return errors;
        }
        for (i, (new, old)) in new.iter().zip(&old).enumerate() {
            if new != old {
                let field = format!("{FIELD}[{i}]");
                errors.push(FieldError::invalid(field, &(*new).into(), IMMUTABLE));
            }
        }
        if new.len() > old.len() {
            errors.extend(check_ranges(&new));
        }
        errors
    }
}

fn ranges(object: &Value) -> Vec<&str> {
    let all = items(&object["spec"], "cidrs").iter();
    all.map(|range| range.as_str().unwrap_or_default())
        .collect()
}

/// A missing list is `null` in Go.
fn list(ranges: &[&str]) -> Value {
    if ranges.is_empty() {
        return Value::Null;
    }
    ranges.into()
}

fn check_ranges(ranges: &[&str]) -> Vec<FieldError> {
    if ranges.is_empty() {
        return vec![FieldError::required(FIELD, "at least one CIDR required")];
    }
    if ranges.len() > 2 {
        return vec![FieldError {
            kind: FieldErrorKind::Invalid,
            field: FIELD.to_owned(),
            // Go prints the whole spec, by the names of its internal type.
            value: Some(format!(r#"{{"CIDRs":{}}}"#, list(ranges))),
            detail: "may only hold up to 2 values".to_owned(),
        }];
    }
    let mut errors = Vec::new();
    for (i, range) in ranges.iter().enumerate() {
        errors.extend(ip::check_canonical_cidr(&format!("{FIELD}[{i}]"), range));
    }
    if let [a, b] = ranges
        && let (Some((a, _)), Some((b, _))) = (ip::parse_cidr(a), ip::parse_cidr(b))
        && a.is_ipv4() == b.is_ipv4()
    {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and \
                      2001:db8::/64";
        errors.push(FieldError::invalid(FIELD, &list(ranges), detail));
    }
    errors
}
