//! OpenAPI v2 in the protobuf form that older clients ask for (gnostic's `OpenAPIv2.proto`):
//! definitions with their types and extensions.

use serde_json::{Map, Value};

/// A `Document`.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, &document["swagger"]);
    let mut info = Vec::new();
    text(&mut info, 1, &document["info"]["title"]);
    text(&mut info, 2, &document["info"]["version"]);
    bytes(&mut out, 2, &info);
    bytes(&mut out, 8, &[]);
    bytes(&mut out, 9, &named_schemas(&document["definitions"]));
    out
}

/// `Definitions` and `Properties` are alike.
fn named_schemas(map: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in map.as_object().into_iter().flatten() {
        bytes(&mut out, 1, &named(name, &schema(value)));
    }
    out
}

fn named(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 1, name.as_bytes());
    bytes(&mut out, 2, value);
    out
}

fn schema(value: &Value) -> Vec<u8> {
    let empty = Map::new();
    let mut out = Vec::new();
    for (key, value) in value.as_object().unwrap_or(&empty) {
        match key.as_str() {
            "$ref" => text(&mut out, 1, value),
            "format" => text(&mut out, 2, value),
            "default" => bytes(&mut out, 5, &any(value)),
            "required" => value
                .as_array()
                .into_iter()
                .flatten()
                .for_each(|v| text(&mut out, 19, v)),
            "enum" => {
                let values = value.as_array().into_iter().flatten();
                values.for_each(|value| bytes(&mut out, 20, &any(value)));
            }
            "additionalProperties" => bytes(&mut out, 21, &wrapped(&schema(value))),
            "type" => {
                let mut kind = Vec::new();
                text(&mut kind, 1, value);
                bytes(&mut out, 22, &kind);
            }
            "items" => bytes(&mut out, 23, &wrapped(&schema(value))),
            "properties" => bytes(&mut out, 25, &named_schemas(value)),
            _ if key.starts_with("x-") => bytes(&mut out, 31, &named(key, &any(value))),
            _ => {}
        }
    }
    out
}

/// A message whose one field is another message.
fn wrapped(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 1, inner);
    out
}

/// `Any` carries YAML, of which JSON is a part.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 2, format!("{value}\n").as_bytes());
    out
}

fn text(out: &mut Vec<u8>, field: u64, value: &Value) {
    bytes(out, field, value.as_str().unwrap_or_default().as_bytes());
}

/// A field of wire type 2: length, then bytes.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    number(out, field << 3 | 2);
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_have_their_numbers() {
        let document = document(&json!({
            "swagger": "2.0", "info": {"title": "T", "version": "V"},
            "definitions": {"a": {"type": "string"}},
        }));
        assert!(document.starts_with(b"\x0a\x032.0\x12\x06\x0a\x01T\x12\x01V\x42\x00"));
        let rest = &document[15..];
        // NamedSchema{name: a, value: Schema{type: TypeItem{value: [string]}}}
        assert_eq!(
            rest,
            b"\x4a\x12\x0a\x10\x0a\x01a\x12\x0b\xb2\x01\x08\x0a\x06string"
        );
    }
}
