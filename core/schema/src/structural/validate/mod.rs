//! Validation of an object: values by the schema, embedded resources, list types, rules in CEL.

mod numbers;
mod values;

use super::correlate::Correlated;
use super::node::Node;
use super::path::Path;
use super::rules::{self, Asked, Ratchet};
use super::{MetaRules, Part, Structural, embedded, lists};
use model::{FieldError, FieldErrorKind};
use serde_json::Value;

/// Validates an object.
pub(super) fn object(
    schema: &Structural,
    new: &Value,
    old: Option<&Value>,
    part: Part,
    meta: MetaRules,
    errors: &mut Vec<FieldError>,
) -> Vec<String> {
    let root = schema.root();
    match part {
        Part::Whole => by_schema(root, new, old, "", errors),
        Part::Status => status(root, new, old, errors),
    }
    if part == Part::Whole && schema.has_embedded {
        embedded::validate(root, new, &Path::Root, meta, errors);
    }
    list_types(root, new, old, errors);
    if !schema.has_rules {
        return Vec::new();
    }
    if errors.iter().any(|error| is_blocking(error.kind)) {
        errors.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field: "<nil>".to_owned(),
            value: Some("null".to_owned()),
            detail: "some validation rules were not checked because the object was invalid; \
                     correct the existing errors to complete validation"
                .to_owned(),
        });
        return Vec::new();
    }
    let mut asked = Asked::new(rules::BUDGET);
    let ratchet = old.map(|old| Ratchet::root(root, new, old));
    let ratchet = ratchet.unwrap_or_default();
    let rules = schema.rules();
    rules.ask(root, new, old, (&Path::Root, ratchet), &mut asked);
    errors.extend(asked.errors);
    asked.warnings
}

/// What makes rules unsafe to ask: their types and costs rely on it.
fn is_blocking(kind: FieldErrorKind) -> bool {
    use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(
        kind,
        NotSupported | Required | TooLong | TooMany | TypeInvalid
    )
}

fn status(root: &Node, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let (Some(schema), Some(new)) = (root.properties.get("status"), new.get("status")) else {
        return;
    };
    let old = old.and_then(|old| old.get("status"));
    by_schema(schema, new, old, "status", errors);
}

/// Validates values. What did not change since `old` is not complained about; since that only takes
/// errors away, it is looked at only when there are some.
fn by_schema(
    schema: &Node,
    new: &Value,
    old: Option<&Value>,
    prefix: &str,
    errors: &mut Vec<FieldError>,
) {
    let mut found = values::validate(schema, new, None, prefix);
    if found.is_empty() {
        return;
    }
    if let Some(old) = old {
        let correlated = Correlated { new, old, schema };
        found = values::validate(schema, new, Some(correlated), prefix);
    }
    add_once(found, errors);
}

/// Validates a default.
pub(super) fn default_value(
    schema: &Node,
    value: &Value,
    prefix: &str,
    errors: &mut Vec<FieldError>,
) {
    add_once(values::validate_default(schema, value, prefix), errors);
}

/// Several branches may say the same.
fn add_once(found: Vec<FieldError>, errors: &mut Vec<FieldError>) {
    for error in found {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
}

/// Duplicates in sets and maps; an object that had some before may keep having them.
fn list_types(root: &Node, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut found = Vec::new();
    lists::validate(root, new, &Path::Root, &mut found);
    if found.is_empty() {
        return;
    }
    let mut before = Vec::new();
    if let Some(old) = old {
        lists::validate(root, old, &Path::Root, &mut before);
    }
    if before.is_empty() {
        errors.extend(found);
    }
}
