//! Decodes a body as Go would decode it into a struct: known fields only, with Go's words for what
//! has the wrong type and for what strict decoding refuses.
//!
//! Go remembers the first value of a wrong type and reads on; a value that reads itself (a time, a
//! quantity) ends the reading at once. Which of several errors is told follows from that.

use crate::json::{self, Cursor};
use crate::leaf::{self, LeafError};
use crate::types::{Field, SchemaOr, Shape, StructId, TypeId, Types};
use crate::{DecodeError, TypeMeta};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use model::go_quote;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// As many complaints as Go collects.
const MAX_STRICT: usize = 100;

/// The struct that the API server reads before it knows the kind, as Go prints it.
const META_STRUCT: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
                           Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// Decodes `text` as the struct; answers what was read and what strict decoding refuses.
pub(crate) fn decode(
    types: &Types,
    structure: StructId,
    text: &[u8],
) -> Result<(Value, Vec<String>), DecodeError> {
    json::check(text)?;
    let mut decoder = Decoder {
        types,
        cursor: Cursor::new(text),
        place: Place::default(),
        wrong: None,
        strict: Vec::new(),
    };
    let name = types.structure(structure).short_name();
    let value = match decoder.cursor.peek() {
        b'{' => decoder.structure(structure, Value::Null)?,
        b'n' => Value::Object(Map::new()),
        first => {
            let go = format!("v1.{name}");
            return Err(DecodeError::new(cannot(
                word_at(first),
                &go,
                &decoder.place,
            )));
        }
    };
    match decoder.wrong {
        Some(message) => Err(DecodeError::new(message)),
        None => Ok((value, decoder.strict)),
    }
}

/// Reads `apiVersion` and `kind`.
pub(crate) fn type_meta(text: &[u8]) -> Result<TypeMeta, DecodeError> {
    let failed = |message: String| {
        DecodeError::new(format!(
            "couldn't get version/kind; json parse error: {message}"
        ))
    };
    json::check(text).map_err(|error| failed(error.message))?;
    let mut cursor = Cursor::new(text);
    let mut meta = TypeMeta::default();
    match cursor.peek() {
        b'{' => {}
        b'n' => return Ok(meta),
        first => {
            let word = word_at(first);
            let message =
                format!("json: cannot unmarshal {word} into Go value of type {META_STRUCT}");
            return Err(failed(message));
        }
    }
    cursor.enter()?;
    while let Some(key) = cursor.next_key() {
        // This one decoder of Go's takes keys in any case.
        let (target, name) = if key.eq_ignore_ascii_case("apiVersion") {
            (&mut meta.api_version, "apiVersion")
        } else if key.eq_ignore_ascii_case("kind") {
            (&mut meta.kind, "kind")
        } else {
            cursor.raw();
            continue;
        };
        match cursor.peek() {
            b'"' => *target = cursor.string().into_owned(),
            first => {
                cursor.raw();
                if first != b'n' {
                    let word = word_at(first);
                    return Err(failed(format!(
                        "json: cannot unmarshal {word} into Go struct field .{name} of type string"
                    )));
                }
            }
        }
    }
    if meta.api_version.matches('/').count() > 1 {
        let version = &meta.api_version;
        return Err(DecodeError::new(format!(
            "unexpected GroupVersion string: {version}"
        )));
    }
    Ok(meta)
}

/// Where the reading is: as strict decoding tells it (`spec.ports[0]`) and as type errors do
/// (`ServicePort.spec.ports`).
#[derive(Default)]
struct Place<'a> {
    steps: Vec<Step<'a>>,
    fields: Vec<&'a str>,
    owner: &'a str,
}

enum Step<'a> {
    Key(Cow<'a, str>),
    Index(usize),
}

impl Place<'_> {
    fn path_to(&self, key: &str) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => push_key(&mut path, key),
            }
        }
        push_key(&mut path, key);
        path
    }
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

