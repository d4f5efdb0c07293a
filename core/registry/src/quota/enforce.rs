//! Admission by ResourceQuotas: what would exceed one is refused.

use super::usage;
use crate::declared::Check;
use crate::field::read::Read;
use crate::work::admission::forbidden;
use crate::work::podspec::resources::{Amounts, amounts};
use model::{ApiError, Resource};
use serde_json::Value;

/// Refuses a write that some quota of the namespace has no room for.
///
/// # Errors
/// 403 with the quota, what was asked for and what is left.
pub(crate) fn enforce(
    resource: Resource,
    object: &Value,
    check: &Check<'_>,
) -> Result<(), ApiError> {
    let metadata = object.at("metadata");
    let namespace = metadata.text("namespace");
    if namespace.is_empty() || !is_handled(resource, object, check.old) {
        return Ok(());
    }
    for quota in check
        .context
        .view
        .list(Resource::RESOURCE_QUOTAS, Some(namespace))
    {
        let quota = quota.value();
        if usage::is_in_scope(resource, object, &quota)
            && let Some(text) = refusal(resource, object, &quota, check)
        {
            return Err(forbidden(resource, object, &text));
        }
    }
    Ok(())
}

/// Updates matter only where they can change what is used.
fn is_handled(resource: Resource, object: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old else { return true };
    match resource {
        Resource::SERVICES | Resource::VOLUME_CLAIMS => true,
        Resource::PODS => {
            let ends = |pod: &Value| pod.at("spec").has("activeDeadlineSeconds");
            ends(object) != ends(old)
        }
        _ => false,
    }
}

fn refusal(resource: Resource, object: &Value, quota: &Value, check: &Check<'_>) -> Option<String> {
    let limits = amounts(quota.at("spec").at("hard"));
    let name = quota.at("metadata").text("name");
    let relevant: Vec<&str> = limits
        .keys()
        .map(String::as_str)
        .filter(|limited| usage::is_relevant(resource, limited))
        .collect();
    if relevant.is_empty() {
        return None;
    }
    if resource == Resource::PODS
        && let Some(why) = usage::missing(object, &relevant)
    {
        return Some(format!("failed quota: {name}: {why}"));
    }
    let mut asked = usage::of_object(resource, object);
    if let Some(old) = check
        .old
        .filter(|old| usage::is_in_scope(resource, old, quota))
    {
        for (name, before) in usage::of_object(resource, old) {
            if let Some(amount) = asked.get_mut(&name) {
                *amount = amount.minus(before);
            }
        }
    }
    asked.retain(|name, amount| limits.contains_key(name) && amount.signum() > 0);
    if asked.is_empty() {
        return None;
    }
    let used = usage::of_namespace(check.context.view, quota, None);
    let exceeded = |name: &String| {
        let sum = used.get(name).map(|used| used.plus(asked[name]));
        sum.is_some_and(|sum| sum > limits[name])
    };
    let names: Vec<String> = asked
        .keys()
        .filter(|name| exceeded(name))
        .cloned()
        .collect();
    if names.is_empty() {
        return None;
    }
    let shown = |list: &Amounts| {
        let pairs: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("{name}={}", list.get(name)?)))
            .collect();
        pairs.join(",")
    };
    Some(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        shown(&asked),
        shown(&used),
        shown(&limits)
    ))
}
