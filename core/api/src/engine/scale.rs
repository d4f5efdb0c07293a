//! The `scale` subresource: replicas of a workload, whatever its kind.

use super::update::Change;
use super::{Engine, Outcome, Reply, Scope, body, patch};
use crate::query::WriteOptions;
use crate::route::Verb;
use crate::{answer, meta};
use model::{ApiError, FieldError, Object};
use schema::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

/// The kind behind `/scale`.
fn scale_kind(scope: &Scope<'_>) -> Result<Arc<Kind>, ApiError> {
    let found = scope.registry().by_kind("autoscaling/v1", "Scale");
    found.cloned().ok_or_else(answer::no_such_resource)
}

/// A workload as `Scale`.
pub fn scale_of(object: &Value) -> Value {
    let copied = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ];
    let metadata: serde_json::Map<String, Value> = copied
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), object["metadata"].get(key)?.clone())))
        .collect();
    let mut spec = json!({});
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)});
    let selector = selector_text(&object["spec"]["selector"]);
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// A `LabelSelector` object in the form of query parameters.
fn selector_text(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", text(value))));
    }
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = text(&expression["key"]);
        let mut values: Vec<String> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        values.sort();
        let values = values.join(",");
        let part = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.clone(),
            _ => format!("!{key}"),
        };
        parts.push((key, part));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let parts: Vec<String> = parts.into_iter().map(|(_, part)| part).collect();
    parts.join(",")
}

impl Engine {
    /// PUT and PATCH of `/scale`.
    pub(super) fn scale(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let patching = scope.request.verb == Verb::Patch;
        let options = WriteOptions::parse(
            &scope.request.query,
            if patching {
                "PatchOptions"
            } else {
                "UpdateOptions"
            },
        )?;
        scope.dry_run = options.dry_run;
        let kind = scale_kind(scope)?;
        let request = scope.request;
        let (mut given, warnings) = if patching {
            let current = scale_of(&self.expect(scope)?.value());
            patch::patched(scope, &kind, current, options.validation)?
        } else {
            body::decode(scope, &kind, &request.payload, options.validation)?
        };
        body::match_namespace(scope, &mut given)?;
        body::match_name(scope, &given)?;
        let old = self.expect(scope)?;
        let change = scaled(&old, &given, warnings)?;
        let mut outcome = self.change(scope, &old, change, &options)?;
        outcome.reply = Reply::Value(match &outcome.reply {
            Reply::Stored(object) => scale_of(&object.value()),
            Reply::Value(value) => scale_of(value),
            Reply::Items(_) => Value::Null,
        });
        Ok(outcome)
    }
}

/// The workload with the replicas that a Scale asks for.
fn scaled(old: &Object, given: &Value, warnings: Vec<String>) -> Result<Change, ApiError> {
    let replicas = given["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let text = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", &replicas.into(), text);
        return Err(ApiError::invalid(
            "autoscaling",
            "Scale",
            &old.meta.name,
            &[error],
        ));
    }
    let mut value = old.value();
    value["spec"]["replicas"] = replicas.into();
    for key in ["uid", "resourceVersion"] {
        let wanted = meta::text(given, key).to_owned();
        meta::of_mut(&mut value).insert(key.to_owned(), wanted.into());
    }
    Ok(Change {
        value,
        warnings,
        check_uid: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_print_sorted_by_key() {
        let selector = json!({
            "matchLabels": {"b": "1"},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["y", "x"]},
                {"key": "c", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector_text(&selector), "a in (x,y),b=1,!c");
    }
}