struct Decoder<'a> {
    types: &'a Types,
    cursor: Cursor<'a>,
    place: Place<'a>,
    /// The first value of a wrong type
    wrong: Option<String>,
    strict: Vec<String>,
}

impl<'a> Decoder<'a> {
    /// An object as a struct; `known` is what an earlier key of the same name gave.
    fn structure(&mut self, id: StructId, known: Value) -> Result<Value, DecodeError> {
        let structure = self.types.structure(id);
        let mut object = into_object(known);
        let mut seen: Vec<&str> = Vec::with_capacity(8);
        let outer = self.place.owner;
        self.cursor.enter()?;
        while let Some(key) = self.cursor.next_key() {
            let Some(field) = structure.field(&key) else {
                self.complain("unknown", &key);
                self.cursor.raw();
                continue;
            };
            if seen.contains(&field.name.as_str()) {
                self.complain("duplicate", &key);
            }
            seen.push(&field.name);
            self.place.owner = structure.short_name();
            let known = object.remove(&field.name).unwrap_or(Value::Null);
            let value = self.field(field, known)?;
            object.insert(field.name.clone(), value);
        }
        self.place.owner = outer;
        Ok(Value::Object(object))
    }

    fn field(&mut self, field: &'a Field, known: Value) -> Result<Value, DecodeError> {
        self.place.fields.push(&field.name);
        self.place.steps.push(Step::Key(Cow::Borrowed(&field.name)));
        let value = self.value(field.ty, known)?;
        self.place.steps.pop();
        self.place.fields.pop();
        Ok(value)
    }

    fn value(&mut self, ty: TypeId, known: Value) -> Result<Value, DecodeError> {
        let (ty, shape) = self.types.pointee(ty);
        match (shape, self.cursor.peek()) {
            (Shape::Any | Shape::Raw | Shape::Fields, _) => Ok(self.cursor.value()?),
            (
                Shape::Schema(other, props),
                b'{' | b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f',
            ) => self.schema_or(other, props),
            (
                Shape::Time
                | Shape::MicroTime
                | Shape::Duration
                | Shape::Quantity
                | Shape::IntOrString,
                first,
            ) => self.leaf(shape, first),
            (_, b'n') => {
                self.cursor.raw();
                Ok(Value::Null)
            }
            (Shape::Struct(id), b'{') => self.structure(id, known),
            (Shape::Map(element), b'{') => self.map(element, known),
            (Shape::List(element), b'[') => self.list(element),
            (Shape::Bytes, b'[') => self.byte_list(),
            (Shape::Bytes, b'"') => self.bytes(),
            (Shape::String, b'"') => Ok(Value::String(self.cursor.string().into_owned())),
            (Shape::Bool, b't' | b'f') => Ok(Value::Bool(self.cursor.scalar() == "true")),
            (Shape::Int(bits), b'-' | b'0'..=b'9') => Ok(self.int(ty, bits)),
            (Shape::Float, b'-' | b'0'..=b'9') => {
                Ok(json::number(self.cursor.scalar()).map_or(Value::Null, Value::Number))
            }
            (_, first) => {
                self.cursor.raw();
                self.mismatch(word_at(first), ty);
                Ok(Value::Null)
            }
        }
    }

