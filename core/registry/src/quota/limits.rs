//! Admission by LimitRanges: defaults for containers, bounds for Pods, containers and claims.

use crate::Context;
use crate::declared::Check;
use crate::field::read::{Read, ensure, items_mut, set};
use crate::work::admission::forbidden;
use crate::work::podspec::resources::{Amounts, Kind, aggregate, amounts};
use model::{ApiError, Resource};
use schema::quantity::Quantity;
use serde_json::{Value, json};

const NOTE: &str = "kubernetes.io/limit-ranger";

/// The ranges of the object's namespace, by name.
fn ranges(object: &Value, context: &Context<'_>) -> Vec<Value> {
    let namespace = object.at("metadata").text("namespace");
    let all = context.view.list(Resource::LIMIT_RANGES, Some(namespace));
    all.iter().map(|range| range.value()).collect()
}

/// Gives containers of a new Pod the requests and limits that they leave out.
pub(crate) fn apply_defaults(pod: &mut Value, context: &Context<'_>) {
    for range in ranges(pod, context) {
        let (mut requests, mut limits) = (json!({}), json!({}));
        for item in range.at("spec").items("limits") {
            if item.text("type") != "Container" {
                continue;
            }
            for (target, key) in [(&mut requests, "defaultRequest"), (&mut limits, "default")] {
                for (name, value) in item.entries(key) {
                    set(target, name, value.clone());
                }
            }
        }
        let mut told = Vec::new();
        for (list, word) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let Some(spec) = pod.get_mut("spec") else {
                return;
            };
            for container in items_mut(spec, list) {
                merge(container, [&requests, &limits], word, &mut told);
            }
        }
        if told.is_empty() {
            continue;
        }
        let metadata = ensure(pod, "metadata");
        if let Some(annotations) = metadata.and_then(|meta| ensure(meta, "annotations")) {
            let text = format!("LimitRanger plugin set: {}", told.join("; "));
            set(annotations, NOTE, text);
        }
    }
}

fn merge(container: &mut Value, defaults: [&Value; 2], word: &str, told: &mut Vec<String>) {
    let name = container.text("name").to_owned();
    let Some(resources) = ensure(container, "resources") else {
        return;
    };
    for ((key, what), defaults) in [("requests", "request"), ("limits", "limit")]
        .into_iter()
        .zip(defaults)
    {
        let mut added = Vec::new();
        for (resource, value) in defaults.as_object().into_iter().flatten() {
            let list = ensure(resources, key);
            if let Some(list) = list.filter(|list| !list.has(resource)) {
                set(list, resource, value.clone());
                added.push(resource.as_str());
            }
        }
        if !added.is_empty() {
            told.push(format!("{} {what} for {word} {name}", added.join(", ")));
        }
    }
}

/// Refuses a Pod or claim that is out of bounds.
///
/// # Errors
/// 403 with what the first such range has to say.
pub(crate) fn refuse(
    resource: Resource,
    object: &Value,
    check: &Check<'_>,
) -> Result<(), ApiError> {
    let created = check.old.is_none();
    let deleting = check
        .old
        .is_some_and(|old| old.at("metadata").has("deletionTimestamp"));
    let relevant = match resource {
        Resource::PODS => created,
        Resource::VOLUME_CLAIMS => !deleting,
        _ => false,
    };
    if !relevant {
        return Ok(());
    }
    for range in ranges(object, check.context) {
        let mut faults = Vec::new();
        for item in range.at("spec").items("limits") {
            match resource {
                Resource::PODS => pod(&mut faults, item, object.at("spec")),
                _ => claim(&mut faults, item, object.at("spec")),
            }
        }
        if let Some(text) = aggregated(faults) {
            return Err(forbidden(resource, object, &text));
        }
    }
    Ok(())
}

