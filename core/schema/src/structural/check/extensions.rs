//! `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`.

use super::super::node::{Node, Shape};
use super::super::path::Path;
use super::super::print;
use super::{CheckOptions, forbidden, invalid, required};
use model::{FieldError, go_quote};
use serde_json::Value;
use std::collections::BTreeSet;

const LIST_TYPE: &str = "x-kubernetes-list-type";
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";

/// Checks the extensions of one place.
pub(super) fn check(
    node: &Node,
    path: &Path<'_>,
    options: &CheckOptions<'_>,
    errors: &mut Vec<FieldError>,
) {
    map_type(node, path, errors);
    list_type(node, path, options, errors);
    list_keys(node, path, errors);
    if node.list_type.as_deref() == Some("map") {
        list_map(node, path, errors);
    }
    if !options.tolerance.loose_list_keys {
        key_fields(node, path, errors);
    }
}

fn wrong_type(node: &Node, path: &Path<'_>, detail: &str) -> FieldError {
    match node.type_name.as_str() {
        "" => required(path, detail),
        name => invalid(path, &name.into(), detail),
    }
}

fn map_type(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(kind) = &node.map_type else { return };
    if node.shape != Shape::Object {
        let detail = "must be object if x-kubernetes-map-type is specified";
        errors.push(wrong_type(node, &path.field("type"), detail));
    }
    let known = ["atomic", "granular"];
    if !known.contains(&kind.as_str()) {
        let at = path.field(MAP_TYPE).to_string();
        errors.push(FieldError::not_supported(at, &kind.as_str().into(), &known));
    }
}

fn list_type(
    node: &Node,
    path: &Path<'_>,
    options: &CheckOptions<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(kind) = &node.list_type else { return };
    if node.shape != Shape::Array {
        let detail = "must be array if x-kubernetes-list-type is specified";
        errors.push(wrong_type(node, &path.field("type"), detail));
    } else if !options.tolerance.non_atomic_sets
        && is_non_atomic_set(node)
        && let Some(items) = node.items.as_deref()
    {
        // The value that the original prints is the list's type in both cases.
        let of_list = items.list_type.as_deref().map(go_quote);
        let name = if items.shape == Shape::Array {
            LIST_TYPE
        } else {
            MAP_TYPE
        };
        let at = path.field("items");
        let mut error = invalid(
            &at.field(name),
            &Value::Null,
            "must be atomic as item of a list with x-kubernetes-list-type=set",
        );
        error.value = of_list.or(error.value);
        errors.push(error);
    }
    let known = ["atomic", "set", "map"];
    if !known.contains(&kind.as_str()) {
        let at = path.field(LIST_TYPE).to_string();
        errors.push(FieldError::not_supported(at, &kind.as_str().into(), &known));
    }
}

/// A set whose items are merged by fields or by keys.
pub(super) fn is_non_atomic_set(node: &Node) -> bool {
    let Some(items) = node.items.as_deref() else {
        return false;
    };
    node.list_type.as_deref() == Some("set")
        && match items.shape {
            Shape::Array => items
                .list_type
                .as_deref()
                .is_some_and(|kind| kind != "atomic"),
            Shape::Object => !items.atomic_map(),
            _ => false,
        }
}

fn list_keys(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if node.list_map_keys.is_empty() {
        return;
    }
    let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
    let at = path.field(LIST_TYPE);
    match node.list_type.as_deref() {
        None => errors.push(required(&at, detail)),
        Some("map") => {}
        Some(other) => errors.push(invalid(&at, &other.into(), detail)),
    }
}

fn list_map(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (at_keys, at_items) = (path.field(LIST_KEYS), path.field("items"));
    if node.list_map_keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errors.push(required(&at_keys, detail));
    }
    let listed = node
        .forbidden
        .as_ref()
        .is_some_and(|f| !f.item_list.is_empty());
    let Some(items) = node.items.as_deref() else {
        errors.push(match listed {
            true => {
                let detail = "must only have a single schema if x-kubernetes-list-type is map";
                invalid(&at_items, &Value::Null, detail)
            }
            false => required(
                &at_items,
                "must have a schema if x-kubernetes-list-type is map",
            ),
        });
        return;
    };
    if items.shape != Shape::Object {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        let value = items.type_name.as_str().into();
        errors.push(invalid(&at_items.field("type"), &value, detail));
        return;
    }
    let mut seen = BTreeSet::new();
    for key in &node.list_map_keys {
        match items.properties.get(key) {
            Some(field) if matches!(field.shape, Shape::Array | Shape::Object) => {
                let properties = at_items.field("properties");
                let at = properties.key(key);
                let detail =
                    "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errors.push(invalid(&at.field("type"), &"object".into(), detail));
            }
            Some(_) => {}
            None => errors.push(keys_error(
                node,
                &at_keys,
                "entries must all be names of item properties",
            )),
        }
        if !seen.insert(key) {
            errors.push(keys_error(
                node,
                &at_keys,
                "must not contain duplicate entries",
            ));
        }
    }
}

fn keys_error(node: &Node, path: &Path<'_>, detail: &str) -> FieldError {
    let mut error = invalid(path, &Value::Null, detail);
    let keys = node.list_map_keys.iter().map(String::as_str);
    error.value = Some(print::json(&keys.collect::<Value>()));
    error
}

/// Whether an item can lack a key of its list.
pub(super) fn has_loose_list_keys(node: &Node) -> bool {
    let mut errors = Vec::new();
    key_fields(node, &Path::Root, &mut errors);
    !errors.is_empty()
}

fn key_fields(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (Some(items), Some(kind @ ("set" | "map"))) =
        (node.items.as_deref(), node.list_type.as_deref())
    else {
        return;
    };
    let at_items = path.field("items");
    if items.nullable {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {kind}");
        errors.push(forbidden(&at_items.field("nullable"), detail));
    }
    if kind != "map" {
        return;
    }
    let properties = at_items.field("properties");
    for key in &node.list_map_keys {
        let Some(field) = items.properties.get(key) else {
            continue;
        };
        let at = properties.key(key);
        if !items.required.contains(key) && field.default.is_none() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a \
                          default or be a required property";
            errors.push(required(&at.field("default"), detail));
        }
        if field.nullable {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(forbidden(&at.field("nullable"), detail));
        }
    }
}
