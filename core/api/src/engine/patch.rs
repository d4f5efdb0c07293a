//! PATCH in its three forms.

use super::update::Change;
use super::{Engine, Outcome, Payload, Scope, body};
use crate::accept::PatchForm;
use crate::query::{FieldValidation, WriteOptions};
use crate::{answer, jsonpatch};
use model::ApiError;
use schema::{Decoded, Kind};
use serde_json::Value;

const MAX_OPERATIONS: usize = 10_000;

/// A patched object, decoded, and the warnings about it.
type Patched = Result<(Value, Vec<String>), ApiError>;

impl Engine {
    pub(super) fn patch(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse(&scope.request.query, "PatchOptions")?;
        scope.dry_run = options.dry_run;
        let old = self.expect(scope)?;
        let current = scope.shown(&old);
        let (mut value, warnings) = patched(scope, scope.kind, current, options.validation)?;
        body::match_namespace(scope, &mut value)?;
        body::match_name(scope, &value)?;
        let change = Change {
            value,
            warnings,
            check_uid: false,
            noted: None,
        };
        self.change(scope, &old, change, &options)
    }
}

/// Applies the request's patch to `current`, an object of `kind`, and decodes the result.
pub(super) fn patched(
    scope: &Scope<'_>,
    kind: &Kind,
    current: Value,
    validation: FieldValidation,
) -> Patched {
    match scope.request.patch.unwrap_or(PatchForm::Merge) {
        PatchForm::Json => json_patch(scope, kind, &current, validation),
        PatchForm::Merge | PatchForm::Apply => merge_patch(scope, kind, current, validation),
        PatchForm::Strategic => strategic_patch(scope, kind, current, validation),
    }
}

/// A patch as it was read.
struct Given {
    value: Value,
    /// What strict decoding says of the patch itself
    strict: Vec<String>,
}

/// The patch itself, which must be an object or, for JSON patches, an array.
fn read(
    scope: &Scope<'_>,
    prefix: &str,
    form: PatchForm,
    validation: FieldValidation,
) -> Result<Given, ApiError> {
    let bad = |text: String| answer::bad_request(format!("{prefix}{text}"));
    let (value, mut strict) = match &scope.request.payload {
        Payload::Value(value) | Payload::Document { value, .. } => (value.clone(), Vec::new()),
        Payload::Empty => return Err(bad("unexpected end of JSON input".to_owned())),
        Payload::Json(text) => {
            let value = schema::json::parse(text).map_err(|e| bad(e.message))?;
            (value, schema::json::repeated_keys(text))
        }
    };
    let (go_type, fits) = match form {
        PatchForm::Json => ("[]handlers.jsonPatchOp", value.is_array()),
        _ => ("map[string]interface {}", value.is_object()),
    };
    if !fits && !value.is_null() {
        let word = schema::json::type_word(&value);
        return Err(bad(format!(
            "json: cannot unmarshal {word} into Go value of type {go_type}"
        )));
    }
    for complaint in &mut strict {
        *complaint = format!("duplicate field {}", model::go_quote(complaint));
    }
    if form == PatchForm::Json {
        strict.extend(unknown_parts(&value));
        strict = strict
            .iter()
            .map(|text| format!("json patch {text}"))
            .collect();
    }
    if validation == FieldValidation::Ignore {
        strict.clear();
    }
    Ok(Given { value, strict })
}

/// What operations of a JSON patch have and should not.
fn unknown_parts(operations: &Value) -> Vec<String> {
    let operations = operations.as_array().into_iter().flatten().enumerate();
    let parts = operations.flat_map(|(at, operation)| {
        let parts = operation.as_object().into_iter().flatten();
        parts.map(move |(part, _)| (at, part.as_str()))
    });
    parts
        .filter(|(_, part)| !matches!(*part, "op" | "path" | "from" | "value"))
        .map(|(at, part)| {
            format!(
                "unknown field {}",
                model::go_quote(&format!("[{at}].{part}"))
            )
        })
        .collect()
}

fn json_patch(
    scope: &Scope<'_>,
    kind: &Kind,
    current: &Value,
    validation: FieldValidation,
) -> Patched {
    let patch = read(scope, "error decoding patch: ", PatchForm::Json, validation)?;
    let operations = patch.value.as_array().map_or(&[][..], Vec::as_slice);
    if operations.len() > MAX_OPERATIONS {
        let text = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(ApiError::new(413, "RequestEntityTooLarge", text));
    }
    let value = jsonpatch::apply(current, operations).map_err(|()| answer::unprocessable())?;
    decode(scope, kind, &value, patch.strict, validation)
}

fn merge_patch(
    scope: &Scope<'_>,
    kind: &Kind,
    mut current: Value,
    validation: FieldValidation,
) -> Patched {
    let patch = read(
        scope,
        "error decoding patch: ",
        PatchForm::Merge,
        validation,
    )?;
    if patch.value.is_null() {
        return Err(answer::bad_request("Invalid JSON Patch"));
    }
    jsonpatch::merge(&mut current, &patch.value);
    decode(scope, kind, &current, patch.strict, validation)
}

/// Decodes what a patch gave; it may claim to be another kind.
fn decode(
    scope: &Scope<'_>,
    kind: &Kind,
    value: &Value,
    strict: Vec<String>,
    validation: FieldValidation,
) -> Patched {
    let registry = scope.registry();
    let text = value.to_string();
    let invalid = |why: &str| answer::invalid_patch(&text, why);
    let found = registry.type_meta(text.as_bytes());
    let found = found.map_err(|e| invalid(&e.message))?;
    // What a custom object says it is gets validated.
    if kind.custom().is_none() {
        body::Named::new(kind, found)
            .check(registry, kind, text.as_bytes())
            .map_err(|why| match why {
                body::Mismatch::Kind(why) | body::Mismatch::Version(why) => invalid(&why),
            })?;
    }
    let decoded = registry.decode(kind, text.as_bytes());
    let decoded = decoded.map_err(|e| invalid(&e.message))?;
    strictly(decoded, strict, validation).map_err(|why| invalid(&why))
}

/// The object and the warnings about it and about its patch; an error where they are refused.
fn strictly(
    mut decoded: Decoded,
    mut strict: Vec<String>,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), String> {
    strict.append(&mut decoded.strict);
    decoded.strict = strict;
    match (validation, decoded.strict_error()) {
        (FieldValidation::Strict, Some(error)) => Err(error),
        (FieldValidation::Warn, _) => Ok((decoded.value, decoded.strict)),
        _ => Ok((decoded.value, Vec::new())),
    }
}

fn strategic_patch(
    scope: &Scope<'_>,
    kind: &Kind,
    current: Value,
    validation: FieldValidation,
) -> Patched {
    let registry = scope.registry();
    let patch = read(scope, "", PatchForm::Strategic, validation)?;
    let (value, strict) = match patch.value {
        Value::Null => (Value::Object(serde_json::Map::new()), patch.strict),
        other => (other, patch.strict),
    };
    let printed = schema::typed::go_value(&value);
    let merged = registry
        .strategic_merge(kind, current, value)
        .map_err(|error| match error.code {
            400 => answer::bad_request(error.message),
            422 => answer::unprocessable(),
            code => ApiError::new(code, "", error.message),
        })?;
    let invalid = |why: &str| answer::invalid_patch(&printed, why);
    let restored = registry.restore(kind, merged);
    let restored = restored.map_err(|e| invalid(&e.message))?;
    strictly(restored, strict, validation).map_err(|why| invalid(&why))
}
