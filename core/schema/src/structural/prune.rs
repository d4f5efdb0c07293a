//! Pruning: fields that the schema does not specify are dropped, and their paths told.

use super::node::{Additional, Node};
use super::path::Path;
use serde_json::{Map, Value};

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema does not specify; at the root of a resource `apiVersion`, `kind` and
/// `metadata` are not looked at. Answers the paths of what was dropped, sorted.
pub(super) fn prune(schema: &Node, value: &mut Value, resource: bool) -> Vec<String> {
    let mut pruner = Pruner {
        dropped: Vec::new(),
    };
    pruner.value(
        Some(schema),
        value,
        &Path::Root,
        resource || schema.embedded,
    );
    pruner.dropped.sort_unstable();
    pruner.dropped
}

struct Pruner {
    dropped: Vec<String>,
}

impl Pruner {
    fn value(&mut self, schema: Option<&Node>, value: &mut Value, path: &Path<'_>, meta: bool) {
        match (schema, value) {
            (Some(schema), value) if schema.preserves_unknown() => {
                self.kept(schema, value, path, meta);
            }
            (None, Value::Object(fields)) => self.drop_all(fields, path),
            (Some(schema), Value::Object(fields)) => self.object(schema, fields, path, meta),
            (schema, Value::Array(items)) => {
                let schema = schema.and_then(|s| s.items.as_deref());
                for (at, item) in items.iter_mut().enumerate() {
                    self.child(schema, item, &path.index(at));
                }
            }
            _ => {}
        }
    }

    fn child(&mut self, schema: Option<&Node>, value: &mut Value, path: &Path<'_>) {
        let meta = schema.is_some_and(|s| s.embedded);
        self.value(schema, value, path, meta);
    }

    fn drop_all(&mut self, fields: &mut Map<String, Value>, path: &Path<'_>) {
        let names = fields.keys().map(|name| path.field(name).to_string());
        self.dropped.extend(names);
        fields.clear();
    }

    fn object(
        &mut self,
        schema: &Node,
        fields: &mut Map<String, Value>,
        path: &Path<'_>,
        meta: bool,
    ) {
        fields.retain(|name, value| {
            if meta && META.contains(&name.as_str()) {
                return true;
            }
            let known = schema.properties.get(name);
            if known.is_some() || !matches!(schema.additional, Additional::Absent) {
                let child = known.or_else(|| schema.additional_schema());
                self.child(child, value, &path.field(name));
                return true;
            }
            if !path.is_root() || !META.contains(&name.as_str()) {
                self.dropped.push(path.field(name).to_string());
            }
            false
        });
    }

    /// Below `x-kubernetes-preserve-unknown-fields` only what is specified is pruned again.
    fn kept(&mut self, schema: &Node, value: &mut Value, path: &Path<'_>, meta: bool) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    if meta && META.contains(&name.as_str()) {
                        continue;
                    }
                    let known = schema.properties.get(name);
                    if known.is_some() || !matches!(schema.additional, Additional::Absent) {
                        let child = known.or_else(|| schema.additional_schema());
                        self.child(child, value, &path.field(name));
                    }
                }
            }
            Value::Array(items) => {
                let Some(schema) = schema.items.as_deref() else {
                    return;
                };
                for (at, item) in items.iter_mut().enumerate() {
                    self.kept(schema, item, &path.index(at), schema.embedded);
                }
            }
            _ => {}
        }
    }
}

/// Prunes the defaults inside a schema by the schema itself.
pub(super) fn defaults(root: &mut Node) {
    // A default at the root is a whole object; elsewhere it is pruned by its own place, which is
    // what pruning the object around it would do to it.
    each_default(root, true);
}

fn each_default(node: &mut Node, root: bool) {
    if let Some(mut default) = node.default.take() {
        prune(node, &mut default, root);
        node.default = Some(default);
    }
    node.properties
        .values_mut()
        .for_each(|child| each_default(child, false));
    if let Some(items) = node.items.as_deref_mut() {
        each_default(items, false);
    }
    if let Additional::Schema(schema) = &mut node.additional {
        each_default(schema, false);
    }
}