    /// A value that reads itself: unknown fields inside are not told, and the first value of a wrong
    /// type ends the reading.
    fn schema_or(&mut self, other: SchemaOr, props: StructId) -> Result<Value, DecodeError> {
        let text = self.cursor.raw();
        let place = Place {
            steps: Vec::new(),
            fields: self.place.fields.clone(),
            owner: self.place.owner,
        };
        let mut decoder = Decoder {
            types: self.types,
            cursor: Cursor::new(text),
            place,
            wrong: None,
            strict: Vec::new(),
        };
        let finish = |decoder: Decoder<'_>, value: Value| match decoder.wrong {
            Some(message) => Err(DecodeError::new(message)),
            None => Ok(value),
        };
        match (other, text.first()) {
            (_, Some(b'{')) => {
                let value = decoder.structure(props, Value::Null)?;
                finish(decoder, value)
            }
            (SchemaOr::Schemas | SchemaOr::Texts, Some(b'[')) => {
                let value = decoder.list_of(other, props)?;
                finish(decoder, value)
            }
            (SchemaOr::Bool, Some(b't' | b'f')) => Ok(Value::Bool(text == b"true")),
            (SchemaOr::Bool, _) => Err(DecodeError::new("boolean or JSON schema expected")),
            _ => Ok(Value::Object(Map::new())),
        }
    }

    /// A list in the place of a schema.
    fn list_of(&mut self, other: SchemaOr, props: StructId) -> Result<Value, DecodeError> {
        let mut list = Vec::new();
        self.cursor.enter()?;
        while self.cursor.next_item() {
            let first = self.cursor.peek();
            list.push(match (other, first) {
                (SchemaOr::Schemas, b'{') => self.structure(props, Value::Null)?,
                (SchemaOr::Texts, b'"') => self.cursor.string().into_owned().into(),
                (SchemaOr::Schemas, b'n') => Value::Object(Map::new()),
                (SchemaOr::Texts, b'n') => "".into(),
                _ => {
                    self.cursor.raw();
                    let schemas = other == SchemaOr::Schemas;
                    let go = if schemas {
                        "v1.JSONSchemaProps"
                    } else {
                        "string"
                    };
                    let message = cannot(word_at(first), go, &self.place);
                    self.remember(|| message);
                    Value::Null
                }
            });
        }
        Ok(list.into())
    }

    fn map(&mut self, element: TypeId, known: Value) -> Result<Value, DecodeError> {
        // What is there already came from an earlier map of the same name.
        let mut earlier = into_object(known);
        let mut object = Map::new();
        self.cursor.enter()?;
        while let Some(key) = self.cursor.next_key() {
            if object.contains_key(key.as_ref()) {
                self.complain("duplicate", &key);
            }
            self.place.steps.push(Step::Key(key.clone()));
            let value = self.value(element, Value::Null)?;
            self.place.steps.pop();
            object.insert(key.into_owned(), value);
        }
        if !earlier.is_empty() {
            earlier.append(&mut object);
            object = earlier;
        }
        Ok(Value::Object(object))
    }

    fn list(&mut self, element: TypeId) -> Result<Value, DecodeError> {
        let mut list = Vec::new();
        self.cursor.enter()?;
        while self.cursor.next_item() {
            self.place.steps.push(Step::Index(list.len()));
            let value = self.value(element, Value::Null)?;
            self.place.steps.pop();
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn leaf(&mut self, shape: Shape, first: u8) -> Result<Value, DecodeError> {
        let value = match (shape, first) {
            // The exact text counts: `1e3` is another quantity than `1000`.
            (Shape::Quantity, b'-' | b'0'..=b'9') => self.cursor.scalar().into(),
            (Shape::IntOrString, b'-' | b'0'..=b'9') => {
                let text = self.cursor.scalar();
                return match text.parse::<i32>() {
                    Ok(number) => Ok(number.into()),
                    Err(_) => Err(self.fatal(LeafError::Type(format!("number {text}"), "int32"))),
                };
            }
            _ => self.cursor.value()?,
        };
        leaf::canonical(shape, &value).map_err(|error| self.fatal(error))
    }

    fn fatal(&self, error: LeafError) -> DecodeError {
        DecodeError::new(match error {
            LeafError::Type(word, go) => cannot(&word, go, &self.place),
            LeafError::Text(text) => text,
        })
    }

    fn int(&mut self, ty: TypeId, bits: u32) -> Value {
        let text = self.cursor.scalar();
        let fits = |number: &i64| bits == 64 || i32::try_from(*number).is_ok();
        if let Some(number) = text.parse::<i64>().ok().filter(fits) {
            return number.into();
        }
        self.mismatch(&format!("number {text}"), ty);
        Value::Null
    }

    fn bytes(&mut self) -> Result<Value, DecodeError> {
        let text = self.cursor.string();
        if let Err(at) = check_base64(&text) {
            self.remember(|| format!("illegal base64 data at input byte {at}"));
            return Ok(Value::Null);
        }
        Ok(without_newlines(&text).into())
    }

    /// Go takes a list of numbers where bytes belong.
    fn byte_list(&mut self) -> Result<Value, DecodeError> {
        let mut bytes: Vec<u8> = Vec::new();
        self.cursor.enter()?;
        while self.cursor.next_item() {
            let first = self.cursor.peek();
            let raw = String::from_utf8_lossy(self.cursor.raw()).into_owned();
            match raw.parse() {
                Ok(byte) => bytes.push(byte),
                Err(_) if first == b'n' => bytes.push(0),
                Err(_) => {
                    let number = format!("number {raw}");
                    let word = match word_at(first) {
                        "number" => number.as_str(),
                        word => word,
                    };
                    let place = &self.place;
                    let message = cannot(word, "uint8", place);
                    self.remember(|| message);
                }
            }
        }
        Ok(base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into())
    }

    fn mismatch(&mut self, word: &str, ty: TypeId) {
        if self.wrong.is_none() {
            self.wrong = Some(cannot(word, &self.types.info(ty).go, &self.place));
        }
    }

    fn remember(&mut self, message: impl FnOnce() -> String) {
        self.wrong.get_or_insert_with(message);
    }

    fn complain(&mut self, what: &str, key: &str) {
        if self.strict.len() >= MAX_STRICT {
            return;
        }
        let text = format!("{what} field {}", go_quote(&self.place.path_to(key)));
        if !self.strict.contains(&text) {
            self.strict.push(text);
        }
    }
}

fn into_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn cannot(word: &str, go: &str, place: &Place<'_>) -> String {
    if place.owner.is_empty() {
        return format!("json: cannot unmarshal {word} into Go value of type {go}");
    }
    let (owner, fields) = (place.owner, place.fields.join("."));
    format!("json: cannot unmarshal {word} into Go struct field {owner}.{fields} of type {go}")
}

/// Go's word for the value that begins with this byte.
fn word_at(first: u8) -> &'static str {
    match first {
        b'{' => "object",
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        b'n' => "null",
        _ => "number",
    }
}

