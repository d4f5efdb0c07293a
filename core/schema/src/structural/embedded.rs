//! Embedded resources: their `apiVersion`, `kind` and `metadata`.

use super::MetaRules;
use super::node::Node;
use super::path::Path;
use super::print;
use crate::registry::Registry;
use crate::{DecodeError, decode, normal};
use model::{FieldError, FieldErrorKind};
use serde_json::{Map, Value};

/// Brings `metadata` of embedded resources into ObjectMeta's form. Answers the paths of what
/// ObjectMeta does not know, sorted.
pub(super) fn coerce(schema: &Node, value: &mut Value) -> Result<Vec<String>, Box<FieldError>> {
    let mut unknown = Vec::new();
    each(schema, value, &Path::Root, &mut unknown)?;
    unknown.sort_unstable();
    Ok(unknown)
}

/// As [`coerce`], with the value itself taken as a resource or not, and errors below `path`.
pub(super) fn coerce_at(
    schema: &Node,
    value: &mut Value,
    path: &str,
    resource: bool,
) -> Result<(), Box<FieldError>> {
    let path = Path::Text(path);
    if resource
        && !schema.embedded
        && let Value::Object(fields) = value
    {
        resource_fields(fields, &path, &mut Vec::new())?;
    }
    each(schema, value, &path, &mut Vec::new())
}

fn each(
    schema: &Node,
    value: &mut Value,
    path: &Path<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), Box<FieldError>> {
    match value {
        Value::Object(fields) => {
            if schema.embedded {
                resource_fields(fields, path, unknown)?;
            }
            for (name, value) in fields.iter_mut() {
                if let Some(child) = schema.properties.get(name) {
                    each(child, value, &path.field(name), unknown)?;
                } else if let Some(child) = schema.additional_schema() {
                    each(child, value, &path.key(name), unknown)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.items.as_deref() {
                for (at, item) in items.iter_mut().enumerate() {
                    each(child, item, &path.index(at), unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn resource_fields(
    fields: &mut Map<String, Value>,
    path: &Path<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), Box<FieldError>> {
    for name in ["apiVersion", "kind"] {
        if let Some(value) = fields.get(name).filter(|value| !value.is_string()) {
            let path = path.field(name);
            return Err(Box::new(invalid(&path, value, "must be a string")));
        }
    }
    if let Some(metadata) = fields.get_mut("metadata") {
        let path = path.field("metadata");
        match object_meta(metadata) {
            Ok((known, dropped)) => {
                let names = dropped.iter().map(|name| format!("{path}.{name}"));
                unknown.extend(names);
                *metadata = known;
            }
            Err(error) => return Err(Box::new(invalid(&path, metadata, &error.message))),
        }
    }
    Ok(())
}

/// Decodes `metadata` as an ObjectMeta. Answers it in normal form, and the paths inside it that
/// ObjectMeta does not know.
///
/// # Errors
/// `json: cannot unmarshal …` where a field has the wrong type.
pub fn object_meta(metadata: &Value) -> Result<(Value, Vec<String>), DecodeError> {
    let registry = Registry::builtin();
    let types = &registry.types;
    let Some(meta) = types.by_name.get("meta/v1.ObjectMeta") else {
        return Err(DecodeError::new("ObjectMeta is not known"));
    };
    let text = metadata.to_string();
    let (mut value, strict) = decode::decode(types, *meta, text.as_bytes())?;
    normal::structure(types, *meta, &mut value);
    if let Some(fields) = value.as_object_mut()
        && fields.get("creationTimestamp").is_some_and(Value::is_null)
    {
        fields.remove("creationTimestamp");
    }
    let path = |text: &String| {
        let name = text.strip_prefix("unknown field \"")?.strip_suffix('"')?;
        Some(name.to_owned())
    };
    Ok((value, strict.iter().filter_map(path).collect()))
}

/// As [`validate`], with the value itself taken as a resource or not, and errors below `path`.
pub(super) fn validate_as(
    schema: &Node,
    value: &Value,
    path: &str,
    (is_resource, meta): (bool, MetaRules),
    errors: &mut Vec<FieldError>,
) {
    let path = Path::Text(path);
    if is_resource
        && !schema.embedded
        && let Value::Object(fields) = value
    {
        resource(fields, &path, meta, errors);
    }
    validate(schema, value, &path, meta, errors);
}

/// Validates embedded resources everywhere in a value.
pub(super) fn validate(
    schema: &Node,
    value: &Value,
    path: &Path<'_>,
    meta: MetaRules,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::Object(fields) => {
            if schema.embedded {
                resource(fields, path, meta, errors);
            }
            for (name, value) in fields {
                if let Some(child) = schema.properties.get(name) {
                    validate(child, value, &path.field(name), meta, errors);
                } else if let Some(child) = schema.additional_schema() {
                    validate(child, value, &path.key(name), meta, errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.items.as_deref() {
                for (at, item) in items.iter().enumerate() {
                    validate(child, item, &path.index(at), meta, errors);
                }
            }
        }
        _ => {}
    }
}

/// Validates one resource's own fields.
fn resource(
    fields: &Map<String, Value>,
    path: &Path<'_>,
    meta: MetaRules,
    errors: &mut Vec<FieldError>,
) {
    text_field(fields, "apiVersion", path, errors, |text| {
        let versions = text.matches('/').count() < 2;
        (!versions).then(|| format!("unexpected GroupVersion string: {text}"))
    });
    text_field(fields, "kind", path, errors, |text| {
        let wrong = label_1035(&text.to_lowercase());
        (!wrong.is_empty()).then(|| {
            let wrong = wrong.join(",");
            format!("may have mixed case, but should otherwise match: {wrong}")
        })
    });
    if let Some(metadata) = fields.get("metadata") {
        let path = path.field("metadata");
        match object_meta(metadata) {
            Ok((mut known, _)) => {
                // A resource inside another one needs no name.
                if let Some(fields) = known.as_object_mut()
                    && !fields.contains_key("name")
                {
                    fields.insert("name".to_owned(), "fakename".into());
                }
                meta(&known, &path.to_string(), errors);
            }
            Err(error) => errors.push(invalid(&path, metadata, &error.message)),
        }
    }
}

fn text_field(
    fields: &Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
    wrong: impl Fn(&str) -> Option<String>,
) {
    let path = path.field(name);
    let Some(value) = fields.get(name) else {
        errors.push(FieldError::required(path.to_string(), ""));
        return;
    };
    let detail = match value.as_str() {
        None => Some("must be a string".to_owned()),
        Some("") => Some("must not be empty".to_owned()),
        Some(text) => wrong(text),
    };
    if let Some(detail) = detail {
        errors.push(invalid(&path, value, &detail));
    }
}

fn invalid(path: &Path<'_>, value: &Value, detail: &str) -> FieldError {
    FieldError {
        kind: FieldErrorKind::Invalid,
        field: path.to_string(),
        value: Some(print::bad_value(value)),
        detail: detail.to_owned(),
    }
}

/// What keeps a text from being a DNS-1035 label.
fn label_1035(text: &str) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push("must be no more than 63 bytes");
    }
    let inside = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let fine = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(inside)
        && !text.ends_with('-');
    if !fine {
        wrong.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')",
        );
    }
    wrong
}
