//! Validation of values by a schema, with the texts of the API server's OpenAPI validator.

use super::super::correlate::Correlated;
use super::super::format::Format;
use super::super::node::{Additional, Node, Shape};
use super::super::path::Path;
use super::super::print;
use super::numbers;
use model::{FieldError, FieldErrorKind, go_quote};
use serde_json::{Map, Value};
use std::fmt::Display;

/// Validates a value; errors stand at `prefix` and below. Where `old` is given, errors of unchanged
/// values are left out.
pub(super) fn validate(
    schema: &Node,
    value: &Value,
    old: Option<Correlated<'_>>,
    prefix: &str,
) -> Vec<FieldError> {
    let mut found = Found {
        prefix,
        is_default: false,
        errors: Vec::new(),
        matches: 0,
    };
    found.value(schema, value, old, &Path::Root);
    found.errors
}

/// Validates a default. The original takes any type here where an integer or a string may be.
pub(super) fn validate_default(schema: &Node, value: &Value, prefix: &str) -> Vec<FieldError> {
    let mut found = Found {
        prefix,
        is_default: true,
        errors: Vec::new(),
        matches: 0,
    };
    found.value(schema, value, None, &Path::Root);
    found.errors
}

/// What a walk found: errors, and how many checks were made, by which the branch of an `anyOf` or
/// `oneOf` is chosen whose errors are told.
pub(super) struct Found<'p> {
    prefix: &'p str,
    is_default: bool,
    errors: Vec<FieldError>,
    matches: u32,
}