fn without_newlines(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// Go's decoder: padding is required, newlines do not count, trailing bits may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Where Go finds the first byte that is no base64.
pub(crate) fn check_base64(text: &str) -> Result<(), usize> {
    if BASE64.decode(without_newlines(text)).is_ok() {
        return Ok(());
    }
    Err(corrupt_at(text.as_bytes()))
}

/// The offset that Go names: that of the wrong byte, or of the group of four that is not complete.
fn corrupt_at(text: &[u8]) -> usize {
    let newline = |byte: u8| byte == b'\n' || byte == b'\r';
    let mut in_group = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if newline(byte) {
            continue;
        }
        if byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/' {
            in_group = (in_group + 1) % 4;
            continue;
        }
        if byte != b'=' || in_group < 2 {
            return at - 1;
        }
        return corrupt_padding(text, at, in_group);
    }
    text.len() - in_group
}

/// As [`corrupt_at`], from behind the first `=`.
fn corrupt_padding(text: &[u8], mut at: usize, in_group: usize) -> usize {
    let skip = |mut at: usize| {
        while text.get(at).is_some_and(|b| *b == b'\n' || *b == b'\r') {
            at += 1;
        }
        at
    };
    if in_group == 2 {
        at = skip(at);
        match text.get(at) {
            None => return text.len(),
            Some(b'=') => at += 1,
            Some(_) => return at - 1,
        }
    }
    skip(at)
}

#[cfg(test)]
mod tests;
