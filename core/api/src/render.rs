//! From objects to the bytes of an answer, in the form that the client accepts.

use crate::accept::{Accept, Encoding, Transform};
use crate::page::Page;
use crate::query::Query;
use crate::{answer, yaml};
use model::{ApiError, Object, Timestamp};
use schema::{Kind, Registry};
use serde_json::{Value, json};

/// How answers of one request are written.
pub struct Renderer<'a> {
    /// All kinds
    pub registry: &'a Registry,
    /// The kind of the request
    pub kind: &'a Kind,
    /// What the client accepts
    pub accept: &'a Accept,
    /// `includeObject` of Tables
    pub include: Include,
    /// Indented JSON
    pub pretty: bool,
    /// For ages in Tables
    pub now: Timestamp,
}

/// What a Table's rows carry of their objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing
    None,
    /// Metadata
    #[default]
    Metadata,
    /// Everything
    Object,
}

impl Include {
    /// Reads the parameter.
    ///
    /// # Errors
    /// 400 for other words.
    pub fn parse(query: &Query) -> Result<Self, ApiError> {
        match query.text("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            other => Err(answer::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
                model::go_quote(other)
            ))),
        }
    }
}

/// Whether JSON is to be indented: when asked for, or when a person seems to look.
pub fn is_pretty(query: &Query, user_agent: &str) -> bool {
    let people = ["curl", "Wget", "Mozilla/5.0"];
    query
        .flag("pretty")
        .unwrap_or_else(|| people.iter().any(|agent| user_agent.starts_with(agent)))
}

/// Writes any value.
pub fn encode(value: &Value, encoding: Encoding, pretty: bool) -> Vec<u8> {
    let mut out = match (encoding, pretty) {
        (Encoding::Yaml, _) => return yaml::write(value).into_bytes(),
        (Encoding::Json, true) => serde_json::to_vec_pretty(value).unwrap_or_default(),
        (Encoding::Json, false) => serde_json::to_vec(value).unwrap_or_default(),
    };
    out.push(b'\n');
    out
}

