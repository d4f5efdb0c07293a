//! Equality.

use super::list::key_of;
use super::{List, Map, Value};
use crate::decl::{Decl, ListKind, Shape};
use crate::error::EvalError;
use serde_json::Value as Json;
use std::collections::BTreeMap;

type Equality = Result<bool, EvalError>;

/// Whether two values are equal; numbers are compared across their types.
///
/// # Errors
/// When they cannot be compared.
pub(crate) fn equal<'v>(a: &Value<'v>, b: &Value<'v>) -> Equality {
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => a.as_str() == b.as_str(),
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a.is_same_instant(b),
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::List(a), Value::List(b)) => return lists(a, b),
        (Value::List(a), _) if a.kind().is_some() => return Err(EvalError::no_overload()),
        (Value::Map(a), Value::Map(b)) => return maps(a, b),
        (Value::Map(Map::Json(_, decl)), _) if !matches!(decl.shape, Shape::Any) => {
            return Err(EvalError::no_overload());
        }
        (Value::Optional(None), Value::Optional(None)) => true,
        (Value::Optional(Some(a)), Value::Optional(Some(b))) => return equal(a, b),
        (Value::Library(a), Value::Library(b)) => return a.equal(b),
        (Value::Library(_), _) => return Err(EvalError::no_overload()),
        (Value::Preserved(a), Value::Preserved(b)) => a == b,
        _ => numbers(a, b).unwrap_or(false),
    })
}

/// None when one of them is no number.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<bool> {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => Some(a == b),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => Some(super::compare(a, b) == Some(std::cmp::Ordering::Equal)),
        _ => None,
    }
}

fn lists<'v>(a: &List<'v>, b: &List<'v>) -> Equality {
    if a.len() != b.len() {
        return Ok(false);
    }
    match a.kind() {
        Some(ListKind::Set) => sets(a, b),
        Some(ListKind::Map(keys)) => keyed(a, b, keys),
        _ => {
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(&a?, &b?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// Sets are of scalars.
fn sets<'v>(a: &List<'v>, b: &List<'v>) -> Equality {
    let mut known = std::collections::BTreeSet::new();
    for item in a.iter() {
        known.insert(scalar(&item?));
    }
    for item in b.iter() {
        if !known.contains(&scalar(&item?)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn scalar(value: &Value<'_>) -> String {
    format!("{}:{value}", value.type_name())
}

fn keyed<'v>(a: &List<'v>, b: &List<'v>, keys: &[String]) -> Equality {
    let mut known = BTreeMap::new();
    for item in a.iter() {
        let item = item?;
        known.insert(key_of(&item, keys), item);
    }
    for item in b.iter() {
        let item = item?;
        match known.get(&key_of(&item, keys)) {
            None => return Ok(false),
            Some(other) => {
                if !equal(other, &item)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn maps<'v>(a: &Map<'v>, b: &Map<'v>) -> Equality {
    if a.len() != b.len() {
        return Ok(false);
    }
    for key in a.keys() {
        match (a.find(&key)?, b.find(&key)?) {
            (None, None) => {}
            (Some(value), Some(other)) => {
                if !equal(&value, &other)? {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(undeclared_equal(a, b))
}

/// Whether what an object has beyond its declared fields is the same in both, where both have it.
fn undeclared_equal(a: &Map<'_>, b: &Map<'_>) -> bool {
    let (Map::Json(left, decl), Map::Json(right, _)) = (a, b) else {
        return true;
    };
    left.iter().all(|(name, value)| {
        is_declared(decl, name) || right.get(name).is_none_or(|other: &Json| other == value)
    })
}

fn is_declared(decl: &Decl, name: &str) -> bool {
    match &decl.shape {
        Shape::Object(object) => object.fields.contains_key(name),
        _ => true,
    }
}
