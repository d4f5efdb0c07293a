//! Reading and writing single fields of objects that are still JSON values.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Reads `null` as the type's default, as Go does.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads part of an object into a type of the caller's. The schema has checked the JSON types
/// before, so that a part that does not fit is no more than an absent one.
pub(super) fn read<T: Default + for<'a> Deserialize<'a>>(part: Option<&Value>) -> T {
    part.filter(|value| !value.is_null())
        .and_then(|value| T::deserialize(value).ok())
        .unwrap_or_default()
}

/// The map at `key`, made when it is not there or no map.
pub(super) fn child<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    // The pointer is fresh by construction; an empty map only stands in for the impossible case.
    let slot = &mut object[key];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("a map was just put there"),
    }
}

/// The text at `key`; empty when it is absent, null or no text.
pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Sets `key`, or removes it when `value` is empty, as Go's `omitempty` does.
pub(super) fn set_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    if value.is_empty() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value.into());
    }
}

/// Sets `key`, or removes it when `values` is empty.
pub(super) fn set_texts(map: &mut Map<String, Value>, key: &str, values: &[String]) {
    if values.is_empty() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), values.into());
    }
}

/// Sets `key`, or removes it for zero.
pub(super) fn set_number(map: &mut Map<String, Value>, key: &str, value: i64) {
    if value == 0 {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value.into());
    }
}

/// The annotation `key`.
pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(key)?
        .as_str()
}

/// The label `key`; empty when there is none.
pub(super) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|meta| meta.get("labels"))
        .map(|labels| text(labels, key))
        .unwrap_or_default()
}

/// `metadata.name`
pub(super) fn name(object: &Value) -> &str {
    object.get("metadata").map_or("", |meta| text(meta, "name"))
}

/// `metadata.namespace`
pub(super) fn namespace(object: &Value) -> &str {
    object
        .get("metadata")
        .map_or("", |meta| text(meta, "namespace"))
}

/// The elements of the list at `key`; none when it is absent or null.
pub(super) fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The elements of the list at `key`, to be changed.
pub(super) fn items_mut<'a>(object: &'a mut Value, key: &str) -> &'a mut [Value] {
    object
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .map_or(&mut [], Vec::as_mut_slice)
}

/// Sets `metadata.generation` to 1.
pub(super) fn first_generation(object: &mut Value) {
    child(object, "metadata").insert("generation".to_owned(), 1.into());
}

/// Counts `metadata.generation` up from the old object's when `changed`, else takes it over.
pub(super) fn next_generation(object: &mut Value, old: &Value, changed: bool) {
    let old = old["metadata"]["generation"].as_i64().unwrap_or(0);
    set_number(
        child(object, "metadata"),
        "generation",
        old + i64::from(changed),
    );
}

/// Whether two parts say the same: an empty list or map is as good as none (Go's semantic
/// equality).
pub(super) fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.filter(|v| !is_empty(v)), b.filter(|v| !is_empty(v))) {
        (None, None) => true,
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys = a.keys().chain(b.keys());
            keys.into_iter().all(|key| same(a.get(key), b.get(key)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (a, b) => a == b,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_parts_are_the_same_as_absent_ones() {
        let (a, b) = (json!({"a": [], "b": 1}), json!({"b": 1, "c": null}));
        assert!(same(Some(&a), Some(&b)));
        assert!(!same(Some(&a), Some(&json!({"b": 2}))));
        assert!(!same(Some(&json!([1])), Some(&json!([1, 2]))));
        assert!(same(None, Some(&json!({}))));
    }

    #[test]
    fn setting_nothing_removes() {
        let mut object = json!({"spec": {"a": "x", "n": 1, "l": ["x"]}});
        let spec = child(&mut object, "spec");
        set_text(spec, "a", "");
        set_number(spec, "n", 0);
        set_texts(spec, "l", &[]);
        assert_eq!(object, json!({"spec": {}}));
    }
}