impl Renderer<'_> {
    fn is_plain(&self) -> bool {
        self.accept.transform == Transform::None
            && self.accept.encoding == Encoding::Json
            && !self.pretty
    }

    fn stored(&self) -> &Kind {
        self.registry
            .stored(self.kind.resource)
            .map_or(self.kind, |kind| kind)
    }

    fn is_stored_kind(&self) -> bool {
        let stored = self.stored();
        stored.version == self.kind.version && stored.group == self.kind.group
    }

    /// Whether the stored bytes are the object in the kind of the request.
    fn is_shown_as_stored(&self, object: &Object) -> bool {
        match self.kind.custom() {
            None => self.is_stored_kind(),
            Some(custom) => custom.is_current(object.meta.resource_version),
        }
    }

    fn encode(&self, value: &Value) -> Vec<u8> {
        encode(value, self.accept.encoding, self.pretty)
    }

    /// A stored object in the kind of the request.
    pub fn shown(&self, object: &Object) -> Value {
        let mut value = object.value();
        if self.is_shown_as_stored(object) {
            return value;
        }
        self.registry.convert(self.stored(), self.kind, &mut value);
        value
    }

    /// A stored object.
    pub fn object(&self, object: &Object) -> Vec<u8> {
        if self.is_plain() && self.is_shown_as_stored(object) {
            let mut out = object.bytes.to_vec();
            out.push(b'\n');
            return out;
        }
        self.value(self.shown(object))
    }

    /// An object in the kind of the request; a Status stays what it is.
    pub fn value(&self, value: Value) -> Vec<u8> {
        if value["kind"] == "Status" {
            return self.encode(&value);
        }
        let version = value["metadata"]["resourceVersion"].clone();
        let out = match self.accept.transform {
            Transform::None => value,
            Transform::Partial(version) => partial(&value, version),
            Transform::Table(api) => {
                let mut meta = json!({});
                if !version.is_null() {
                    meta["resourceVersion"] = version;
                }
                self.table(api, meta, vec![value], true)
            }
        };
        self.encode(&out)
    }

    /// What a watch event carries; only the first Table of a watch has columns.
    pub fn event_object(&self, object: &Object, first: bool) -> Value {
        let value = self.shown(object);
        match self.accept.transform {
            Transform::None => value,
            Transform::Partial(version) => partial(&value, version),
            Transform::Table(api) => {
                let meta = json!({"resourceVersion": value["metadata"]["resourceVersion"]});
                self.table(api, meta, vec![value], first)
            }
        }
    }

    /// Whether a watch event can carry the stored bytes of the object as they are.
    pub fn is_verbatim(&self, object: &Object) -> bool {
        self.accept.transform == Transform::None
            && self.accept.encoding == Encoding::Json
            && self.is_shown_as_stored(object)
    }

    /// A list.
    pub fn list(&self, page: &Page) -> Vec<u8> {
        let mut meta = json!({"resourceVersion": page.version.to_string()});
        // Lists of custom objects have the field also at the end.
        let is_list = !matches!(self.accept.transform, Transform::Table(_));
        if !page.continue_token.is_empty() || (self.kind.custom().is_some() && is_list) {
            meta["continue"] = page.continue_token.clone().into();
        }
        if let Some(remaining) = page.remaining {
            meta["remainingItemCount"] = remaining.into();
        }
        let verbatim = |object: &std::sync::Arc<Object>| self.is_shown_as_stored(object);
        if self.is_plain() && page.items.iter().all(verbatim) {
            return self.plain_list(&meta, page);
        }
        let items = page.items.iter().map(|object| self.shown(object));
        let out = match self.accept.transform {
            Transform::None => {
                // Custom objects keep their type: the original does not know it from the list.
                let items: Vec<Value> = match self.kind.custom() {
                    None => items.map(without_type).collect(),
                    Some(_) => items.collect(),
                };
                json!({"kind": self.kind.list_kind, "apiVersion": self.kind.api_version(), "metadata": meta, "items": items})
            }
            Transform::Partial(version) => {
                let items: Vec<Value> = items.map(|value| partial(&value, version)).collect();
                json!({"kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": meta, "items": items})
            }
            Transform::Table(api) => self.table(api, meta, items.collect(), true),
        };
        self.encode(&out)
    }

    /// A list out of the stored bytes, without parsing them.
    fn plain_list(&self, meta: &Value, page: &Page) -> Vec<u8> {
        let size: usize = page.items.iter().map(|object| object.bytes.len()).sum();
        let mut out = Vec::with_capacity(size + 256);
        let head = format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{meta},\"items\":[",
            Value::from(self.kind.list_kind.as_str()),
            Value::from(self.kind.api_version()),
        );
        out.extend_from_slice(head.as_bytes());
        for (i, object) in page.items.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match self.kind.custom() {
                None => strip_type(&object.bytes, &mut out),
                Some(_) => out.extend_from_slice(&object.bytes),
            }
        }
        out.extend_from_slice(b"]}\n");
        out
    }

    fn table(&self, api: &str, meta: Value, objects: Vec<Value>, columns: bool) -> Value {
        // Printers of built-in kinds know the stored form only.
        let printed = match self.kind.custom() {
            None => self.stored(),
            Some(_) => self.kind,
        };
        let mut rows = Vec::with_capacity(objects.len());
        for object in objects {
            let mut stored = object.clone();
            if self.kind.custom().is_none() {
                self.registry.convert(self.kind, printed, &mut stored);
            }
            let cells = registry::print::row(printed, &stored, self.now);
            let object = match self.include {
                Include::None => Value::Null,
                Include::Metadata => partial(&object, api),
                Include::Object => object,
            };
            let mut row = json!({"cells": cells, "object": object});
            if let Some(conditions) = registry::print::conditions(self.kind.resource, &stored) {
                row["conditions"] = conditions;
            }
            rows.push(row);
        }
        let columns = if columns {
            registry::print::definitions(printed).into()
        } else {
            Value::Null
        };
        json!({
            "kind": "Table", "apiVersion": format!("meta.k8s.io/{api}"), "metadata": meta,
            "columnDefinitions": columns, "rows": rows,
        })
    }

    /// The object of a bookmark; `initial_end` marks the end of the initial events.
    pub fn bookmark(&self, version: u64, initial_end: bool) -> Value {
        let mut object = json!({
            "kind": self.kind.kind, "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": version.to_string()},
        });
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        match self.accept.transform {
            Transform::Partial(api) => return partial(&object, api),
            Transform::Table(api) => {
                let meta = json!({"resourceVersion": version.to_string()});
                return self.table(api, meta, vec![object], false);
            }
            Transform::None => {}
        }
        self.registry.normalise(self.kind, &mut object);
        object
    }
}

fn partial(object: &Value, version: &str) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": object["metadata"]})
}

/// Items of a list do not repeat their type.
fn without_type(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    value
}

/// Copies a canonical JSON object without its top-level `apiVersion` and `kind`.
fn strip_type(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    let (mut at, mut first) = (1, true);
    while at < bytes.len() && bytes[at] == b'"' {
        let key_end = string_end(bytes, at);
        let end = value_end(bytes, key_end + 1);
        let key = &bytes[at..key_end];
        if key > &b"\"kind\""[..] {
            // Keys are sorted: both are behind.
            if !first {
                out.push(b',');
            }
            out.extend_from_slice(&bytes[at..]);
            return;
        }
        if key != b"\"apiVersion\"" && key != b"\"kind\"" {
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(&bytes[at..end]);
        }
        at = end + 1;
    }
    out.push(b'}');
}

/// Just past the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'"' => return i + 1,
            _ => {}
        }
        i += 1;
    }
    bytes.len()
}

/// Just past the value that begins at `at`.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let (mut i, mut depth) = (at, 0usize);
    while i < bytes.len() {
        match bytes[i] {
            b'"' => {
                i = string_end(bytes, i);
                if depth == 0 {
                    return i;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return i,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            b',' if depth == 0 => return i,
            _ => {}
        }
        i += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_stripped_at_the_top_only() {
        let value = json!({
            "apiVersion": "v1", "kind": "X", "n": 5, "t": true, "s": "a\"},{", "z": {"kind": "Y", "l": [{"kind": 1}, "]"]},
        });
        let mut out = Vec::new();
        strip_type(value.to_string().as_bytes(), &mut out);
        assert_eq!(
            serde_json::from_slice::<Value>(&out).unwrap(),
            without_type(value)
        );
    }
}
