//! The `binding` of a Pod to a Node.

use super::{Engine, Outcome, Reply, Scope, body};
use crate::query::WriteOptions;
use crate::{answer, meta};
use model::{ApiError, Object, Resource, View};
use schema::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

impl Engine {
    /// POST of a `Binding`: puts a Pod on a Node, once.
    pub(super) fn bind(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse(&scope.request.query, "CreateOptions")?;
        scope.dry_run = options.dry_run;
        let kind = body_kind(scope, "v1", "Binding")?;
        let request = scope.request;
        let (mut binding, warnings) =
            body::decode(scope, &kind, &request.payload, options.validation)?;
        let found = meta::text(&binding, "namespace").to_owned();
        if !found.is_empty() && found != request.namespace {
            return Err(answer::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let name = meta::text(&binding, "name").to_owned();
        if !request.name.is_empty() && name != request.name {
            return Err(answer::bad_request(
                "name in URL does not match name in Binding object",
            ));
        }
        check_target(&binding["target"])?;
        let old = self.get(Resource::PODS, &request.namespace, &name);
        let old = old.ok_or_else(|| ApiError::not_found(Resource::PODS, &name))?;
        let refuse = |text: String| Err(answer::conflict("pods/binding", "", &name, &text));
        let mut value = old.value();
        if old.meta.is_deleting() {
            return refuse(format!(
                "pod {name} is being deleted, cannot be assigned to a host"
            ));
        }
        if let Some(node) = value["spec"]["nodeName"]
            .as_str()
            .filter(|node| !node.is_empty())
        {
            return refuse(format!("pod {name} is already assigned to node {node:?}"));
        }
        if value["spec"]["schedulingGates"]
            .as_array()
            .is_some_and(|gates| !gates.is_empty())
        {
            return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        check_preconditions(&binding, &old, &name)?;
        assign(scope, &mut value, &mut binding);
        let events = if scope.dry_run {
            Vec::new()
        } else {
            let stored = scope.registry().stored(Resource::PODS).cloned();
            if let Some(kind) = stored {
                scope.registry().normalise(&kind, &mut value);
            }
            vec![self.put(Resource::PODS, value, Some(old))?]
        };
        Ok(success(warnings, events))
    }
}

/// The kind of a body that is not the object's own.
pub(super) fn body_kind(
    scope: &Scope<'_>,
    api_version: &str,
    kind: &str,
) -> Result<Arc<Kind>, ApiError> {
    let found = scope.registry().by_kind(api_version, kind);
    found.cloned().ok_or_else(answer::no_such_resource)
}

/// The answer to what leaves nothing to show.
pub(super) fn success(warnings: Vec<String>, events: Vec<model::Event>) -> Outcome {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Outcome {
        code: 201,
        reply: Reply::Value(status),
        warnings,
        events,
    }
}

fn check_target(target: &Value) -> Result<(), ApiError> {
    let text = |key: &str| target[key].as_str().unwrap_or_default();
    let mut errors = Vec::new();
    if !matches!(text("kind"), "" | "Node") {
        errors.push(format!(
            "target.kind: Unsupported value: {:?}: supported values: \"Node\", \"<empty>\"",
            text("kind")
        ));
    }
    if text("name").is_empty() {
        errors.push("target.name: Required value".to_owned());
    }
    match errors.len() {
        0 => Ok(()),
        1 => Err(answer::plain_500(errors.concat())),
        _ => Err(answer::plain_500(format!("[{}]", errors.join(", ")))),
    }
}

fn check_preconditions(binding: &Value, old: &Object, name: &str) -> Result<(), ApiError> {
    let (uid, version) = (
        meta::text(binding, "uid"),
        meta::text(binding, "resourceVersion"),
    );
    let stored = old.meta.resource_version.to_string();
    let why = if !uid.is_empty() && uid != &*old.meta.uid {
        format!(
            "UID in precondition: {uid}, UID in object meta: {}",
            old.meta.uid
        )
    } else if !version.is_empty() && version != stored {
        format!(
            "ResourceVersion in precondition: {version}, ResourceVersion in object meta: {stored}"
        )
    } else {
        return Ok(());
    };
    let text = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/pods/{}/{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {why}",
        old.meta.namespace
    );
    Err(answer::conflict("pods", "", name, &text))
}

fn assign(scope: &Scope<'_>, pod: &mut Value, binding: &mut Value) {
    pod["spec"]["nodeName"] = binding["target"]["name"].take();
    for key in ["annotations", "labels"] {
        let Value::Object(given) = binding["metadata"][key].take() else {
            continue;
        };
        let map = meta::of_mut(pod)
            .entry(key.to_owned())
            .or_insert_with(|| json!({}));
        if let Some(map) = map.as_object_mut() {
            map.extend(given);
        }
    }
    let condition = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": scope.env.now.rfc3339()});
    let status = &mut pod["status"];
    if let Some(status) = status.as_object_mut() {
        status.remove("nominatedNodeName");
    }
    match status["conditions"].as_array_mut() {
        Some(list) => match list.iter_mut().find(|c| c["type"] == "PodScheduled") {
            Some(found) => *found = condition,
            None => list.push(condition),
        },
        None => status["conditions"] = json!([condition]),
    }
}
