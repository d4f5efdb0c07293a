//! The `scale` subresource: replicas of a workload, whatever its kind.

use super::update::Change;
use super::{Engine, Outcome, Reply, Scope, apply, body, patch};
use crate::accept::PatchForm;
use crate::managed::{self, scale::Replicas};
use crate::query::WriteOptions;
use crate::route::Verb;
use crate::{answer, meta};
use model::{ApiError, FieldError, Object};
use schema::{Kind, ScalePaths};
use serde_json::{Value, json};
use std::sync::Arc;

/// The kind behind `/scale`.
fn scale_kind(scope: &Scope<'_>) -> Result<Arc<Kind>, ApiError> {
    let found = scope.registry().by_kind("autoscaling/v1", "Scale");
    found.cloned().ok_or_else(answer::no_such_resource)
}

/// An object of a kind as `Scale`.
///
/// # Errors
/// 500 for a custom object whose replicas are not there or no numbers.
pub fn scale_of(kind: &Kind, object: &Value) -> Result<Value, ApiError> {
    let Some(paths) = kind.custom().and_then(|custom| custom.scale()) else {
        return Ok(workload_scale(object));
    };
    let (scale, found) = custom_scale(paths, object).map_err(answer::plain_500)?;
    if !found {
        return Err(answer::internal(no_replicas(paths, "does not exist")));
    }
    Ok(scale)
}

fn no_replicas(paths: ScalePaths<'_>, why: &str) -> String {
    let path = model::go_quote(paths.spec);
    format!("the spec replicas field {path} {why}")
}

/// A custom object as `Scale`, and whether it has replicas.
fn custom_scale(paths: ScalePaths<'_>, object: &Value) -> Result<(Value, bool), String> {
    let replicas = ScalePaths::number(paths.spec, object)?;
    let status = ScalePaths::number(paths.status, object)?.unwrap_or(0);
    let selector = match paths.selector {
        "" => "",
        path => ScalePaths::text(path, object)?,
    };
    let scale = scale(object, replicas.unwrap_or(0), status, selector);
    Ok((scale, replicas.is_some()))
}

/// A workload as `Scale`.
fn workload_scale(object: &Value) -> Value {
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(0);
    let status = object["status"]["replicas"].as_i64().unwrap_or(0);
    let selector = &object["spec"]["selector"];
    let selector = if object["kind"] == "ReplicationController" {
        // The older kind has a map of labels alone.
        selector_text(&json!({"matchLabels": selector}))
    } else {
        selector_text(selector)
    };
    scale(object, replicas, status, &selector)
}

fn scale(object: &Value, replicas: i64, status: i64, selector: &str) -> Value {
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
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": status});
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
        let options = options(scope)?;
        scope.dry_run = options.dry_run;
        let kind = scale_kind(scope)?;
        let asked = match scope.request.verb {
            Verb::Patch => None,
            _ => Some(taken(scope, &kind, &options)?),
        };
        let old = self.expect(scope)?;
        let asked = match asked {
            Some(asked) => asked,
            None => patched(scope, &kind, &old, &options)?,
        };
        let noted = noted(scope, &kind, &old, &asked, &options)?;
        let change = scaled(scope, &old, asked, noted)?;
        let mut outcome = self.change(scope, &old, change, &options)?;
        outcome.reply = Reply::Value(match &outcome.reply {
            Reply::Stored(object) => scale_of(scope.kind, &scope.shown(object))?,
            Reply::Value(value) => scale_of(scope.kind, value)?,
            Reply::Items(_) => Value::Null,
        });
        Ok(outcome)
    }
}

fn options(scope: &Scope<'_>) -> Result<WriteOptions, ApiError> {
    let query = &scope.request.query;
    match (scope.request.verb, scope.request.patch) {
        (Verb::Patch, Some(PatchForm::Apply)) => WriteOptions::parse_apply(query),
        (Verb::Patch, _) => WriteOptions::parse(query, "PatchOptions"),
        _ => WriteOptions::parse(query, "UpdateOptions"),
    }
}

/// A Scale that was asked for.
struct Asked {
    value: Value,
    warnings: Vec<String>,
    /// The Scale's managedFields, when they are known already
    noted: Option<Vec<Value>>,
}

fn checked(scope: &Scope<'_>, mut asked: Asked) -> Result<Asked, ApiError> {
    body::match_namespace(scope, &mut asked.value)?;
    body::match_name(scope, &asked.value)?;
    Ok(asked)
}

/// The Scale in the body of a PUT.
fn taken(scope: &Scope<'_>, kind: &Kind, options: &WriteOptions) -> Result<Asked, ApiError> {
    let payload = &scope.request.payload;
    let (value, warnings) = body::decode(scope, kind, payload, options.validation)?;
    let asked = Asked {
        value,
        warnings,
        noted: None,
    };
    checked(scope, asked)
}

