//! Defaults, and nulls where no null may be.

use super::node::Node;
use serde_json::Value;

fn bad_null(value: &Value, schema: &Node) -> bool {
    value.is_null() && !schema.nullable
}

/// Drops nulls of map values that are neither nullable nor have a default.
pub(super) fn drop_nulls(schema: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| match schema.field(name) {
            Some(child) if bad_null(value, child) && child.default.is_none() => false,
            Some(child) => {
                drop_nulls(child, value);
                true
            }
            None => true,
        }),
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_nulls(schema, item));
            }
        }
        _ => {}
    }
}

/// Fills in defaults, top down: what a default brings is defaulted itself.
pub(super) fn fill(schema: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, child) in &schema.properties {
                let Some(default) = &child.default else {
                    continue;
                };
                match fields.get_mut(name) {
                    Some(present) if bad_null(present, child) => *present = default.clone(),
                    Some(_) => {}
                    None => {
                        fields.insert(name.clone(), default.clone());
                    }
                }
            }
            for (name, value) in fields.iter_mut() {
                if let Some(child) = schema.properties.get(name) {
                    fill(child, value);
                } else if let Some(child) = schema.additional_schema() {
                    fill_one(child, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| fill_one(schema, item));
            }
        }
        _ => {}
    }
}

/// A map's value or a list's item: only a null is replaced.
fn fill_one(schema: &Node, value: &mut Value) {
    if bad_null(value, schema) {
        *value = schema.default.clone().unwrap_or_default();
    }
    fill(schema, value);
}
