//! Reading a schema's JSON. What has the wrong type reads as absent: the definition was decoded
//! strictly before.

use super::format::Format;
use super::node::{Additional, Bounds, Forbidden, Node, Rule, Shape};
use super::pattern::Pattern;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Deepest nesting of schemas that is read. A definition's JSON is no deeper than this.
const DEPTH: usize = 200;

/// Reads one schema.
pub(super) fn node(value: &Value) -> Result<Node, String> {
    read(value, DEPTH)
}

fn read(value: &Value, depth: usize) -> Result<Node, String> {
    let Value::Object(fields) = value else {
        return Ok(Node::default());
    };
    if depth == 0 {
        return Err(format!("the schema is nested deeper than {DEPTH}"));
    }
    let from = Fields(fields);
    let type_name = from.text("type");
    let format_name = from.text("format");
    let shape = Shape::parse(&type_name);
    let int_or_string = from.flag("x-kubernetes-int-or-string");
    let (items, item_list) = from.items(depth)?;
    Ok(Node {
        shape,
        format: Format::of(&type_name, &format_name, int_or_string),
        type_name,
        format_name,
        title: from.text("title"),
        description: from.text("description"),
        default: from.json("default"),
        example: from.json("example"),
        external_docs: from.json("externalDocs"),
        nullable: from.flag("nullable"),
        properties: from.schemas("properties", depth)?,
        items,
        additional: from.additional("additionalProperties", depth)?,
        required: from.texts("required"),
        choices: from.list("enum").to_vec(),
        pattern: Some(from.text("pattern"))
            .filter(|p| !p.is_empty())
            .map(Pattern::new),
        bounds: from.bounds(),
        all_of: from.branches("allOf", depth)?,
        any_of: from.branches("anyOf", depth)?,
        one_of: from.branches("oneOf", depth)?,
        not: from.schema("not", depth)?,
        preserve_unknown: from
            .0
            .get("x-kubernetes-preserve-unknown-fields")
            .and_then(Value::as_bool),
        embedded: from.flag("x-kubernetes-embedded-resource"),
        int_or_string,
        list_type: from.optional("x-kubernetes-list-type"),
        list_map_keys: from.texts("x-kubernetes-list-map-keys"),
        map_type: from.optional("x-kubernetes-map-type"),
        rules: from
            .list("x-kubernetes-validations")
            .iter()
            .map(rule)
            .collect(),
        forbidden: from.forbidden(item_list, depth)?,
    })
}

fn rule(value: &Value) -> Rule {
    let empty = Map::new();
    let from = Fields(value.as_object().unwrap_or(&empty));
    Rule {
        rule: from.text("rule"),
        message: from.text("message"),
        message_expression: from.text("messageExpression"),
        reason: from.optional("reason"),
        field_path: from.text("fieldPath"),
        optional_old_self: from.0.get("optionalOldSelf").and_then(Value::as_bool),
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn text(&self, name: &str) -> String {
        self.optional(name).unwrap_or_default()
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn json(&self, name: &str) -> Option<Value> {
        self.0.get(name).filter(|v| !v.is_null()).cloned()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.list(name).iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    fn whole(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            maximum: self.number("maximum"),
            exclusive_maximum: self.flag("exclusiveMaximum"),
            minimum: self.number("minimum"),
            exclusive_minimum: self.flag("exclusiveMinimum"),
            multiple_of: self.number("multipleOf"),
            max_length: self.whole("maxLength"),
            min_length: self.whole("minLength"),
            max_items: self.whole("maxItems"),
            min_items: self.whole("minItems"),
            unique_items: self.flag("uniqueItems"),
            max_properties: self.whole("maxProperties"),
            min_properties: self.whole("minProperties"),
        }
    }

    fn schema(&self, name: &str, depth: usize) -> Result<Option<Box<Node>>, String> {
        match self.0.get(name) {
            Some(value @ Value::Object(_)) => Ok(Some(Box::new(read(value, depth - 1)?))),
            _ => Ok(None),
        }
    }

    fn branches(&self, name: &str, depth: usize) -> Result<Vec<Node>, String> {
        let list = self.list(name).iter();
        list.map(|value| read(value, depth - 1)).collect()
    }

    fn schemas(&self, name: &str, depth: usize) -> Result<BTreeMap<String, Node>, String> {
        let mut schemas = BTreeMap::new();
        for (key, value) in self
            .0
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            schemas.insert(key.clone(), read(value, depth - 1)?);
        }
        Ok(schemas)
    }

    fn items(&self, depth: usize) -> Result<(Option<Box<Node>>, Vec<Node>), String> {
        match self.0.get("items") {
            Some(Value::Array(_)) => Ok((None, self.branches("items", depth)?)),
            _ => Ok((self.schema("items", depth)?, Vec::new())),
        }
    }

    fn additional(&self, name: &str, depth: usize) -> Result<Additional, String> {
        match self.0.get(name) {
            Some(Value::Bool(allowed)) => Ok(Additional::Allowed(*allowed)),
            Some(value @ Value::Object(_)) => {
                Ok(Additional::Schema(Box::new(read(value, depth - 1)?)))
            }
            _ => Ok(Additional::Absent),
        }
    }

    fn forbidden(
        &self,
        item_list: Vec<Node>,
        depth: usize,
    ) -> Result<Option<Box<Forbidden>>, String> {
        const NAMES: [&str; 7] = [
            "id",
            "$schema",
            "$ref",
            "definitions",
            "patternProperties",
            "dependencies",
            "additionalItems",
        ];
        if item_list.is_empty() && !NAMES.iter().any(|name| self.0.contains_key(*name)) {
            return Ok(None);
        }
        let dependencies = self.0.get("dependencies").and_then(Value::as_object);
        let mut named = BTreeMap::new();
        for (name, value) in dependencies.into_iter().flatten() {
            let schema = value.is_object().then(|| read(value, depth - 1));
            named.insert(name.clone(), schema.transpose()?);
        }
        Ok(Some(Box::new(Forbidden {
            id: self.text("id"),
            schema: self.text("$schema"),
            reference: self.optional("$ref"),
            definitions: self.schemas("definitions", depth)?,
            pattern_properties: self.schemas("patternProperties", depth)?,
            dependencies: named,
            has_dependencies: dependencies.is_some(),
            additional_items: self.additional("additionalItems", depth)?,
            item_list,
        })))
    }
}
