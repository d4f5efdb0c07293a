//! Which old value belongs to a new one: what was there before at the same field, or with the same
//! keys in a list of type `map`. Source: KEP-4008, CRD validation ratcheting.

use super::node::{ListKind, Node, Shape};
use serde_json::Value;
use std::collections::BTreeMap;

/// A new value with the old one it came from.
#[derive(Clone, Copy)]
pub(super) struct Correlated<'a> {
    pub(super) new: &'a Value,
    pub(super) old: &'a Value,
    pub(super) schema: &'a Node,
}

impl<'a> Correlated<'a> {
    /// The field of both, when both have it and the schema knows it.
    pub(super) fn key(&self, name: &str) -> Option<Self> {
        let (Value::Object(new), Value::Object(old)) = (self.new, self.old) else {
            return None;
        };
        Some(Self {
            new: new.get(name)?,
            old: old.get(name)?,
            schema: self.schema.field(name)?,
        })
    }

    /// The old list's items by their keys; `None` where items cannot be told apart.
    pub(super) fn items(&self) -> Option<OldItems<'a>> {
        OldItems::of(self.schema, self.old)
    }

    /// An item with the old one of the same keys.
    pub(super) fn index(&self, items: &OldItems<'a>, at: usize) -> Option<Self> {
        let new = self.new.as_array()?.get(at)?;
        Some(Self {
            new,
            old: items.like(new)?,
            schema: self.schema.items.as_deref()?,
        })
    }

    /// Whether nothing changed, as far as values correlate.
    pub(super) fn unchanged(&self) -> bool {
        match (self.new, self.old) {
            (Value::Null, Value::Null) => true,
            (Value::Array(new), Value::Array(old)) => {
                new.len() == old.len()
                    && match self.items() {
                        None => new == old,
                        Some(items) => (0..new.len()).all(|at| {
                            let item = self.index(&items, at);
                            item.is_some_and(|item| item.unchanged())
                        }),
                    }
            }
            (Value::Object(new), Value::Object(old)) => {
                new.len() == old.len()
                    && new.keys().all(|name| {
                        let field = self.key(name);
                        field.is_some_and(|field| field.unchanged())
                    })
            }
            (new, old) => new == old,
        }
    }
}

/// The items of an old list by their keys.
pub(super) struct OldItems<'a> {
    keys: &'a [String],
    by_key: BTreeMap<String, &'a Value>,
}

impl<'a> OldItems<'a> {
    /// The items of a list of type `map`.
    pub(super) fn of(schema: &'a Node, old: &'a Value) -> Option<Self> {
        let (ListKind::Map(keys), Shape::Array) = (schema.list_kind(), schema.shape) else {
            return None;
        };
        let items = old.as_array().filter(|items| !items.is_empty())?;
        if keys.is_empty() {
            return None;
        }
        let mut by_key = BTreeMap::new();
        for item in items {
            if let Some(key) = composite(keys, item) {
                by_key.entry(key).or_insert(item);
            }
        }
        Some(Self { keys, by_key })
    }

    /// The old item with the keys of this one.
    pub(super) fn like(&self, item: &Value) -> Option<&'a Value> {
        self.by_key.get(&composite(self.keys, item)?).copied()
    }
}

/// The values of an item's keys as one text; `None` when one is missing or no scalar.
fn composite(keys: &[String], item: &Value) -> Option<String> {
    let item = item.as_object()?;
    let mut text = String::new();
    for key in keys {
        match item.get(key)? {
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
            scalar => {
                text.push_str(&scalar.to_string());
                text.push('\0');
            }
        }
    }
    Some(text)
}
