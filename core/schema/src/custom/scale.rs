//! `subresources.scale`: where an object has its replicas.

use super::jsonpath::{go_float, print};
use serde_json::{Map, Value};

/// The paths of the scale subresource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalePaths<'a> {
    /// `specReplicasPath`
    pub spec: &'a str,
    /// `statusReplicasPath`
    pub status: &'a str,
    /// `labelSelectorPath`; empty when there is none
    pub selector: &'a str,
}

/// Names along a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('.').unwrap_or(path).split('.')
}

/// The text that Go's accessors give for a value of another type than wanted.
fn mismatch(path: &str, value: &Value, wanted: &str) -> String {
    let path: Vec<&str> = names(path).collect();
    let (shown, kind) = match value {
        Value::String(text) => (text.clone(), "string"),
        Value::Bool(bit) => (bit.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => {
            (go_float(number.as_f64().unwrap_or(0.0)), "float64")
        }
        Value::Number(number) => (number.to_string(), "int64"),
        Value::Array(_) => (go_print(value), "[]interface {}"),
        Value::Object(_) => (go_print(value), "map[string]interface {}"),
        Value::Null => ("<nil>".to_owned(), "<nil>"),
    };
    format!(
        ".{} accessor error: {shown} is of the type {kind}, expected {wanted}",
        path.join(".")
    )
}

/// Go's `%v`.
fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(go_print).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let items = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_print(value)));
            format!("map[{}]", items.collect::<Vec<_>>().join(" "))
        }
        other => print(other),
    }
}

impl<'a> ScalePaths<'a> {
    /// Reads `subresources.scale`.
    pub(super) fn new(scale: &'a Value) -> Option<Self> {
        scale.is_object().then(|| Self {
            spec: scale["specReplicasPath"].as_str().unwrap_or_default(),
            status: scale["statusReplicasPath"].as_str().unwrap_or_default(),
            selector: scale["labelSelectorPath"].as_str().unwrap_or_default(),
        })
    }

    /// A whole number at a path; `None` when nothing is there.
    ///
    /// # Errors
    /// Go's text when something else is there.
    pub fn number(path: &str, object: &Value) -> Result<Option<i64>, String> {
        let Some(value) = follow(path, object)? else {
            return Ok(None);
        };
        let number = value.as_i64();
        number
            .map(Some)
            .ok_or_else(|| mismatch(path, value, "int64"))
    }

    /// A string at a path; empty when nothing is there.
    ///
    /// # Errors
    /// Go's text when something else is there.
    pub fn text<'b>(path: &str, object: &'b Value) -> Result<&'b str, String> {
        let Some(value) = follow(path, object)? else {
            return Ok("");
        };
        value
            .as_str()
            .ok_or_else(|| mismatch(path, value, "string"))
    }

    /// Sets the replicas; what stands in the way of the path stays.
    pub fn set_replicas(&self, object: &mut Value, replicas: i64) {
        let mut here = object;
        for name in names(self.spec) {
            if here.is_null() {
                *here = Value::Object(Map::new());
            }
            let Some(map) = here.as_object_mut() else {
                return;
            };
            here = map.entry(name.to_owned()).or_insert(Value::Null);
        }
        *here = replicas.into();
    }
}

fn follow<'b>(path: &str, object: &'b Value) -> Result<Option<&'b Value>, String> {
    let mut here = object;
    let mut walked: Vec<&str> = Vec::new();
    for name in names(path) {
        match here {
            Value::Object(map) => match map.get(name) {
                Some(next) => here = next,
                None => return Ok(None),
            },
            Value::Null => return Ok(None),
            other => return Err(mismatch(&walked.join("."), other, "map[string]interface{}")),
        }
        walked.push(name);
    }
    Ok(Some(here))
}
