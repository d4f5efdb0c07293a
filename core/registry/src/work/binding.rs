//! Binding of a Pod to a Node: the `binding` subresource.
//!
//! Source: `BindingREST` of `pkg/registry/core/pod/storage`.

use super::admission;
use crate::Context;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, remove, set};
use model::{ApiError, go_quote};
use serde_json::{Value, json};

/// The Pod as `binding` leaves it; `name` is the Pod's in the path.
///
/// # Errors
/// 400 when the names differ, 500 when there is no target, 409 when the Pod is bound or going.
pub fn bind(
    binding: &Value,
    name: &str,
    pod: &Value,
    context: &Context<'_>,
) -> Result<Value, ApiError> {
    if binding.at("metadata").text("name") != name {
        let text = "name in URL does not match name in Binding object";
        return Err(ApiError::new(400, "BadRequest", text));
    }
    target(binding.at("target"))?;
    preconditions(binding.at("metadata"), pod)?;
    let metadata = pod.at("metadata");
    let bound = pod.at("spec").text("nodeName");
    let refused = if metadata.has("deletionTimestamp") {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !bound.is_empty() {
        format!("pod {name} is already assigned to node {}", go_quote(bound))
    } else if !pod.at("spec").items("schedulingGates").is_empty() {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else {
        return Ok(bound_pod(binding, pod, context));
    };
    Err(conflict("pods/binding", name, &refused))
}

fn conflict(resource: &str, name: &str, text: &str) -> ApiError {
    ApiError {
        details: Some(json!({"kind": resource, "name": name})),
        ..ApiError::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {resource} {}: {text}",
                go_quote(name)
            ),
        )
    }
}

/// What is wrong with the target is told as an internal error, as upstream does.
fn target(target: &Value) -> Result<(), ApiError> {
    let mut errors = Errors::default();
    let (kind, path) = (target.text("kind"), Path::new("target"));
    if !matches!(kind, "" | "Node") {
        errors.not_supported(&path.child("kind"), kind, &["Node", "<empty>"]);
    }
    if target.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    let texts: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [text] => Err(ApiError::new(500, "", text.as_str())),
        _ => Err(ApiError::new(500, "", format!("[{}]", texts.join(", ")))),
    }
}

fn preconditions(wanted: &Value, pod: &Value) -> Result<(), ApiError> {
    let found = pod.at("metadata");
    for (key, label) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (want, have) = (wanted.text(key), found.text(key));
        if !want.is_empty() && want != have {
            let text = format!(
                "Precondition failed: {label} in precondition: {want}, {label} in object meta: \
                 {have}"
            );
            return Err(conflict("pods", found.text("name"), &text));
        }
    }
    Ok(())
}

fn bound_pod(binding: &Value, pod: &Value, context: &Context<'_>) -> Value {
    let mut pod = pod.clone();
    let node = binding.at("target").text("name");
    if let Some(spec) = ensure(&mut pod, "spec") {
        set(spec, "nodeName", node);
    }
    let metadata = binding.at("metadata");
    let topology = admission::node_topology(node, context);
    for kind in ["annotations", "labels"] {
        let mut added: Vec<(String, Value)> = metadata
            .entries(kind)
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        if kind == "labels" {
            added.extend(topology.iter().map(|(k, v)| (k.clone(), v.as_str().into())));
        }
        if added.is_empty() {
            continue;
        }
        if let Some(map) = ensure(&mut pod, "metadata").and_then(|m| ensure(m, kind)) {
            added
                .into_iter()
                .for_each(|(key, value)| set(map, &key, value));
        }
    }
    if let Some(status) = ensure(&mut pod, "status") {
        remove(status, "nominatedNodeName");
        scheduled(status, context);
    }
    pod
}

/// The condition `PodScheduled` becomes true; its time changes only with its status.
fn scheduled(status: &mut Value, context: &Context<'_>) {
    let mut condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": context.now.rfc3339(),
    });
    let mut conditions = status.items("conditions").to_vec();
    let at = conditions
        .iter()
        .position(|condition| condition.text("type") == "PodScheduled");
    match at.and_then(|at| conditions.get_mut(at)) {
        Some(found) => {
            if found.text("status") == "True" {
                set(
                    &mut condition,
                    "lastTransitionTime",
                    found.at("lastTransitionTime").clone(),
                );
            }
            *found = condition;
        }
        None => conditions.push(condition),
    }
    set(status, "conditions", conditions);
}