impl Found<'_> {
    fn branch(&self) -> Self {
        Found {
            prefix: self.prefix,
            is_default: self.is_default,
            errors: Vec::new(),
            matches: 0,
        }
    }

    fn merge(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.matches += other.matches;
    }

    /// An error at a path, with the value as it is printed.
    pub(super) fn add(
        &mut self,
        kind: FieldErrorKind,
        path: &Path<'_>,
        value: Option<String>,
        detail: String,
    ) {
        let name = path.to_string();
        let name = name.strip_prefix('.').unwrap_or(&name);
        let field = match (self.prefix, name) {
            ("", "") => "<nil>".to_owned(),
            (prefix, "") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        self.errors.push(FieldError {
            kind,
            field,
            value,
            detail,
        });
    }

    pub(super) fn invalid(&mut self, path: &Path<'_>, value: String, detail: impl Display) {
        let detail = format!("{path} in body {detail}");
        self.add(FieldErrorKind::Invalid, path, Some(value), detail);
    }

    /// An error that the original tells without a place.
    pub(super) fn composite(&mut self, detail: String) {
        let value = Some("\"\"".to_owned());
        self.add(FieldErrorKind::Invalid, &Path::Root, value, detail);
    }

    fn wrong_type(&mut self, path: &Path<'_>, wanted: &str, got: &str) {
        let got = go_quote(got);
        let detail = format!("{path} in body must be of type {wanted}: {got}");
        self.add(FieldErrorKind::TypeInvalid, path, Some(got), detail);
    }

    fn value(
        &mut self,
        schema: &Node,
        value: &Value,
        old: Option<Correlated<'_>>,
        path: &Path<'_>,
    ) {
        let before = self.errors.len();
        if value.is_null() {
            self.null(schema, path);
            self.choices(schema, value, path);
        } else {
            self.present(schema, value, old, path);
        }
        if self.errors.len() > before && old.is_some_and(|old| old.unchanged()) {
            self.errors.truncate(before);
        }
    }

    fn has_type(&self, schema: &Node) -> bool {
        (schema.int_or_string && !self.is_default) || schema.shape != Shape::Any
    }

    /// For defaults the original does not leave out formats that it does not check.
    fn has_format(&self, schema: &Node) -> bool {
        match self.is_default {
            true => !schema.format_name.is_empty(),
            false => schema.format.is_some(),
        }
    }

    fn null(&mut self, schema: &Node, path: &Path<'_>) {
        if self.has_type(schema) && !schema.nullable {
            self.wrong_type(path, &type_words(schema), "null");
        } else {
            self.matches += 1;
        }
    }

    fn present(
        &mut self,
        schema: &Node,
        value: &Value,
        old: Option<Correlated<'_>>,
        path: &Path<'_>,
    ) {
        if self.has_type(schema) || self.has_format(schema) {
            self.shape(schema, value, path);
            self.matches += 1;
        }
        self.junctors(schema, value, path);
        match value {
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => {
                numbers::check(self, schema, number, path);
                self.matches += 2;
            }
            Value::Array(items) => self.list(schema, items, old, path),
            _ => {}
        }
        self.choices(schema, value, path);
        self.matches += 1;
        if let Value::Object(fields) = value {
            self.object(schema, fields, old, path);
            self.matches += 1;
        }
        self.matches += 1;
    }

    fn shape(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        let (got, format) = inferred(value);
        let has = |shape| has_shape(schema, shape);
        let fits = has(got)
            || (got == Shape::Number && is_whole(value) && has(Shape::Integer))
            || (got == Shape::Integer && has(Shape::Number));
        if self.has_format(schema) {
            let texts = matches!(got, Shape::String | Shape::Array);
            if !texts && !fits && format != schema.format_name {
                return self.wrong_type(path, &schema.format_name, format);
            }
            // A format on a string lets lists through here, as in the original.
            if texts && !has(Shape::Number) && !has(Shape::Integer) {
                self.matches += 1;
                return;
            }
        }
        if fits {
            self.matches += 1;
        } else {
            self.wrong_type(path, &type_words(schema), word(got));
        }
    }

    fn junctors(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        if !schema.any_of.is_empty() {
            self.any_of(schema, value, path);
        }
        if !schema.one_of.is_empty() {
            self.one_of(schema, value, path);
        }
        if !schema.all_of.is_empty() {
            self.all_of(schema, value, path);
        }
        if let Some(not) = &schema.not {
            let mut branch = self.branch();
            branch.value(not, value, None, path);
            if branch.errors.is_empty() {
                let name = go_quote(&path.to_string());
                self.composite(format!("{name} must not validate the schema (not)"));
            }
        }
        self.matches += 2;
    }

    fn any_of(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        let mut best: Option<Self> = None;
        for alternative in &schema.any_of {
            let mut branch = self.branch();
            branch.value(alternative, value, None, path);
            if branch.errors.is_empty() {
                self.merge(branch);
                return;
            }
            if best.as_ref().is_none_or(|b| branch.matches > b.matches) {
                best = Some(branch);
            }
        }
        let name = go_quote(&path.to_string());
        self.composite(format!("{name} must validate at least one schema (anyOf)"));
        if let Some(best) = best {
            self.merge(best);
        }
    }

    fn one_of(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        let (mut valid, mut best, mut first): (usize, Option<Self>, Option<Self>) = (0, None, None);
        for alternative in &schema.one_of {
            let mut branch = self.branch();
            branch.value(alternative, value, None, path);
            if branch.errors.is_empty() {
                valid += 1;
                first.get_or_insert(branch);
            } else if best.as_ref().is_none_or(|b| branch.matches > b.matches) {
                best = Some(branch);
            }
        }
        let told = match valid {
            1 => {
                if let Some(first) = first {
                    self.merge(first);
                }
                return;
            }
            0 => "Found none valid".to_owned(),
            _ => format!("Found {valid} valid alternatives"),
        };
        let name = go_quote(&path.to_string());
        self.composite(format!(
            "{name} must validate one and only one schema (oneOf). {told}"
        ));
        if let (0, Some(best)) = (valid, best) {
            self.merge(best);
        }
    }

    fn all_of(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        let mut valid = 0;
        for part in &schema.all_of {
            let mut branch = self.branch();
            branch.value(part, value, None, path);
            valid += usize::from(branch.errors.is_empty());
            self.merge(branch);
        }
        if valid != schema.all_of.len() {
            let name = go_quote(&path.to_string());
            let none = if valid == 0 { ". None validated" } else { "" };
            self.composite(format!(
                "{name} must validate all the schemas (allOf){none}"
            ));
        }
    }

    fn text(&mut self, schema: &Node, text: &str, path: &Path<'_>) {
        self.length_and_pattern(schema, text, path);
        self.matches += 1;
        let Some(format) = schema.format.filter(Format::is_text) else {
            return;
        };
        if !format.accepts(text) {
            self.wrong_type(path, &schema.format_name, text);
        }
        self.matches += 1;
    }

    /// Only the first of these is told.
    fn length_and_pattern(&mut self, schema: &Node, text: &str, path: &Path<'_>) {
        let bounds = &schema.bounds;
        if bounds.max_length.is_some() || bounds.min_length.is_some() {
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if let Some(most) = bounds.max_length.filter(|most| length > *most) {
                let detail = match most {
                    1 => "may not be more than 1 byte".to_owned(),
                    most if most < 0 => "value is too long".to_owned(),
                    most => format!("may not be more than {most} bytes"),
                };
                return self.add(FieldErrorKind::TooLong, path, None, detail);
            }
            if let Some(least) = bounds.min_length.filter(|least| length < *least) {
                let detail = format!("should be at least {least} chars long");
                return self.invalid(path, go_quote(text), detail);
            }
        }
        if let Some(pattern) = &schema.pattern
            && !pattern.found_in(text)
        {
            let detail = format!("should match '{}'", pattern.text());
            self.invalid(path, go_quote(text), detail);
        }
    }

    fn list(
        &mut self,
        schema: &Node,
        items: &[Value],
        old: Option<Correlated<'_>>,
        path: &Path<'_>,
    ) {
        if let Some(each) = schema.items.as_deref() {
            let before = old.and_then(|old| old.items());
            for (at, item) in items.iter().enumerate() {
                let old = match (&old, &before) {
                    (Some(old), Some(items)) => old.index(items, at),
                    _ => None,
                };
                self.value(each, item, old, &path.index(at));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(least) = schema.bounds.min_items.filter(|least| size < *least) {
            let detail = format!("should have at least {least} items");
            self.invalid(path, size.to_string(), detail);
        }
        if let Some(most) = schema.bounds.max_items.filter(|most| size > *most) {
            self.too_many(path, size, most);
        }
        if schema.bounds.unique_items && has_twins(items) {
            self.invalid(path, "\"\"".to_owned(), "shouldn't contain duplicates");
        }
        self.matches += 2;
    }

    fn too_many(&mut self, path: &Path<'_>, size: i64, most: i64) {
        let detail = match most {
            1 => "must have at most 1 item".to_owned(),
            most if most < 0 => "has too many items".to_owned(),
            most => format!("must have at most {most} items"),
        };
        self.add(
            FieldErrorKind::TooMany,
            path,
            Some(size.to_string()),
            detail,
        );
    }

    fn choices(&mut self, schema: &Node, value: &Value, path: &Path<'_>) {
        if schema.choices.is_empty() || (!value.is_null() && among(value, &schema.choices)) {
            return;
        }
        let words = schema.choices.iter().map(|choice| match choice {
            Value::String(text) => go_quote(text),
            other => go_quote(&print::json(other)),
        });
        let detail = format!("supported values: {}", words.collect::<Vec<_>>().join(", "));
        let value = Some(print::bad_value(value));
        self.add(FieldErrorKind::NotSupported, path, value, detail);
    }

    fn object(
        &mut self,
        schema: &Node,
        fields: &Map<String, Value>,
        old: Option<Correlated<'_>>,
        path: &Path<'_>,
    ) {
        let size = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        if let Some(least) = schema.bounds.min_properties.filter(|least| size < *least) {
            let detail = format!("should have at least {least} properties");
            self.invalid(path, size.to_string(), detail);
        }
        if let Some(most) = schema.bounds.max_properties.filter(|most| size > *most) {
            self.too_many(path, size, most);
        }
        for (name, value) in fields {
            if let Some(child) = schema.properties.get(name) {
                let old = kept(old, name, path);
                self.value(child, value, old, &path.field(name));
                continue;
            }
            match &schema.additional {
                Additional::Allowed(false) => {
                    let detail = format!("{path}.{name} in body is a forbidden property");
                    self.add(FieldErrorKind::Invalid, path, Some(go_quote(name)), detail);
                }
                Additional::Schema(child) => {
                    let old = kept(old, name, path);
                    self.value(child, value, old, &path.dotted(name));
                }
                _ => {}
            }
        }
        for name in &schema.required {
            if !fields.contains_key(name) {
                let path = path.dotted(name);
                self.add(FieldErrorKind::Required, &path, None, String::new());
            }
        }
    }
}

/// The old value of a field. Those of `apiVersion` and `kind` do not show at the root, since both
/// objects were converted to one version.
fn kept<'a>(old: Option<Correlated<'a>>, name: &str, path: &Path<'_>) -> Option<Correlated<'a>> {
    let hidden = path.is_root() && (name == "apiVersion" || name == "kind");
    old.filter(|_| !hidden).and_then(|old| old.key(name))
}

fn has_shape(schema: &Node, shape: Shape) -> bool {
    if schema.int_or_string {
        matches!(shape, Shape::Integer | Shape::String)
    } else {
        schema.shape == shape
    }
}

fn type_words(schema: &Node) -> String {
    if schema.int_or_string {
        "integer,string".to_owned()
    } else {
        schema.type_name.clone()
    }
}

/// Type and format of a value, as Go holds it.
fn inferred(value: &Value) -> (Shape, &'static str) {
    match value {
        Value::Null => (Shape::Unknown, ""),
        Value::Bool(_) => (Shape::Boolean, ""),
        Value::Number(number) if number.is_i64() => (Shape::Integer, "int64"),
        Value::Number(_) => (Shape::Number, "float64"),
        Value::String(_) => (Shape::String, ""),
        Value::Array(_) => (Shape::Array, ""),
        Value::Object(_) => (Shape::Object, ""),
    }
}

fn word(shape: Shape) -> &'static str {
    match shape {
        Shape::Boolean => "boolean",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::String => "string",
        Shape::Array => "array",
        Shape::Object => "object",
        Shape::Any | Shape::Unknown => "",
    }
}

fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(numbers::is_whole)
}

/// Whether a value is one of these. Numbers are equal by value when Go converts the one into the
/// other's type.
fn among(value: &Value, choices: &[Value]) -> bool {
    choices.iter().any(|choice| match (value, choice) {
        (Value::Number(value), Value::Number(choice)) => match choice.as_i64() {
            Some(choice) => match value.as_i64() {
                Some(value) => value == choice,
                None => value.as_f64().is_some_and(|v| v as i64 == choice),
            },
            None => value.as_f64() == choice.as_f64(),
        },
        (value, choice) => value == choice,
    })
}

fn has_twins(items: &[Value]) -> bool {
    let mut rest = items;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return true;
        }
        rest = others;
    }
    false
}
