//! PATCH in its three forms.

use super::update::Change;
use super::{Engine, Outcome, Payload, Scope, body};
use crate::accept::PatchForm;
use crate::query::{FieldValidation, WriteOptions};
use crate::{answer, jsonpatch};
use model::ApiError;
use schema::Kind;
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

/// The patch itself, which must be an object or, for JSON patches, an array.
fn read(scope: &Scope<'_>, prefix: &str, form: PatchForm) -> Result<Value, ApiError> {
    let bad = |text: String| answer::bad_request(format!("{prefix}{text}"));
    let value = match &scope.request.payload {
        Payload::Value(value) | Payload::Document { value, .. } => value.clone(),
        Payload::Empty => return Err(bad("unexpected end of JSON input".to_owned())),
        Payload::Json(text) => schema::json::parse(text).map_err(|e| bad(e.message))?,
    };
    let go_type = if form == PatchForm::Json {
        "[]handlers.jsonPatchOp"
    } else {
        "map[string]interface {}"
    };
    let fits = match form {
        PatchForm::Json => value.is_array() || value.is_null(),
        _ => value.is_object() || value.is_null(),
    };
    if fits {
        return Ok(value);
    }
    let word = schema::json::type_word(&value);
    Err(bad(format!(
        "json: cannot unmarshal {word} into Go value of type {go_type}"
    )))
}

fn json_patch(
    scope: &Scope<'_>,
    kind: &Kind,
    current: &Value,
    validation: FieldValidation,
) -> Patched {
    let patch = read(scope, "error decoding patch: ", PatchForm::Json)?;
    let operations = patch.as_array().map_or(&[][..], Vec::as_slice);
    if operations.len() > MAX_OPERATIONS {
        let text = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(ApiError::new(413, "RequestEntityTooLarge", text));
    }
    let value = jsonpatch::apply(current, operations).map_err(|()| answer::unprocessable())?;
    decode(scope, kind, &value, validation)
}

fn merge_patch(
    scope: &Scope<'_>,
    kind: &Kind,
    mut current: Value,
    validation: FieldValidation,
) -> Patched {
    let patch = read(scope, "error decoding patch: ", PatchForm::Merge)?;
    if patch.is_null() {
        return Err(answer::bad_request("Invalid JSON Patch"));
    }
    jsonpatch::merge(&mut current, &patch);
    decode(scope, kind, &current, validation)
}

/// Decodes what a patch gave; it may claim to be another kind.
fn decode(scope: &Scope<'_>, kind: &Kind, value: &Value, validation: FieldValidation) -> Patched {
    let registry = scope.registry();
    let text = value.to_string().into_bytes();
    let invalid = |why: &str| answer::invalid_patch(value, why);
    let found = registry.type_meta(&text).map_err(|e| invalid(&e.message))?;
    // What a custom object says it is gets validated.
    if kind.custom().is_none() {
        let named = body::Named::new(kind, found);
        named
            .check(registry, kind, &text)
            .map_err(|why| match why {
                body::Mismatch::Kind(why) | body::Mismatch::Version(why) => invalid(&why),
            })?;
    }
    let decoded = registry
        .decode(kind, &text)
        .map_err(|e| invalid(&e.message))?;
    match (validation, decoded.strict_error()) {
        (FieldValidation::Strict, Some(error)) => Err(invalid(&error)),
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
    let patch = match read(scope, "", PatchForm::Strategic)? {
        Value::Null => Value::Object(serde_json::Map::new()),
        other => other,
    };
    let merged = registry
        .strategic_merge(kind, current, patch)
        .map_err(|error| match error.code {
            400 => answer::bad_request(error.message),
            422 => answer::unprocessable(),
            code => ApiError::new(code, "", error.message),
        })?;
    let invalid = |why: &str| answer::invalid_patch(&merged, why);
    let restored = registry
        .restore(kind, merged.clone())
        .map_err(|e| invalid(&e.message))?;
    match (validation, restored.strict_error()) {
        (FieldValidation::Strict, Some(error)) => Err(invalid(&error)),
        (FieldValidation::Warn, _) => Ok((restored.value, restored.strict)),
        _ => Ok((restored.value, Vec::new())),
    }
}
