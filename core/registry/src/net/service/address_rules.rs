//! Validation of `clusterIP(s)`, `ipFamilies` and `ipFamilyPolicy`: alone, together, and on
//! changes between single and dual stack.

use super::spec::{Spec, family_of};
use crate::field::ip;
use model::{FieldError, FieldErrorKind};
use serde_json::Value;

const CLUSTER_IPS: &str = "spec.clusterIPs";
const FAMILIES: &[&str] = &["IPv4", "IPv6"];
const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];

/// The list as field errors print it: a missing one is `null` in Go.
fn list(values: &[String]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    values.into()
}

/// `ValidateServiceClusterIPsRelatedFields`; also run before allocation.
pub(super) fn check_address_fields(spec: &Spec, old: Option<&Spec>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec.is_external_name() {
        return errors;
    }
    errors.extend(in_step(spec));
    errors.extend(families_and_policy(spec));
    let (address_errors, usable) = addresses(spec, old);
    errors.extend(address_errors);
    if !usable {
        return errors;
    }
    if spec.cluster_ips.len() > 1 && !is_dual_stack(&spec.cluster_ips) {
        let text = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(
            CLUSTER_IPS,
            &list(&spec.cluster_ips),
            text,
        ));
    }
    errors.extend(families_match(spec));
    errors
}

fn in_step(spec: &Spec) -> Option<FieldError> {
    let invalid = |text: &str| {
        Some(FieldError::invalid(
            CLUSTER_IPS,
            &list(&spec.cluster_ips),
            text,
        ))
    };
    if spec.cluster_ip.is_empty() {
        if spec.cluster_ips.is_empty() {
            return None;
        }
        return invalid("must be empty when `clusterIP` is not specified");
    }
    match spec.cluster_ips.first() {
        None => Some(FieldError::required(CLUSTER_IPS, "")),
        Some(first) if *first != spec.cluster_ip => invalid("first value must match `clusterIP`"),
        Some(_) => None,
    }
}

fn families_and_policy(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, family) in spec.ip_families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{i}]");
        let value = Value::from(family.as_str());
        if !FAMILIES.contains(&family.as_str()) {
            errors.push(FieldError::not_supported(field.as_str(), &value, FAMILIES));
        }
        if spec.ip_families[..i].contains(family) {
            errors.push(FieldError::duplicate(field, &value));
        }
    }
    if let Some(policy) = spec.ip_family_policy.as_deref()
        && !POLICIES.contains(&policy)
    {
        let value = policy.into();
        errors.push(FieldError::not_supported(
            "spec.ipFamilyPolicy",
            &value,
            POLICIES,
        ));
    }
    errors
}

/// Each address for itself. The flag says whether the list can be looked at as a whole.
fn addresses(spec: &Spec, old: Option<&Spec>) -> (Vec<FieldError>, bool) {
    let stored = old.map_or(&[][..], |old| &old.cluster_ips);
    let mut errors = Vec::new();
    for (i, address) in spec.cluster_ips.iter().enumerate() {
        if i == 0 && address == "None" {
            if spec.cluster_ips.len() > 1 {
                let text = "'None' must be the first and only value";
                errors.push(FieldError::invalid(
                    CLUSTER_IPS,
                    &list(&spec.cluster_ips),
                    text,
                ));
            }
        } else if !stored.contains(address) {
            errors.extend(ip::check_ip(&format!("{CLUSTER_IPS}[{i}]"), address));
        }
    }
    let usable = errors.is_empty();
    if spec.cluster_ips.len() > 2 {
        let text = "may only hold up to 2 values";
        errors.push(FieldError::invalid(
            CLUSTER_IPS,
            &list(&spec.cluster_ips),
            text,
        ));
    }
    (errors, usable)
}

fn is_dual_stack(addresses: &[String]) -> bool {
    let has = |family| addresses.iter().any(|address| family_of(address) == family);
    has("IPv4") && has("IPv6")
}

fn families_match(spec: &Spec) -> Vec<FieldError> {
    if spec.is_headless() {
        return Vec::new();
    }
    let pairs = spec.cluster_ips.iter().zip(&spec.ip_families).enumerate();
    let mut errors = Vec::new();
    for (i, (address, family)) in pairs {
        let is_v6 = ip::is_ipv6(address);
        if (family == "IPv4" && is_v6) || (family == "IPv6" && !is_v6) {
            errors.push(FieldError::invalid(
                format!("{CLUSTER_IPS}[{i}]"),
                &address.as_str().into(),
                format!("expected an {family} value as indicated by `ipFamilies[{i}]`"),
            ));
        }
    }
    errors
}

/// `validateUpgradeDowngradeClusterIPs`: the primary address stays, the secondary one may come and
/// go with the policy.
pub(super) fn check_address_change(spec: &Spec, old: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let free = spec.is_external_name() || old.is_external_name();
    if free || (old.is_headless() && spec.is_headless()) {
        return errors;
    }
    let (new_ips, old_ips) = (&spec.cluster_ips, &old.cluster_ips);
    let changed = |i: usize, text: &str| {
        FieldError::invalid(format!("{CLUSTER_IPS}[{i}]"), &list(new_ips), text)
    };
    const ONCE: &str = "may not change once set";
    if old_ips.len() == new_ips.len() {
        let differing = (0..old_ips.len()).filter(|i| old_ips[*i] != new_ips[*i]);
        errors.extend(differing.map(|i| changed(i, ONCE)));
        return errors;
    }
    if new_ips.is_empty() {
        errors.push(changed(0, "primary clusterIP can not be unset"));
    }
    if let (Some(new), Some(old)) = (new_ips.first(), old_ips.first())
        && new != old
    {
        errors.push(changed(0, ONCE));
    }
    if old_ips.len() > new_ips.len() && new_ips.len() == 1 {
        errors.extend(released_without_policy(spec, "clusterIP"));
    }
    errors
}

/// `validateUpgradeDowngradeIPFamilies`
pub(super) fn check_family_change(spec: &Spec, old: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let free = spec.is_external_name() || old.is_external_name();
    if free || spec.is_headless() || old.is_headless() {
        return errors;
    }
    const FIELD: &str = "spec.ipFamilies[0]";
    const ONCE: &str = "may not change once set";
    let (new, was) = (&spec.ip_families, &old.ip_families);
    if new.len() == was.len() {
        let differing = was.iter().zip(new).filter(|(a, b)| a != b);
        errors.extend(differing.map(|_| FieldError::invalid(FIELD, &list(new), ONCE)));
        return errors;
    }
    if was.len() > new.len() && spec.cluster_ips.is_empty() {
        let text = "primary ipFamily can not be unset";
        errors.push(FieldError::invalid(FIELD, &list(new), text));
    }
    if let (Some(a), Some(b)) = (new.first(), was.first())
        && a != b
    {
        errors.push(FieldError::invalid(FIELD, &list(&spec.cluster_ips), ONCE));
    }
    if was.len() > new.len() && new.len() == 1 {
        errors.extend(released_without_policy(spec, "ipFamily"));
    }
    errors
}

fn released_without_policy(spec: &Spec, what: &str) -> Option<FieldError> {
    if spec.policy() == "SingleStack" {
        return None;
    }
    let value = spec
        .ip_family_policy
        .as_deref()
        .map_or(Value::Null, Value::from);
    Some(FieldError::new(
        FieldErrorKind::Invalid,
        "spec.ipFamilyPolicy",
        Some(&value),
        format!("must be set to 'SingleStack' when releasing the secondary {what}"),
    ))
}
