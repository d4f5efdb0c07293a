//! Decodes the body of a custom object as kube-apiserver does: any JSON first, then `metadata` as
//! ObjectMeta, then everything else by the schema of the version that the body names.

use super::Custom;
use crate::json::{self, Cursor};
use crate::types::Types;
use crate::{DecodeError, Kind, decode as typed, normal};
use model::go_quote;
use serde_json::{Map, Value};

/// As many complaints as Go collects.
const MAX_STRICT: usize = 100;

const OBJECT_META: &str = "meta/v1.ObjectMeta";

/// Decodes `text` as an object of the kind that `custom` is about; answers it and what strict
/// decoding refuses.
pub(crate) fn decode(
    types: &Types,
    kind: &Kind,
    custom: &Custom,
    text: &[u8],
) -> Result<(Value, Vec<String>), DecodeError> {
    json::check(text)?;
    let mut reader = Reader {
        cursor: Cursor::new(text),
        path: String::new(),
        strict: Vec::new(),
    };
    let value = reader.value()?;
    let (value, unknown) = receive(types, kind, custom, value)?;
    let mut strict = reader.strict;
    strict.extend(unknown);
    Ok((value, strict))
}

/// Brings a tree into the form of the schema; answers it and the complaints about unknown fields.
pub(crate) fn receive(
    types: &Types,
    kind: &Kind,
    custom: &Custom,
    mut value: Value,
) -> Result<(Value, Vec<String>), DecodeError> {
    let mut strict = Vec::new();
    let metadata = match value.get_mut("metadata").map(Value::take) {
        Some(metadata) => Some(object_meta(types, metadata, &mut strict)?),
        None => None,
    };
    // The schema says nothing about it.
    if let Some(map) = value.as_object_mut() {
        map.remove("metadata");
    }
    if value["kind"] == *kind.kind {
        let unknown = custom.receive(kind, &mut value)?;
        let unknown = unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\""));
        strict.extend(unknown);
    }
    if let (Some(metadata), Some(map)) = (metadata, value.as_object_mut()) {
        map.insert("metadata".to_owned(), metadata);
    }
    Ok((value, strict))
}

/// `metadata` as ObjectMeta in normal form.
fn object_meta(
    types: &Types,
    metadata: Value,
    strict: &mut Vec<String>,
) -> Result<Value, DecodeError> {
    let Some(id) = types.by_name.get(OBJECT_META) else {
        return Ok(metadata);
    };
    let text = metadata.to_string().into_bytes();
    let (mut metadata, unknown) = typed::decode(types, *id, &text)?;
    strict.extend(
        unknown
            .iter()
            .map(|text| text.replacen("field \"", "field \"metadata.", 1)),
    );
    normal::structure(types, *id, &mut metadata);
    Ok(metadata)
}

/// Reads any JSON and finds repeated keys.
struct Reader<'a> {
    cursor: Cursor<'a>,
    path: String,
    strict: Vec<String>,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, DecodeError> {
        match self.cursor.peek() {
            b'{' => self.object(),
            b'[' => self.list(),
            _ => Ok(self.cursor.value()?),
        }
    }

    fn object(&mut self) -> Result<Value, DecodeError> {
        let mut object = Map::new();
        let outer = self.path.len();
        self.cursor.enter()?;
        while let Some(key) = self.cursor.next_key() {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if object.contains_key(key.as_ref()) {
                self.complain();
            }
            let value = self.value()?;
            self.path.truncate(outer);
            object.insert(key.into_owned(), value);
        }
        Ok(object.into())
    }

    fn list(&mut self) -> Result<Value, DecodeError> {
        let mut list = Vec::new();
        let outer = self.path.len();
        self.cursor.enter()?;
        while self.cursor.next_item() {
            self.path.push_str(&format!("[{}]", list.len()));
            let value = self.value()?;
            self.path.truncate(outer);
            list.push(value);
        }
        Ok(list.into())
    }

    fn complain(&mut self) {
        let text = format!("duplicate field {}", go_quote(&self.path));
        if self.strict.len() < MAX_STRICT && !self.strict.contains(&text) {
            self.strict.push(text);
        }
    }
}
