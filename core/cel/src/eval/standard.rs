//! Conversions, sizes, membership, optional values.

use super::call::{Answer, Called};
use crate::ast::op;
use crate::error::EvalError;
use crate::value::{Key, List, Map, Outcome, Value, convert};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) fn call<'p, 'v>(called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let name = called.function.name.as_str();
    Ok(match (name, called.args.as_slice()) {
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(Value::Type(value.type_name())),
        ("size", [value]) => size(value),
        ("bool" | "bytes" | "double" | "duration" | "int" | "timestamp" | "uint", [value]) => {
            convert(value.clone(), name)
        }
        ("string", [value]) => convert(value.clone(), name),
        (op::IN, [item, container]) => contains(item, container),
        (op::MAP_INSERT, _) => insert(called.args),
        ("optional.of", [value]) => Ok(Value::some(value.clone())),
        ("optional.ofNonZeroValue", [value]) if value.is_zero() => Ok(Value::none()),
        ("optional.ofNonZeroValue", [value]) => Ok(Value::some(value.clone())),
        ("optional.none", []) => Ok(Value::none()),
        ("value", [Value::Optional(Some(inner))]) => Ok(inner.as_ref().clone()),
        ("value", [Value::Optional(None)]) => Err(EvalError::new("optional.none() dereference")),
        ("hasValue", [Value::Optional(inner)]) => Ok(Value::Bool(inner.is_some())),
        ("optional.unwrap" | "unwrapOpt", [Value::List(list)]) => unwrap_all(list),
        _ => return Err(called),
    })
}

fn size<'v>(value: &Value<'v>) -> Outcome<'v> {
    match value {
        Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
            Ok(Value::Int(i64::try_from(value.size()).unwrap_or(i64::MAX)))
        }
        _ => Err(EvalError::new("no such overload: size")),
    }
}

fn contains<'v>(item: &Value<'v>, container: &Value<'v>) -> Outcome<'v> {
    match container {
        Value::List(list) => list.contains(item).map(Value::Bool),
        Value::Map(map) => map.find(item).map(|found| Value::Bool(found.is_some())),
        _ => Err(EvalError::no_overload()),
    }
}

fn unwrap_all<'v>(list: &List<'v>) -> Outcome<'v> {
    let mut items = Vec::new();
    for item in list.iter() {
        match item? {
            Value::Optional(Some(inner)) => items.push(inner.as_ref().clone()),
            Value::Optional(None) => {}
            other => return Err(EvalError::new(format!("value {other} is not optional"))),
        }
    }
    Ok(Value::list(items))
}

/// A map with entries added, each under a key of its own.
fn insert(args: Vec<Value<'_>>) -> Outcome<'_> {
    let mut args = args.into_iter();
    let (Some(Value::Map(map)), Some(second)) = (args.next(), args.next()) else {
        return Err(EvalError::no_overload());
    };
    let added = match (args.next(), second) {
        (Some(value), key) => vec![(key, Ok(value))],
        (None, Value::Map(more)) => more.entries(),
        (None, _) => return Err(EvalError::no_overload()),
    };
    let mut entries = owned(map)?;
    let inner = Rc::make_mut(&mut entries);
    for (key, value) in added {
        let Some(plain) = Key::of(&key) else {
            let name = key.type_name();
            return Err(EvalError::new(format!("unsupported key type: {name}")));
        };
        if inner.insert(plain, value?).is_some() {
            return Err(EvalError::new(format!(
                "insert failed: key {key} already exists"
            )));
        }
    }
    Ok(Value::Map(Map::Owned(entries)))
}

type Entries<'v> = Rc<BTreeMap<Key, Value<'v>>>;

fn owned(map: Map<'_>) -> Result<Entries<'_>, EvalError> {
    if let Map::Owned(entries) = map {
        return Ok(entries);
    }
    let mut entries = BTreeMap::new();
    for (key, value) in map.entries() {
        if let Some(key) = Key::of(&key) {
            entries.insert(key, value?);
        }
    }
    Ok(Rc::new(entries))
}