/// Several errors in one text, each once.
fn aggregated(faults: Vec<String>) -> Option<String> {
    let mut distinct: Vec<String> = Vec::new();
    for fault in faults {
        if !distinct.contains(&fault) {
            distinct.push(fault);
        }
    }
    match distinct.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

fn pod(faults: &mut Vec<String>, item: &Value, spec: &Value) {
    match item.text("type") {
        "Container" => {
            for list in ["containers", "initContainers"] {
                for container in spec.items(list) {
                    let resources = container.at("resources");
                    let (requests, limits) = (
                        amounts(resources.at("requests")),
                        amounts(resources.at("limits")),
                    );
                    bounds(faults, item, &requests, &limits);
                }
            }
        }
        "Pod" => {
            let (requests, limits) = (of_pod(spec, Kind::Requests), of_pod(spec, Kind::Limits));
            bounds(faults, item, &requests, &limits);
        }
        _ => {}
    }
}

/// What a Pod needs: what it states for itself wins over the sum of its containers.
pub(super) fn of_pod(spec: &Value, kind: Kind) -> Amounts {
    let mut sums = aggregate(spec, kind);
    let own = spec.at("resources");
    let own = match kind {
        Kind::Requests => own.at("requests"),
        Kind::Limits => own.at("limits"),
    };
    sums.extend(amounts(own));
    sums
}

fn bounds(faults: &mut Vec<String>, item: &Value, requests: &Amounts, limits: &Amounts) {
    let kind = item.text("type");
    for (name, least) in amounts(item.at("min")) {
        faults.extend(minimum(
            kind,
            &name,
            least,
            (requests.get(&name), limits.get(&name)),
        ));
    }
    for (name, most) in amounts(item.at("max")) {
        faults.extend(maximum(
            kind,
            &name,
            most,
            (requests.get(&name), limits.get(&name)),
        ));
    }
    for (name, most) in amounts(item.at("maxLimitRequestRatio")) {
        faults.extend(ratio(
            kind,
            &name,
            most,
            (requests.get(&name), limits.get(&name)),
        ));
    }
}

fn claim(faults: &mut Vec<String>, item: &Value, spec: &Value) {
    let kind = item.text("type");
    if kind != "PersistentVolumeClaim" {
        return;
    }
    let requests = amounts(spec.at("resources").at("requests"));
    for (name, least) in amounts(item.at("min")) {
        faults.extend(minimum(kind, &name, least, (requests.get(&name), None)));
    }
    for (name, most) in amounts(item.at("max")) {
        let about = format!("maximum {name} usage per {kind} is {most}");
        match requests.get(&name) {
            None => faults.push(format!("{about}.  No request is specified")),
            Some(asked) if *asked > most => {
                faults.push(format!("{about}, but request is {asked}"));
            }
            Some(_) => {}
        }
    }
}

type Asked<'a> = (Option<&'a Quantity>, Option<&'a Quantity>);

fn minimum(kind: &str, name: &str, least: Quantity, (request, limit): Asked<'_>) -> Option<String> {
    let about = format!("minimum {name} usage per {kind} is {least}");
    let Some(request) = request else {
        return Some(format!("{about}.  No request is specified"));
    };
    if *request < least {
        return Some(format!("{about}, but request is {request}"));
    }
    let limit = limit.filter(|limit| **limit < least)?;
    Some(format!("{about}, but limit is {limit}"))
}

fn maximum(kind: &str, name: &str, most: Quantity, (request, limit): Asked<'_>) -> Option<String> {
    let about = format!("maximum {name} usage per {kind} is {most}");
    let Some(limit) = limit else {
        return Some(format!("{about}.  No limit is specified"));
    };
    if *limit > most {
        return Some(format!("{about}, but limit is {limit}"));
    }
    let request = request.filter(|request| **request > most)?;
    Some(format!("{about}, but request is {request}"))
}

fn ratio(kind: &str, name: &str, most: Quantity, (request, limit): Asked<'_>) -> Option<String> {
    let about = format!("{name} max limit to request ratio per {kind} is {most}");
    let some = |value: Option<&Quantity>| value.copied().filter(|value| value.signum() != 0);
    let Some(request) = some(request) else {
        return Some(format!(
            "{about}, but no request is specified or request is 0"
        ));
    };
    let Some(limit) = some(limit) else {
        return Some(format!("{about}, but no limit is specified or limit is 0"));
    };
    let found = limit.to_f64() / request.to_f64();
    (found > most.to_f64()).then(|| format!("{about}, but provided ratio is {found:.6}"))
}
