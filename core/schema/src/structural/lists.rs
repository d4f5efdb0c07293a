//! List types: a set holds no value twice, a list of type `map` no key.

use super::node::{ListKind, Node};
use super::path::Path;
use super::print;
use model::{FieldError, FieldErrorKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Looks for duplicates everywhere in a value.
pub(super) fn validate(
    schema: &Node,
    value: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(values) = schema.additional_schema() {
                    validate(values, value, &path.key(name), errors);
                }
                if let Some(child) = schema.properties.get(name) {
                    validate(child, value, &path.field(name), errors);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_kind() {
                ListKind::Atomic => {}
                ListKind::Set => {
                    for at in second_ones(items.iter()) {
                        duplicate(&path.index(at), &items[at], errors);
                    }
                }
                ListKind::Map(keys) => keyed(keys, items, path, errors),
            }
            if let Some(each) = schema.items.as_deref() {
                for (at, item) in items.iter().enumerate() {
                    validate(each, item, &path.index(at), errors);
                }
            }
        }
        _ => {}
    }
}

fn duplicate(path: &Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
    errors.push(FieldError {
        kind: FieldErrorKind::Duplicate,
        field: path.to_string(),
        value: Some(print::bad_value(value)),
        detail: String::new(),
    });
}

/// Where each value that stands more than once stands for the second time.
fn second_ones<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut second = Vec::new();
    for (at, value) in values.enumerate() {
        let seen = times.entry(value.to_string()).or_default();
        *seen += 1;
        if *seen == 2 {
            second.push(at);
        }
    }
    second
}

fn keyed(keys: &[String], items: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (at, item) in items.iter().enumerate() {
        if !item.is_object() && !item.is_null() {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: path.index(at).to_string(),
                value: Some(print::bad_value(item)),
                detail: "must be an object for an array of list-type map".to_owned(),
            });
            return;
        }
    }
    if items.len() < 2 {
        return;
    }
    // What lacks a key has a key of its own: the one without it.
    let of_item = |item: &Value| {
        let mut key = Map::new();
        for name in keys {
            if let Some(value) = item.get(name) {
                key.insert(name.clone(), value.clone());
            }
        }
        Value::Object(key)
    };
    let found: Vec<Value> = items.iter().map(of_item).collect();
    for at in second_ones(found.iter()) {
        duplicate(&path.index(at), &found[at], errors);
    }
}
