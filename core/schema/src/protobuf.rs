//! Bodies in Kubernetes' protobuf form, which Go clients send for built-in kinds. They become JSON
//! and then go the way of all bodies.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown`; the message inside has the field numbers of the
//! `protobuf` tags of `k8s.io/api`.

use crate::types::{Field, Shape, StructId, TypeId, Types};
use crate::{DecodeError, Kind, Registry};
use base64::Engine;
use model::Timestamp;
use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";
/// Messages nest as deep as types do; recursive types are bounded by this.
const MAX_DEPTH: usize = 64;

fn bad(why: &str) -> DecodeError {
    DecodeError::new(format!("proto: {why}"))
}

/// One field as it stands on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed64(u64),
}

/// The fields of a message in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(|| bad("unexpected EOF"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad("integer overflow"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| bad("unexpected EOF"))?;
        self.0 = rest;
        Ok(head)
    }

    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| bad("illegal tag"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                let bytes = self
                    .take(8)?
                    .try_into()
                    .map_err(|_| bad("unexpected EOF"))?;
                Wire::Fixed64(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| bad("negative length"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(
                self.take(4)?
                    .try_into()
                    .map_err(|_| bad("unexpected EOF"))?,
            ))),
            other => return Err(bad(&format!("illegal wireType {other}"))),
        };
        Ok(Some((number, wire)))
    }

    /// The last occurrence of each of the first fields.
    fn collect(mut self) -> Result<Vec<(u32, Wire<'a>)>, DecodeError> {
        let mut all = Vec::new();
        while let Some(field) = self.next()? {
            all.push(field);
        }
        Ok(all)
    }
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

impl Registry {
    /// Whether a body is in protobuf form.
    pub fn is_protobuf(body: &[u8]) -> bool {
        body.starts_with(MAGIC)
    }

    /// Rewrites a protobuf body as JSON; `expected` is the kind when the body does not say.
    ///
    /// # Errors
    /// In the words of Go's decoder, as far as there are any.
    pub fn protobuf_to_json(&self, expected: &Kind, body: &[u8]) -> Result<Value, DecodeError> {
        let inner = body
            .strip_prefix(MAGIC)
            .ok_or_else(|| bad("provided data does not appear to be a protobuf message"))?;
        let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
        for (number, wire) in Fields(inner).collect()? {
            match (number, wire) {
                (1, Wire::Bytes(meta)) => {
                    for (number, wire) in Fields(meta).collect()? {
                        let Wire::Bytes(bytes) = wire else { continue };
                        let word = String::from_utf8_lossy(bytes).into_owned();
                        match number {
                            1 => api_version = word,
                            2 => kind = word,
                            _ => {}
                        }
                    }
                }
                (2, Wire::Bytes(bytes)) => raw = bytes,
                _ => {}
            }
        }
        if kind.is_empty() {
            (api_version, kind) = (expected.api_version(), expected.kind.clone());
        }
        let found = self.by_kind(&api_version, &kind).map_or(expected, |k| k);
        let structure = found
            .structure()
            .ok_or_else(|| DecodeError::new("custom objects have no protobuf form"))?;
        let mut value = message(&self.types, structure, raw, 0)?;
        value["apiVersion"] = api_version.into();
        value["kind"] = kind.into();
        Ok(value)
    }
}

fn message(types: &Types, id: StructId, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let mut map = Map::new();
    fill(types, id, bytes, depth, &[], &mut map)?;
    Ok(Value::Object(map))
}

/// Reads the fields of a message into `map`; `outer` are the numbers of the inlined messages around.
fn fill(
    types: &Types,
    id: StructId,
    bytes: &[u8],
    depth: usize,
    outer: &[u32],
    map: &mut Map<String, Value>,
) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(bad("exceeded max depth"));
    }
    let fields = &types.structure(id).fields;
    for (number, wire) in Fields(bytes).collect()? {
        let path = [outer, &[number]].concat();
        match (fields.iter().find(|field| field.wire == path), wire) {
            (Some(field), wire) => set(types, field, wire, depth, map)?,
            (None, Wire::Bytes(bytes)) if fields.iter().any(|f| f.wire.starts_with(&path)) => {
                fill(types, id, bytes, depth + 1, &path, map)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn set(
    types: &Types,
    field: &Field,
    wire: Wire<'_>,
    depth: usize,
    map: &mut Map<String, Value>,
) -> Result<(), DecodeError> {
    let (ty, shape) = types.pointee(field.ty);
    match (shape, wire) {
        (Shape::List(item), wire) => {
            let list = map.entry(field.name.clone()).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                elements(types, item, wire, depth, list)?;
            }
        }
        (Shape::Map(item), Wire::Bytes(bytes)) => {
            let entries = map.entry(field.name.clone()).or_insert_with(|| json!({}));
            if let Value::Object(entries) = entries {
                let (key, value) = entry(types, item, bytes, depth)?;
                entries.insert(key, value);
            }
        }
        (_, wire) => {
            map.insert(field.name.clone(), single(types, ty, wire, depth)?);
        }
    }
    Ok(())
}

/// One element of a list, or several numbers packed into one field.
fn elements(
    types: &Types,
    item: TypeId,
    wire: Wire<'_>,
    depth: usize,
    list: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let (item, shape) = types.pointee(item);
    if let (Shape::Int(_) | Shape::Bool, Wire::Bytes(bytes)) = (shape, &wire) {
        let mut packed = Fields(bytes);
        while !packed.0.is_empty() {
            let number = packed.varint()?;
            list.push(single(types, item, Wire::Number(number), depth)?);
        }
        return Ok(());
    }
    list.push(single(types, item, wire, depth)?);
    Ok(())
}

/// Key and value of a map's entry.
fn entry(
    types: &Types,
    item: TypeId,
    bytes: &[u8],
    depth: usize,
) -> Result<(String, Value), DecodeError> {
    let (item, shape) = types.pointee(item);
    let mut key = String::new();
    let mut value = None;
    let mut list = Vec::new();
    for (number, wire) in Fields(bytes).collect()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            // A list as the value of a map is a message with one repeated field.
            (2, Wire::Bytes(bytes)) if matches!(shape, Shape::List(_)) => {
                let Shape::List(inner) = shape else { continue };
                for (_, wire) in Fields(bytes).collect()? {
                    elements(types, inner, wire, depth, &mut list)?;
                }
            }
            (2, wire) => value = Some(single(types, item, wire, depth)?),
            _ => {}
        }
    }
    let value = match (value, shape) {
        (Some(value), _) => value,
        (None, Shape::List(_)) => list.into(),
        (None, _) => single(types, item, Wire::Bytes(&[]), depth)?,
    };
    Ok((key, value))
}

