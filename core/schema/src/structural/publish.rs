//! The schema as OpenAPI publishes it. What describes the resource itself (its `apiVersion`, `kind`,
//! `metadata`, its group, version and kind) is for the publisher to add.

use super::node::{Additional, Node, Shape};
use serde_json::{Map, Value, json};

const META_V3: &str = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const META_V2: &str = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// OpenAPI v3: the schema as it was written; that an integer or a string is let in is spelled out.
pub(super) fn v3(schema: &Node) -> Value {
    let writer = Writer { v2: false };
    Value::Object(writer.schema(schema))
}

/// OpenAPI v2: without junctors and defaults; where anything may stand, nothing is said about it, since clients of
/// v2 take silence for permission and no extension into account.
pub(super) fn v2(schema: &Node) -> Value {
    if schema.preserves_unknown() {
        return json!({"type": "object"});
    }
    let writer = Writer { v2: true };
    Value::Object(writer.schema(schema))
}

struct Writer {
    v2: bool,
}

struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.add(name, text);
        }
    }

    fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.add(name, true);
        }
    }

    fn some<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn list(&mut self, name: &str, list: &[String]) {
        if !list.is_empty() {
            self.add(name, list.to_vec());
        }
    }
}

/// A float as JSON writes it: whole ones without a fraction.
fn number(float: f64) -> Value {
    match float.trunc() == float && float.abs() < 1e15 {
        true => Value::from(float as i64),
        false => Value::from(float),
    }
}

impl Writer {
    fn schema(&self, node: &Node) -> Map<String, Value> {
        let mut out = Fields(Map::new());
        self.generic(node, &mut out);
        bounds(node, &mut out);
        self.below(node, &mut out);
        self.required(node, &mut out);
        if !self.v2 {
            self.junctors(node, &mut out);
        }
        extensions(node, &mut out);
        if node.embedded && !(self.v2 && node.preserves_unknown()) {
            self.embedded(&mut out);
        }
        out.0
    }

    /// Whether v2 is silent about what is inside.
    fn is_open(&self, node: &Node) -> bool {
        self.v2 && (node.nullable || node.preserves_unknown())
    }

    fn generic(&self, node: &Node, out: &mut Fields) {
        let lists_nothing = node.items.is_none() || self.is_open(node);
        let untyped = self.v2
            && (node.nullable
                || (node.shape == Shape::Array && lists_nothing)
                || (node.shape == Shape::Object && node.preserves_unknown()));
        if !untyped {
            out.text("type", &node.type_name);
        }
        out.flag("nullable", node.nullable && !self.v2);
        out.text("description", &node.description);
        out.text("title", &node.title);
        out.text("format", &node.format_name);
        if !self.v2 {
            out.some("default", node.default.clone());
        }
        out.some("example", node.example.clone());
        out.some("externalDocs", node.external_docs.clone());
        if let Some(pattern) = &node.pattern {
            out.text("pattern", pattern.text());
        }
        if !node.choices.is_empty() {
            out.add("enum", node.choices.clone());
        }
    }

    fn below(&self, node: &Node, out: &mut Fields) {
        if !self.is_open(node) {
            if let Some(items) = node.items.as_deref() {
                out.add("items", self.schema(items));
            }
            if !node.properties.is_empty() {
                let fields = node.properties.iter();
                let fields = fields.map(|(name, child)| (name.clone(), self.schema(child).into()));
                out.add("properties", fields.collect::<Map<String, Value>>());
            }
        }
        match &node.additional {
            Additional::Absent => {}
            Additional::Allowed(allowed) => out.add("additionalProperties", *allowed),
            Additional::Schema(child) => out.add("additionalProperties", self.schema(child)),
        }
    }