fn patched(
    scope: &Scope<'_>,
    kind: &Kind,
    old: &Object,
    options: &WriteOptions,
) -> Result<Asked, ApiError> {
    let old = scope.shown(old);
    let current = current_scale(scope, &old)?;
    if scope.request.patch != Some(PatchForm::Apply) {
        let (value, warnings) = patch::patched(scope, kind, current, options.validation)?;
        let asked = Asked {
            value,
            warnings,
            noted: None,
        };
        return checked(scope, asked);
    }
    let noted = scale_noted(scope, &old)?;
    let config = apply::config(scope)?;
    let made = apply::apply(scope, kind, (&current, &noted), &config, options)?;
    let warnings = apply::repeated(scope, options.validation)?;
    let asked = Asked {
        value: made.value,
        warnings,
        noted: Some(made.noted),
    };
    checked(scope, asked)
}

/// `spec.replicas`, or what a custom kind says, in a version of the workload's kind.
fn replicas_path(scope: &Scope<'_>, version: &str) -> Option<Vec<String>> {
    let kind = scope.models(scope.kind).kind_at(version)?;
    let path = match kind.custom() {
        None => ".spec.replicas",
        Some(custom) => custom.version()["subresources"]["scale"]["specReplicasPath"].as_str()?,
    };
    let names = path.split('.').filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

fn noted_in(object: &Value) -> &[Value] {
    meta::list(meta::of(object), "managedFields")
}

/// The managedFields of an object's Scale.
fn scale_noted(scope: &Scope<'_>, old: &Value) -> Result<Vec<Value>, ApiError> {
    let replicas = Replicas {
        version: &scope.api_version,
        paths: &|version| replicas_path(scope, version),
    };
    replicas.to_scale(noted_in(old)).map_err(answer::plain_500)
}

/// The managedFields of an object after a write of its Scale.
fn noted(
    scope: &Scope<'_>,
    kind: &Kind,
    old: &Object,
    asked: &Asked,
    options: &WriteOptions,
) -> Result<Vec<Value>, ApiError> {
    let old = scope.shown(old);
    let made = match &asked.noted {
        Some(noted) => noted.clone(),
        None => {
            let known = scale_noted(scope, &old)?;
            let before = current_scale(scope, &old)?;
            let objects = (&before, &asked.value);
            managed::of_scale(scope, kind, objects, &known, &options.field_manager)
        }
    };
    let replicas = Replicas {
        version: &scope.api_version,
        paths: &|version| replicas_path(scope, version),
    };
    replicas
        .to_parent(noted_in(&old), &made)
        .map_err(answer::plain_500)
}

/// The workload with the replicas that a Scale asks for.
fn scaled(
    scope: &Scope<'_>,
    old: &Object,
    asked: Asked,
    noted: Vec<Value>,
) -> Result<Change, ApiError> {
    let Asked {
        value: given,
        warnings,
        ..
    } = asked;
    refuse_uid(scope, old, &given)?;
    let mut value = scope.shown(old);
    set_replicas(scope, &mut value, &given).map_err(|error| error.warned(warnings.clone()))?;
    let version = meta::text(&given, "resourceVersion");
    if !version.is_empty() {
        meta::of_mut(&mut value).insert("resourceVersion".to_owned(), version.into());
    }
    Ok(Change {
        value,
        warnings,
        check_uid: false,
        noted: Some(noted),
    })
}

/// Says that a custom object has no replicas yet.
const NONE_YET: i64 = i32::MIN as i64;

/// What a patch of the Scale is applied to.
fn current_scale(scope: &Scope<'_>, object: &Value) -> Result<Value, ApiError> {
    let Some(paths) = scope.kind.custom().and_then(|custom| custom.scale()) else {
        return Ok(workload_scale(object));
    };
    let (mut scale, found) = custom_scale(paths, object).map_err(answer::plain_500)?;
    if !found {
        scale["spec"]["replicas"] = NONE_YET.into();
    }
    Ok(scale)
}

/// Gives the object the replicas that a Scale asks for.
fn set_replicas(scope: &Scope<'_>, value: &mut Value, given: &Value) -> Result<(), ApiError> {
    let replicas = given["spec"]["replicas"].as_i64().unwrap_or(0);
    if let Some(paths) = scope.kind.custom().and_then(|custom| custom.scale()) {
        if replicas == NONE_YET {
            return Err(answer::bad_request(no_replicas(paths, "cannot be empty")));
        }
        paths.set_replicas(value, replicas);
        return Ok(());
    }
    if replicas < 0 {
        let text = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", &replicas.into(), text);
        let name = meta::text(value, "name");
        return Err(ApiError::invalid("autoscaling", "Scale", name, &[error]));
    }
    value["spec"]["replicas"] = replicas.into();
    Ok(())
}

fn refuse_uid(scope: &Scope<'_>, old: &Object, given: &Value) -> Result<(), ApiError> {
    let wanted = meta::text(given, "uid");
    if wanted.is_empty() || wanted == &*old.meta.uid {
        return Ok(());
    }
    let text = format!(
        "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
        old.meta.uid
    );
    let resource = format!("{}/scale", scope.kind.plural);
    let name = &old.meta.name;
    Err(answer::conflict(&resource, &scope.kind.group, name, &text))
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
