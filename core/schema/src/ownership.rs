//! An object as a tree of the fields that managers can own, with the path elements of `fieldsV1`:
//! `f:NAME` for fields and map keys, `k:{…}` for elements of keyed lists, `v:…` for those of sets.

use crate::types::{Field, Shape, StructId, TypeId, Types};
use crate::{Kind, Registry};
use serde_json::{Map, Value, json};

impl Registry {
    /// The tree of an object. What can be owned only as a whole is a leaf: its value in an array.
    pub fn ownership(&self, kind: &Kind, object: &Value) -> Value {
        match kind.structure() {
            Some(id) => structure(&self.types, id, object),
            None => deduced(object),
        }
    }
}

/// Without a schema maps are owned by key, and all else as a whole.
fn deduced(value: &Value) -> Value {
    match value.as_object() {
        None => leaf(value),
        Some(map) => map
            .iter()
            .map(|(key, value)| (format!("f:{key}"), deduced(value)))
            .collect(),
    }
}

fn leaf(value: &Value) -> Value {
    json!([value])
}

fn structure(types: &Types, id: StructId, value: &Value) -> Value {
    let info = types.structure(id);
    let (Some(map), false) = (value.as_object(), info.atomic) else {
        return leaf(value);
    };
    let mut tree = Map::new();
    for (name, value) in map {
        let below = match info.field(name) {
            Some(field) => member(types, field, value),
            None => leaf(value),
        };
        tree.insert(format!("f:{name}"), below);
    }
    Value::Object(tree)
}

fn member(types: &Types, field: &Field, value: &Value) -> Value {
    let (_, shape) = types.pointee(field.ty);
    match (shape, value) {
        _ if field.map == "atomic" => leaf(value),
        (Shape::Struct(id), Value::Object(_)) => structure(types, id, value),
        (Shape::Map(item), Value::Object(map)) => {
            let below = map
                .iter()
                .map(|(key, value)| (format!("f:{key}"), element(types, item, value)));
            Value::Object(below.collect())
        }
        (Shape::List(item), Value::Array(list)) if field.list == "map" => {
            let below = list.iter().map(|value| {
                (
                    key_of(types, item, field, value),
                    element(types, item, value),
                )
            });
            Value::Object(below.collect())
        }
        (Shape::List(_), Value::Array(list)) if field.list == "set" => {
            let below = list.iter().map(|value| (format!("v:{value}"), leaf(value)));
            Value::Object(below.collect())
        }
        _ => leaf(value),
    }
}

fn element(types: &Types, item: TypeId, value: &Value) -> Value {
    match types.pointee(item).1 {
        Shape::Struct(id) => structure(types, id, value),
        _ => leaf(value),
    }
}

/// `k:{"port":80,"protocol":"TCP"}`; keys that are not set have their default.
fn key_of(types: &Types, item: TypeId, field: &Field, value: &Value) -> String {
    let mut keys = Map::new();
    let Shape::Struct(id) = types.pointee(item).1 else {
        return format!("v:{value}");
    };
    for key in &field.keys {
        let default = || {
            types
                .structure(id)
                .field(key)
                .and_then(|field| field.default.clone())
        };
        if let Some(found) = value.get(key).cloned().or_else(default) {
            keys.insert(key.clone(), found);
        }
    }
    format!("k:{}", Value::Object(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_with_keys_are_owned_by_element() {
        let registry = Registry::builtin();
        let kind = registry.by_kind("v1", "Service").unwrap();
        let service = json!({
            "metadata": {"finalizers": ["a/b"]},
            "spec": {"ports": [{"port": 80, "name": "x"}], "selector": {"a": "b"}},
        });
        let want = json!({
            "f:metadata": {"f:finalizers": {"v:\"a/b\"": [("a/b")]}},
            "f:spec": {
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:port": [80], "f:name": ["x"]}},
                "f:selector": [{"a": "b"}],
            },
        });
        assert_eq!(registry.ownership(kind, &service), want);
    }
}
