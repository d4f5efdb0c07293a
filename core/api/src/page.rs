//! Parts of lists, and the tokens by which a client goes on.

use crate::past::Past;
use crate::select::Selection;
use base64::Engine as _;
use model::Object;
use serde_json::{Value, json};
use std::sync::Arc;

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The objects
    pub items: Vec<Arc<Object>>,
    /// `metadata.resourceVersion`
    pub version: u64,
    /// `metadata.continue`; empty at the end
    pub continue_token: String,
    /// `metadata.remainingItemCount`
    pub remaining: Option<usize>,
}

impl Page {
    /// The selected objects from place `start` on, at most `limit` of them; zero is all.
    pub(crate) fn cut(
        past: &Past<'_>,
        selection: &Selection,
        start: &str,
        limit: usize,
        version: u64,
    ) -> Self {
        let namespace = selection.namespace.as_deref();
        let prefix = namespace.map_or(0, |namespace| namespace.len() + 1);
        let mut rest = past.range(namespace, start);
        let mut page = Self {
            items: Vec::new(),
            version,
            continue_token: String::new(),
            remaining: None,
        };
        let mut last = "";
        while let Some((place, object)) = rest.next() {
            if limit > 0 && page.items.len() == limit {
                let start = format!("{}\0", &last[prefix..]);
                page.continue_token = encode_continue(&start, Some(version));
                page.remaining = selection.is_everything().then(|| rest.count() + 1);
                break;
            }
            last = place;
            if selection.matches(object) {
                page.items.push(object.clone());
            }
        }
        page
    }
}

/// A token that goes on at `start`, at a version or at whatever is the latest then.
pub(crate) fn encode_continue(start: &str, version: Option<u64>) -> String {
    let version = version.map_or(json!(-1), Value::from);
    let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

/// As Go decodes: the last character's spare bits may be anything.
const LENIENT: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    base64::engine::general_purpose::NO_PAD.with_decode_allow_trailing_bits(true),
);

/// First place and version of a continue token; no version means the latest.
pub(crate) fn decode_continue(token: &str) -> Result<(String, Option<u64>), String> {
    decode(token).map_err(|why| format!("continue key is not valid: {why}"))
}

fn decode(token: &str) -> Result<(String, Option<u64>), String> {
    let data = LENIENT
        .decode(token)
        .map_err(|error| base64_error(&error, token))?;
    let value = schema::json::parse(&data).map_err(|e| e.message)?;
    if !matches!(value, Value::Object(_) | Value::Null) {
        let found = go_type(&value);
        return Err(format!(
            "json: cannot unmarshal {found} into Go value of type storage.continueToken"
        ));
    }
    let version = text(&value, "v")?;
    let number = whole(&value, "rv")?;
    let start = text(&value, "start")?;
    if version != "meta.k8s.io/v1" {
        return Err(format!(
            "server does not recognize this encoded version {version}"
        ));
    }
    if number == 0 {
        return Err("incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned());
    }
    if start.is_empty() {
        return Err("encoded start key empty (version meta.k8s.io/v1)".to_owned());
    }
    let key = start.trim_start_matches('/');
    if key
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(start.to_owned());
    }
    Ok((key.to_owned(), u64::try_from(number).ok()))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    match &value[key] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text),
        other => Err(mistyped(go_type(other), key, "string")),
    }
}

fn whole(value: &Value, key: &str) -> Result<i64, String> {
    match &value[key] {
        Value::Null => Ok(0),
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| mistyped(&format!("number {number}"), key, "int64")),
        other => Err(mistyped(go_type(other), key, "int64")),
    }
}

fn mistyped(found: &str, key: &str, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {found} into Go struct field continueToken.{key} of type {wanted}"
    )
}

/// A value's type in the words of Go's decoder.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn base64_error(error: &base64::DecodeError, token: &str) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            *at
        }
        _ => token.len(),
    };
    format!("illegal base64 data at input byte {at}")
}