    /// In v2 a field that may be null is not required, since null cannot be said there.
    fn required(&self, node: &Node, out: &mut Fields) {
        let mut names = node.required.clone();
        if self.v2 {
            let nullable = |name: &String| node.properties.get(name).is_some_and(|p| p.nullable);
            names.retain(|name| !nullable(name) || self.is_open(node));
            if node
                .additional_schema()
                .is_some_and(|values| values.nullable)
            {
                names.clear();
            }
        }
        out.list("required", &names);
    }

    fn junctors(&self, node: &Node, out: &mut Fields) {
        let all = |list: &[Node]| {
            list.iter()
                .map(|branch| self.schema(branch).into())
                .collect()
        };
        let either = || json!([{"type": "integer"}, {"type": "string"}]);
        let mut all_of: Vec<Value> = all(&node.all_of);
        let mut any_of: Vec<Value> = all(&node.any_of);
        if node.int_or_string && !says_either(node) {
            match any_of.is_empty() {
                true => any_of = vec![json!({"type": "integer"}), json!({"type": "string"})],
                false => all_of.insert(0, json!({"anyOf": either()})),
            }
        }
        let lists = [
            ("allOf", all_of),
            ("anyOf", any_of),
            ("oneOf", all(&node.one_of)),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                out.add(name, list);
            }
        }
        if let Some(not) = node.not.as_deref() {
            out.add("not", self.schema(not));
        }
    }

    fn embedded(&self, out: &mut Fields) {
        let properties = out.0.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            let meta = match self.v2 {
                true => json!({"$ref": META_V2}),
                false => json!({"allOf": [{"$ref": META_V3}]}),
            };
            properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
            properties.insert("kind".to_owned(), json!({"type": "string"}));
            properties.insert("metadata".to_owned(), meta);
        }
        let required = out.0.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            for name in ["kind", "apiVersion"] {
                if !required.iter().any(|known| known == name) {
                    required.push(name.into());
                }
            }
        }
    }
}

/// Whether a schema says itself that it takes an integer or a string.
fn says_either(node: &Node) -> bool {
    let first = node.all_of.first().map_or(&[][..], |first| &first.any_of);
    [&node.any_of[..], first].iter().any(|branches| {
        matches!(branches, [a, b] if a.shape == Shape::Integer && b.shape == Shape::String)
    })
}

fn bounds(node: &Node, out: &mut Fields) {
    let bounds = &node.bounds;
    out.some("maximum", bounds.maximum.map(number));
    out.flag("exclusiveMaximum", bounds.exclusive_maximum);
    out.some("minimum", bounds.minimum.map(number));
    out.flag("exclusiveMinimum", bounds.exclusive_minimum);
    out.some("multipleOf", bounds.multiple_of.map(number));
    out.some("maxLength", bounds.max_length);
    out.some("minLength", bounds.min_length);
    out.some("maxItems", bounds.max_items);
    out.some("minItems", bounds.min_items);
    out.flag("uniqueItems", bounds.unique_items);
    out.some("maxProperties", bounds.max_properties);
    out.some("minProperties", bounds.min_properties);
}

fn extensions(node: &Node, out: &mut Fields) {
    out.flag(
        "x-kubernetes-preserve-unknown-fields",
        node.preserves_unknown(),
    );
    out.flag("x-kubernetes-embedded-resource", node.embedded);
    out.flag("x-kubernetes-int-or-string", node.int_or_string);
    out.list("x-kubernetes-list-map-keys", &node.list_map_keys);
    out.some("x-kubernetes-list-type", node.list_type.clone());
    out.some("x-kubernetes-map-type", node.map_type.clone());
    if node.rules.is_empty() {
        return;
    }
    let rules = node.rules.iter().map(|rule| {
        let mut out = Fields(Map::new());
        out.add("rule", rule.rule.as_str());
        out.text("message", &rule.message);
        out.text("messageExpression", &rule.message_expression);
        out.some("reason", rule.reason.clone());
        out.text("fieldPath", &rule.field_path);
        out.some("optionalOldSelf", rule.optional_old_self);
        Value::Object(out.0)
    });
    out.add("x-kubernetes-validations", rules.collect::<Vec<_>>());
}
