//! PATCH with a configuration: server-side apply.

use super::update::Change;
use super::{Engine, Outcome, Payload, Scope, body};
use crate::managed::{Apply, Named, read, write};
use crate::query::{FieldValidation, WriteOptions};
use crate::{answer, managed, meta};
use model::{ApiError, Object};
use schema::Kind;
use serde_json::Value;

impl Engine {
    pub(super) fn apply_patch(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse_apply(&scope.request.query)?;
        scope.dry_run = options.dry_run;
        let old = self.existing(scope);
        if old.is_none() && !scope.request.subresource.is_empty() {
            return Err(ApiError::not_found(scope.resource(), &scope.request.name));
        }
        let (live, noted) = live(scope, old.as_deref());
        let config = config(scope)?;
        let made = apply(scope, scope.kind, (&live, &noted), &config, &options)?;
        let warnings = repeated(scope, options.validation)?;
        let Made { mut value, noted } = made;
        if old.is_none() {
            refuse_uid(scope, &value)?;
        }
        body::match_namespace(scope, &mut value)?;
        body::match_name(scope, &value)?;
        match old {
            None => self.create_applied(scope, (value, warnings), noted, &options),
            Some(old) => {
                let change = Change {
                    value,
                    warnings,
                    check_uid: false,
                    noted: Some(noted),
                };
                self.change(scope, &old, change, &options)
            }
        }
    }
}

/// What an apply made.
pub(super) struct Made {
    /// In the kind of the request, decoded
    pub(super) value: Value,
    /// `managedFields`
    pub(super) noted: Vec<Value>,
}

/// The object as the request's kind shows it, defaulted, and its managedFields.
fn live(scope: &Scope<'_>, old: Option<&Object>) -> (Value, Vec<Value>) {
    let Some(old) = old else {
        return (scope.empty(scope.kind), Vec::new());
    };
    let mut value = old.value();
    scope.strategy.default(&mut value);
    scope
        .registry()
        .convert(&scope.stored, scope.kind, &mut value);
    let noted = meta::of_mut(&mut value).remove("managedFields");
    let noted = match noted {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    (value, noted)
}

/// The configuration of the body.
pub(super) fn config(scope: &Scope<'_>) -> Result<Value, ApiError> {
    let bad = |text: String| answer::bad_request(format!("error decoding YAML: {text}"));
    let value = match &scope.request.payload {
        Payload::Value(value) | Payload::Document { value, .. } => value.clone(),
        Payload::Empty => Value::Null,
        Payload::Json(text) => schema::json::parse(text).map_err(|e| bad(e.message))?,
    };
    if value.is_object() || value.is_null() {
        return Ok(value);
    }
    let word = schema::json::type_word(&value);
    Err(bad(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} into Go value of type map[string]interface {{}}"
    )))
}

/// Applies a configuration to an object of `kind`.
pub(super) fn apply(
    scope: &Scope<'_>,
    kind: &Kind,
    (live, noted): (&Value, &[Value]),
    config: &Value,
    options: &WriteOptions,
) -> Result<Made, ApiError> {
    let entries = read(noted)
        .map_err(|why| answer::plain_500(format!("failed to decode managed fields: {why}")))?;
    let version = kind.api_version();
    let (empty, now) = (scope.empty(kind), scope.env.now.rfc3339());
    let subresource = &scope.request.subresource;
    let apply = Apply {
        models: managed::Models::new(scope.registry(), kind, &version, subresource),
        manager: &options.field_manager,
        subresource,
        force: options.force,
        now: &now,
        empty: &empty,
    };
    let applied = apply.run(live, entries, config)?;
    let value = match applied.object {
        None => live.clone(),
        Some(tree) => restored(scope, kind, tree, config)?,
    };
    let noted = write(applied.entries);
    Ok(Made { value, noted })
}

fn restored(
    scope: &Scope<'_>,
    kind: &Kind,
    tree: Value,
    config: &Value,
) -> Result<Value, ApiError> {
    let named = Named::of(config);
    if scope.kind.custom().is_some() && kind.custom().is_none() {
        // The original converts custom kinds only, and their Scale is none.
        return Err(answer::plain_500(format!(
            "failed to convert new object ({}) to proper version: request to convert CR to an invalid group/version: {}",
            named.object_text(config),
            kind.api_version()
        )));
    }
    let restored = scope.registry().restore(kind, tree);
    let restored = restored.map_err(|error| {
        answer::plain_500(format!(
            "failed to convert new object ({}) to proper version: unable to convert unstructured object to {}: {error}",
            named.object_text(config),
            named.text()
        ))
    })?;
    Ok(restored.value)
}

/// What strict decoding says about keys that are there more than once.
pub(super) fn repeated(
    scope: &Scope<'_>,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let Payload::Document { repeated, .. } = &scope.request.payload else {
        return Ok(Vec::new());
    };
    match validation {
        FieldValidation::Strict if !repeated.is_empty() => Err(answer::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            repeated.join("\n  ")
        ))),
        FieldValidation::Warn => Ok(repeated.clone()),
        _ => Ok(Vec::new()),
    }
}

/// A configuration that names the uid of an object does not make another one.
fn refuse_uid(scope: &Scope<'_>, value: &Value) -> Result<(), ApiError> {
    let uid = meta::text(value, "uid");
    if uid.is_empty() {
        return Ok(());
    }
    let text = format!(
        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
    );
    let (plural, group) = (&scope.kind.plural, &scope.kind.group);
    Err(answer::conflict(plural, group, &scope.request.name, &text))
}
