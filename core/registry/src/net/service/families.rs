//! `ipFamilyPolicy` and `ipFamilies`: what the user left out follows from the other fields, from
//! the stored Service and from the families of the cluster.

use super::address_rules::check_address_fields;
use super::spec::{Spec, family_of, other_family};
use model::FieldError;
use serde_json::Value;

const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

/// Fills the two fields. `configured` are the cluster's families, primary first.
///
/// # Errors
/// When fields contradict each other or ask for a family that the cluster does not have.
pub(super) fn settle(
    spec: &mut Spec,
    old: Option<&Spec>,
    configured: &[&'static str],
) -> Result<(), Vec<FieldError>> {
    if spec.is_external_name() || old.is_some_and(|old| keeps_preference(spec, old)) {
        return Ok(());
    }
    settle_policy(spec, old);
    fail_on(check_address_fields(spec, old))?;
    let mut errors = Vec::new();
    if let Some(old) = old {
        errors.extend(reduce(spec, old));
    }
    errors.extend(too_many_for_single(spec));
    errors.extend(infer_families(spec, configured));
    fail_on(errors)?;
    if spec.cluster_ip == "None" && !spec.has_selector() {
        settle_selectorless(spec, configured);
        return Ok(());
    }
    fail_on(unconfigured(spec, configured))?;
    if spec.ip_families.is_empty() {
        spec.ip_families.extend(primary(configured));
    }
    if spec.policy() != SINGLE && spec.ip_families.len() == 1 && configured.len() == 2 {
        add_other_family(spec);
    }
    Ok(())
}

fn fail_on(errors: Vec<FieldError>) -> Result<(), Vec<FieldError>> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(errors)
}

fn primary(configured: &[&'static str]) -> Option<String> {
    configured.first().map(|family| (*family).to_owned())
}

fn add_other_family(spec: &mut Spec) {
    if let Some(first) = spec.ip_families.first() {
        let other = other_family(first).to_owned();
        spec.ip_families.push(other);
    }
}

/// A Service that prefers dual stack and is not touched stays as it is, even when the cluster has
/// gained or lost a family since.
pub(super) fn keeps_preference(spec: &Spec, old: &Spec) -> bool {
    let addressed = spec.is("ClusterIP") || spec.has_node_ports();
    let old_prefers = old.ip_family_policy.as_deref().is_none_or(|p| p == PREFER);
    spec.policy() == PREFER
        && old.kind == spec.kind
        && addressed
        && old_prefers
        && old.cluster_ips == spec.cluster_ips
        && old.ip_families == spec.ip_families
}

fn settle_policy(spec: &mut Spec, old: Option<&Spec>) {
    if spec.ip_family_policy.is_some() {
        return;
    }
    let inherited = old.and_then(|old| old.ip_family_policy.clone());
    let policy = match inherited {
        Some(policy) => policy,
        None if spec.cluster_ip == "None" && !spec.has_selector() => REQUIRE.to_owned(),
        None => SINGLE.to_owned(),
    };
    spec.ip_family_policy = Some(policy);
}

/// A change to single stack drops what is second; anything else must not lose it silently.
fn reduce(spec: &mut Spec, old: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec.policy() == SINGLE {
        if old.cluster_ips == spec.cluster_ips {
            spec.cluster_ips.truncate(1);
        }
        if old.ip_families == spec.ip_families {
            spec.ip_families.truncate(1);
        }
        return errors;
    }
    let reduced = |new: &[String], old: &[String]| !new.is_empty() && new.len() < old.len();
    if reduced(&spec.cluster_ips, &old.cluster_ips) {
        let text = "must be 'SingleStack' to release the secondary cluster IP";
        errors.push(bad_policy(spec, text));
    }
    if reduced(&spec.ip_families, &old.ip_families) {
        let text = "must be 'SingleStack' to release the secondary IP family";
        errors.push(bad_policy(spec, text));
    }
    errors
}

fn bad_policy(spec: &Spec, text: &str) -> FieldError {
    FieldError::invalid("spec.ipFamilyPolicy", &spec.policy().into(), text)
}

fn too_many_for_single(spec: &Spec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec.policy() != SINGLE {
        return errors;
    }
    for (count, what) in [
        (spec.cluster_ips.len(), "cluster IPs"),
        (spec.ip_families.len(), "IP families"),
    ] {
        if count == 2 {
            let text = format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            );
            errors.push(bad_policy(spec, &text));
        }
    }
    errors
}

/// Each address without a family says its own.
fn infer_families(spec: &mut Spec, configured: &[&'static str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, address) in spec.cluster_ips.clone().iter().enumerate() {
        if address == "None" {
            break;
        }
        if i < spec.ip_families.len() {
            continue;
        }
        let family = family_of(address);
        if configured.contains(&family) {
            spec.ip_families.push(family.to_owned());
        } else {
            errors.push(FieldError::invalid(
                format!("spec.clusterIPs[{i}]"),
                &Value::from(spec.cluster_ips.clone()),
                format!("{family} is not configured on this cluster"),
            ));
        }
    }
    errors
}

/// Headless without selector: nobody knows what endpoints the user will add, so both families are
/// right on any cluster.
fn settle_selectorless(spec: &mut Spec, configured: &[&'static str]) {
    if spec.ip_families.is_empty() {
        spec.ip_families.extend(primary(configured));
    }
    if spec.ip_families.len() < 2 && spec.policy() != SINGLE {
        add_other_family(spec);
    }
}

fn unconfigured(spec: &Spec, configured: &[&'static str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec.policy() == REQUIRE && configured.len() < 2 {
        let text = "this cluster is not configured for dual-stack services";
        errors.push(bad_policy(spec, text));
    }
    for (i, family) in spec.ip_families.iter().enumerate() {
        if !configured.contains(&family.as_str()) {
            errors.push(FieldError::invalid(
                format!("spec.ipFamilies[{i}]"),
                &family.as_str().into(),
                "not configured on this cluster",
            ));
        }
    }
    errors
}
