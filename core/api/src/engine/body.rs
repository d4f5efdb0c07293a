//! From a body to an object of the expected kind.

use super::{Payload, Scope};
use crate::query::FieldValidation;
use crate::{answer, meta};
use model::ApiError;
use schema::{Kind, Registry, TypeMeta};
use serde_json::{Value, json};

const SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";

/// A decoded object and the warnings about it.
pub(super) type Taken = (Value, Vec<String>);

/// Decodes a body as `kind`, whose objects the path takes.
pub(super) fn decode(
    scope: &Scope<'_>,
    kind: &Kind,
    payload: &Payload,
    validation: FieldValidation,
) -> Result<Taken, ApiError> {
    let text = match payload {
        Payload::Value(value) => {
            let mut value = value.clone();
            name_type(kind, &mut value);
            let received = scope.registry().receive(kind, value);
            let received = received.map_err(|e| answer::bad_request(e.message))?;
            return Ok((received.value, Vec::new()));
        }
        Payload::Empty | Payload::Document { .. } => &[][..],
        Payload::Json(text) => text,
    };
    let registry = scope.registry();
    let found = registry.type_meta(text).map_err(|error| {
        answer::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {error} ({})",
            kind.kind,
            answer::summarise(text)
        ))
    })?;
    if kind.custom().is_some() && found.kind.is_empty() {
        let text = String::from_utf8_lossy(text);
        return Err(answer::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({})",
            kind.kind,
            answer::summarise(text.as_bytes())
        )));
    }
    let said = found.api_version.clone();
    let named = Named::new(kind, found);
    let cannot = |why: &str| answer::bad_request(named.cannot_be(kind, why));
    if kind.custom().is_none() {
        named.check(registry, kind, text).map_err(|why| match why {
            Mismatch::Kind(why) => cannot(&why),
            Mismatch::Version(text) => answer::bad_request(text),
        })?;
    }
    let decoded = registry
        .decode(kind, text)
        .map_err(|e| cannot(&e.message))?;
    if kind.custom().is_some() && said != kind.api_version() {
        return Err(answer::bad_request(other_version(&said, kind)));
    }
    match (validation, decoded.strict_error()) {
        (FieldValidation::Strict, Some(error)) => Err(cannot(&error)),
        (FieldValidation::Warn, _) => Ok((decoded.value, decoded.strict)),
        _ => Ok((decoded.value, Vec::new())),
    }
}

fn other_version(said: &str, expected: &Kind) -> String {
    format!(
        "the API version in the data ({said}) does not match the expected API version ({})",
        expected.api_version()
    )
}

/// Sets `apiVersion` and `kind`.
pub(crate) fn name_type(kind: &Kind, value: &mut Value) {
    if !value.is_object() {
        *value = json!({});
    }
    value["apiVersion"] = kind.api_version().into();
    value["kind"] = kind.kind.clone().into();
}

pub(super) enum Mismatch {
    /// Not an object of the kind, and why
    Kind(String),
    /// The kind in another version: the whole sentence
    Version(String),
}

/// What a body says it is, with what it leaves out taken from the path.
pub(super) struct Named {
    api_version: String,
    kind: String,
}

impl Named {
    pub(super) fn new(expected: &Kind, found: TypeMeta) -> Self {
        let or = |text: String, default: String| if text.is_empty() { default } else { text };
        Self {
            api_version: or(found.api_version, expected.api_version()),
            kind: or(found.kind, expected.kind.clone()),
        }
    }

    fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or_default()
    }

    fn cannot_be(&self, expected: &Kind, why: &str) -> String {
        format!(
            "{} in version {} cannot be handled as a {}: {why}",
            self.kind,
            model::go_quote(self.version()),
            expected.kind
        )
    }

    /// Whether the body is of the expected kind.
    pub(super) fn check(
        &self,
        registry: &Registry,
        expected: &Kind,
        text: &[u8],
    ) -> Result<(), Mismatch> {
        if self.kind == expected.kind && self.api_version == expected.api_version() {
            return Ok(());
        }
        let other = registry.by_kind(&self.api_version, &self.kind);
        if let Some(other) = other {
            registry
                .decode(other, text)
                .map_err(|e| Mismatch::Kind(e.message))?;
            if other.resource == expected.resource && other.kind == expected.kind {
                return Err(Mismatch::Version(other_version(
                    &self.api_version,
                    expected,
                )));
            }
        }
        let is_list = || {
            registry
                .kinds()
                .any(|k| k.list_kind == self.kind && k.api_version() == self.api_version)
        };
        Err(Mismatch::Kind(if other.is_some() || is_list() {
            format!(
                "converting ({}.{}) to ({}.{}): unknown conversion",
                self.version(),
                self.kind,
                expected.internal_package,
                expected.kind
            )
        } else {
            format!(
                "no kind {} is registered for version {} in scheme \"{SCHEME}\"",
                model::go_quote(&self.kind),
                model::go_quote(&self.api_version)
            )
        }))
    }
}

/// Refuses another namespace than the path's, and fills it in.
pub(super) fn match_namespace(scope: &Scope<'_>, value: &mut Value) -> Result<(), ApiError> {
    let wanted = if scope.kind.namespaced {
        scope.request.namespace.as_str()
    } else {
        ""
    };
    let found = meta::text(value, "namespace");
    // What lives in no namespace may say one, which is dropped.
    if found.is_empty() || found == wanted || wanted.is_empty() {
        let map = meta::of_mut(value);
        if wanted.is_empty() {
            map.remove("namespace");
        } else {
            map.insert("namespace".to_owned(), wanted.into());
        }
        return Ok(());
    }
    Err(answer::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

/// Refuses another name than the path's.
pub(super) fn match_name(scope: &Scope<'_>, value: &Value) -> Result<(), ApiError> {
    let (found, wanted) = (meta::text(value, "name"), &scope.request.name);
    if found.is_empty() {
        return Err(answer::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if found != wanted {
        return Err(answer::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}

/// Drops repeated owner references, with a warning.
pub(super) fn dedup_owners(value: &mut Value, after_admission: bool) -> Option<String> {
    let owners = meta::list(meta::of(value), "ownerReferences");
    let (mut kept, mut repeated) = (Vec::new(), Vec::new());
    for owner in owners {
        if kept.contains(owner) {
            repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner.clone());
        }
    }
    if repeated.is_empty() {
        return None;
    }
    meta::of_mut(value).insert("ownerReferences".to_owned(), kept.into());
    let after = if after_admission {
        " after mutating admission happens"
    } else {
        ""
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{after}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        repeated.join(", ")
    ))
}

/// Body of a delete as `DeleteOptions`; `None` when there is none.
pub(super) fn delete_options(payload: &Payload) -> Result<Option<Value>, ApiError> {
    match payload {
        Payload::Empty => Ok(None),
        Payload::Value(value) | Payload::Document { value, .. } => Ok(Some(value.clone())),
        Payload::Json(text) if text.is_empty() => Ok(None),
        Payload::Json(text) => {
            let value = schema::json::parse(text).map_err(|e| {
                answer::bad_request(format!(
                    "couldn't get version/kind; json parse error: {}",
                    e.message
                ))
            })?;
            if let Some(kind) = value["kind"]
                .as_str()
                .filter(|kind| !matches!(*kind, "" | "DeleteOptions"))
            {
                let version = value["apiVersion"].as_str().unwrap_or("v1");
                return Err(answer::bad_request(format!(
                    "no kind {kind:?} is registered for version {version:?} in scheme \"k8s.io/apimachinery@v0.36.2/pkg/runtime/scheme.go:110\""
                )));
            }
            Ok(Some(value))
        }
    }
}
