//! The schema of a CustomResourceDefinition's version, as far as ownership goes.

use super::ty::{Scalar, Type};
use crate::types::Types;
use serde_json::Value;
use std::collections::BTreeMap;

/// What `openAPIV3Schema` says about ownership, made ready for use.
#[derive(Debug, Default)]
pub struct Schema {
    /// `None` where there is no schema
    root: Option<Node>,
}

/// One place of a schema.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) scalar: Option<Scalar>,
    pub(super) list: Option<List>,
    pub(super) map: Option<Map>,
    /// Declared fields and their defaults
    pub(super) fields: BTreeMap<String, (Place, Option<Value>)>,
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) atomic: bool,
    pub(super) keys: Vec<String>,
    pub(super) element: Place,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) atomic: bool,
    /// `None` where only declared fields may be
    pub(super) element: Option<Place>,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Place {
    Node(Box<Node>),
    /// `metadata`
    Meta,
    /// `apiVersion` and `kind`
    Text,
    Untyped,
    Deduced,
}

/// Deeper schemas than any that is served; what is below is not looked at.
const MAX_DEPTH: usize = 200;

impl Schema {
    /// Reads the JSON of `openAPIV3Schema`; `preserve` is `spec.preserveUnknownFields`.
    pub fn new(schema: &Value, preserve: bool) -> Self {
        let reader = Reader { preserve, depth: 0 };
        Self {
            root: schema.is_object().then(|| reader.node(schema, true)),
        }
    }

    pub(super) fn root<'a>(&'a self, types: &'a Types) -> Type<'a> {
        match &self.root {
            Some(root) => Type::custom(types, root),
            None => Type::DEDUCED,
        }
    }
}

#[derive(Clone, Copy)]
struct Reader {
    /// Whether unknown fields are kept here and below
    preserve: bool,
    depth: usize,
}

impl Reader {
    fn place(mut self, schema: &Value) -> Place {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Place::Deduced;
        }
        Place::Node(Box::new(self.node(schema, false)))
    }

    fn node(mut self, schema: &Value, is_root: bool) -> Node {
        self.preserve |= schema["x-kubernetes-preserve-unknown-fields"] == true;
        let mut node = Node::default();
        match schema["type"].as_str().unwrap_or_default() {
            "" => {
                node.scalar = Some(Scalar::Untyped);
                node.list = Some(self.list(schema));
                self.object(schema, &mut node, is_root);
            }
            "object" => self.object(schema, &mut node, is_root),
            "array" => node.list = Some(self.list(schema)),
            "integer" | "number" => node.scalar = Some(Scalar::Numeric),
            "boolean" => node.scalar = Some(Scalar::Boolean),
            "string" => {
                let format = schema["format"].as_str().unwrap_or_default();
                node.scalar = Some(match format {
                    "" | "byte" => Scalar::String,
                    _ => Scalar::Untyped,
                });
            }
            _ => node.scalar = Some(Scalar::Untyped),
        }
        node
    }

    fn object(self, schema: &Value, node: &mut Node, is_root: bool) {
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            let default = property.get("default").cloned();
            node.fields
                .insert(name.clone(), (self.place(property), default));
        }
        if is_root || schema["x-kubernetes-embedded-resource"] == true {
            for (name, place) in [
                ("apiVersion", Place::Text),
                ("kind", Place::Text),
                ("metadata", Place::Meta),
            ] {
                node.fields.insert(name.to_owned(), (place, None));
            }
        }
        let element = match &schema["additionalProperties"] {
            Value::Null if self.preserve || node.fields.is_empty() => Some(Place::Deduced),
            Value::Bool(true) => Some(Place::Deduced),
            item @ Value::Object(_) => Some(self.place(item)),
            _ => None,
        };
        node.map = Some(Map {
            atomic: schema["x-kubernetes-map-type"] == "atomic",
            element,
        });
    }

    fn list(self, schema: &Value) -> List {
        let kind = schema["x-kubernetes-list-type"].as_str();
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let keys = keys.filter(|_| kind == Some("map")).into_iter().flatten();
        List {
            atomic: !matches!(kind, Some("map" | "set")),
            keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
            element: match &schema["items"] {
                item @ Value::Object(_) => self.place(item),
                _ => Place::Untyped,
            },
        }
    }
}
