//! Maps and objects: read in place, computed, or computed when read.

use super::{Outcome, Str, Value, json};
use crate::activation::Fields;
use crate::decl::{Decl, Shape};
use crate::error::EvalError;
use crate::escape::{escape, unescape};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// A map or an object.
#[derive(Clone)]
pub enum Map<'v> {
    /// In an input, as declared.
    Json(&'v serde_json::Map<String, Json>, &'v Decl),
    /// Computed.
    Owned(Rc<BTreeMap<Key, Value<'v>>>),
    /// Computed when read.
    Fields(Rc<dyn Fields<'v> + 'v>),
}

/// What a computed map is keyed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `bool`.
    Bool(bool),
    /// `int` and `uint`, which are equal when their numbers are.
    Number(i128),
    /// `string`.
    String(Arc<str>),
}

impl Key {
    /// The key that a value is. None when it can be none.
    pub(crate) fn of(value: &Value<'_>) -> Option<Key> {
        Some(match value {
            Value::Bool(b) => Key::Bool(*b),
            Value::Int(i) => Key::Number(i128::from(*i)),
            Value::Uint(u) => Key::Number(i128::from(*u)),
            Value::Double(d) if d.fract() == 0.0 && d.abs() < 1e19 => Key::Number(*d as i128),
            Value::String(Str::Shared(text)) => Key::String(text.clone()),
            Value::String(text) => Key::String(Arc::from(text.as_str())),
            _ => return None,
        })
    }

    pub(crate) fn value<'v>(&self) -> Value<'v> {
        match self {
            Key::Bool(b) => Value::Bool(*b),
            Key::Number(n) => match i64::try_from(*n) {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Uint(u64::try_from(*n).unwrap_or(u64::MAX)),
            },
            Key::String(text) => Value::String(Str::Shared(text.clone())),
        }
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Map::Json(map, _) => write!(f, "{map:?}"),
            Map::Owned(map) => write!(f, "{map:?}"),
            Map::Fields(_) => f.write_str("{..}"),
        }
    }
}

impl<'v> Map<'v> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Map::Json(map, _) => map.len(),
            Map::Owned(map) => map.len(),
            Map::Fields(fields) => fields.len(),
        }
    }

    /// The value for `key`. None when there is none.
    ///
    /// # Errors
    /// When the key is not one that the map can have, or the value is not as declared.
    pub(crate) fn find(&self, key: &Value<'v>) -> Result<Option<Value<'v>>, EvalError> {
        match self {
            Map::Json(map, decl) => {
                let Value::String(name) = key else {
                    if matches!(decl.shape, Shape::Any) {
                        return Ok(None);
                    }
                    return Err(EvalError::no_overload());
                };
                find_json(map, decl, name.as_str()).transpose()
            }
            Map::Owned(map) => Ok(Key::of(key).and_then(|key| map.get(&key).cloned())),
            Map::Fields(fields) => match key {
                Value::String(name) => fields.field(name.as_str()).transpose(),
                _ => Err(EvalError::no_overload()),
            },
        }
    }

    /// The value under the name that JSON uses, without its declaration.
    pub(super) fn raw(&self, name: &str) -> Option<String> {
        match self {
            Map::Json(map, _) => map.get(name).map(Json::to_string),
            Map::Owned(map) => {
                let value = map.get(&Key::String(Arc::from(name)))?;
                Some(match value.as_str() {
                    Some(text) => Json::from(text).to_string(),
                    None => value.to_string(),
                })
            }
            Map::Fields(_) => None,
        }
    }

    /// The keys, in order; of an object those that are declared, as expressions write them.
    pub(crate) fn keys(&self) -> Vec<Value<'v>> {
        match self {
            Map::Json(map, decl) => {
                let keys = map.keys().filter_map(|name| json_key(decl, name));
                keys.map(Value::String).collect()
            }
            Map::Owned(map) => map.keys().map(Key::value).collect(),
            Map::Fields(_) => Vec::new(),
        }
    }

    /// The entries, as `keys` has them.
    pub(crate) fn entries(&self) -> Vec<(Value<'v>, Outcome<'v>)> {
        let mut entries = Vec::with_capacity(self.len());
        for key in self.keys() {
            let value = match self.find(&key) {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(EvalError::new(format!("no such key: {key}"))),
                Err(error) => Err(error),
            };
            entries.push((key, value));
        }
        entries
    }
}

fn json_key<'v>(decl: &Decl, name: &'v str) -> Option<Str<'v>> {
    match &decl.shape {
        Shape::Object(object) if !object.fields.is_empty() => {
            object.fields.contains_key(name).then_some(())?;
            Some(match escape(name) {
                Some(std::borrow::Cow::Owned(escaped)) => Str::Shared(Arc::from(escaped)),
                _ => Str::Borrowed(name),
            })
        }
        Shape::Object(_) => None,
        _ => Some(Str::Borrowed(name)),
    }
}

fn find_json<'v>(
    map: &'v serde_json::Map<String, Json>,
    decl: &'v Decl,
    name: &str,
) -> Option<Outcome<'v>> {
    match &decl.shape {
        Shape::Object(object) => {
            let real = unescape(name)?;
            let value = map.get(real.as_ref())?;
            // A field that is null counts as one that is absent.
            if value.is_null() {
                return None;
            }
            let field = object.fields.get(real.as_ref())?;
            Some(json::read(value, field))
        }
        Shape::Map(inner) => Some(json::read(map.get(name)?, inner)),
        _ => Some(Ok(json::read_any(map.get(name)?))),
    }
}