fn single(types: &Types, ty: TypeId, wire: Wire<'_>, depth: usize) -> Result<Value, DecodeError> {
    let shape = types.shape(ty);
    let signed = |number: u64| i64::from_le_bytes(number.to_le_bytes());
    Ok(match (shape, wire) {
        (Shape::Bool, Wire::Number(number)) => (number != 0).into(),
        (Shape::Int(32), Wire::Number(number)) => i64::from(signed(number) as i32).into(),
        (Shape::Int(_), Wire::Number(number)) => signed(number).into(),
        (Shape::Float, Wire::Fixed64(bits)) => f64::from_bits(bits).into(),
        (Shape::Bytes, Wire::Bytes(bytes)) => base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into(),
        (Shape::Struct(id), Wire::Bytes(bytes)) => message(types, id, bytes, depth + 1)?,
        (Shape::Time, Wire::Bytes(bytes)) => time(bytes, false)?,
        (Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, true)?,
        (Shape::Quantity, Wire::Bytes(bytes)) => only_field(bytes)?.map_or("0".into(), text),
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Raw | Shape::Fields | Shape::Any, Wire::Bytes(bytes)) => match only_field(bytes)? {
            Some(raw) => crate::json::parse(raw)?,
            None => Value::Null,
        },
        (_, Wire::Bytes(bytes)) => text(bytes),
        (_, Wire::Number(number)) => signed(number).into(),
        (_, Wire::Fixed64(_)) => Value::Null,
    })
}

/// The first field of a message that wraps bytes or a string.
fn only_field(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let mut found = None;
    for (number, wire) in Fields(bytes).collect()? {
        if let (1, Wire::Bytes(bytes)) = (number, wire) {
            found = Some(bytes);
        }
    }
    Ok(found)
}

fn time(bytes: &[u8], micro: bool) -> Result<Value, DecodeError> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    for (number, wire) in Fields(bytes).collect()? {
        let Wire::Number(value) = wire else { continue };
        let value = i64::from_le_bytes(value.to_le_bytes());
        match number {
            1 => seconds = value,
            2 => nanos = value,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let micros = seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1000);
    let time = Timestamp::from_micros(micros);
    Ok(if micro {
        time.rfc3339_micro()
    } else {
        time.rfc3339()
    }
    .into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut is_string, mut number, mut string) = (false, 0i64, Value::from(""));
    for (field, wire) in Fields(bytes).collect()? {
        match (field, wire) {
            (1, Wire::Number(kind)) => is_string = kind == 1,
            (2, Wire::Number(value)) => number = i64::from_le_bytes(value.to_le_bytes()),
            (3, Wire::Bytes(bytes)) => string = text(bytes),
            _ => {}
        }
    }
    Ok(if is_string { string } else { number.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn a_service_reads_as_its_json_would() {
        let registry = Registry::builtin();
        let kind = registry.by_kind("v1", "Service").unwrap();
        let target = [vec![1 << 3, 1], field(3, b"web")].concat();
        let port = [
            field(1, b"http"),
            field(2, b"TCP"),
            vec![3 << 3, 80],
            field(4, &target),
        ]
        .concat();
        let label = field(1, b"app")
            .into_iter()
            .chain(field(2, b"x"))
            .collect::<Vec<u8>>();
        let spec = [field(1, &port), field(2, &label), field(4, b"ClusterIP")].concat();
        let raw = [field(1, &field(1, b"a")), field(2, &spec)].concat();
        let got = registry
            .protobuf_to_json(kind, &envelope("v1", "Service", &raw))
            .unwrap();
        let want = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}],
                "selector": {"app": "x"}, "type": "ClusterIP",
            },
        });
        assert_eq!(got, want);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
            let registry = Registry::builtin();
            let kind = registry.by_kind("v1", "Pod").unwrap();
            let _ = registry.protobuf_to_json(kind, &envelope("v1", "Pod", &bytes[..bytes.len().min(100)]));
            let _ = registry.protobuf_to_json(kind, &bytes);
        }
    }
}
