//! Reading and writing of JSON fields by path.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `null` reads as the type's default, as Go writes empty lists and maps.
pub(crate) fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The number at a JSON pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The elements of the list at a JSON pointer; none when there is no list.
pub(crate) fn elements<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Sets a field below objects, which are made where they are missing.
pub(crate) fn set(target: &mut Value, path: &[&str], new: Value) {
    let Some((last, parents)) = path.split_last() else {
        *target = new;
        return;
    };
    let mut at = target;
    for name in parents {
        at = object(at).entry((*name).to_owned()).or_insert(Value::Null);
    }
    object(at).insert((*last).to_owned(), new);
}

/// Removes a field and keeps its now maybe empty parents.
pub(crate) fn remove(target: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = target;
    for name in parents {
        let Some(next) = at.get_mut(*name) else {
            return;
        };
        at = next;
    }
    if let Some(map) = at.as_object_mut() {
        map.remove(*last);
    }
}

/// The value as an object; anything else is replaced by an empty one.
pub(crate) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("was just made an object"),
    }
}

/// A map of strings as JSON.
pub(crate) fn strings(map: &BTreeMap<String, String>) -> Value {
    map.iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect::<Map<String, Value>>()
        .into()
}

/// Sets `metadata.labels` or `metadata.annotations`; an empty map removes the field.
pub(crate) fn set_strings(target: &mut Value, field: &str, map: &BTreeMap<String, String>) {
    if map.is_empty() {
        remove(target, &["metadata", field]);
    } else {
        set(target, &["metadata", field], strings(map));
    }
}
