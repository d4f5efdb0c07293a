//! Reading JSON objects without fear: a field of another type than expected reads as absent, since
//! decoding has already refused what users send and nothing here may fail on what is stored.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// Reads of an object's fields.
pub(crate) trait Read {
    /// The field, or null.
    fn at(&self, key: &str) -> &Value;
    /// A string; empty when absent.
    fn text(&self, key: &str) -> &str;
    /// An integer.
    fn number(&self, key: &str) -> Option<i64>;
    /// A boolean.
    fn flag(&self, key: &str) -> Option<bool>;
    /// A list; empty when absent.
    fn items(&self, key: &str) -> &[Value];
    /// The entries of a map; none when absent.
    fn entries(&self, key: &str) -> Entries<'_>;
    /// True when the field is there and not null.
    fn has(&self, key: &str) -> bool;
    /// The strings of a list.
    fn texts(&self, key: &str) -> Vec<&str>;
    /// An optional string: `Some` when there, even when empty.
    fn optional_text(&self, key: &str) -> Option<&str>;
}

/// Entries of a map field.
pub(crate) type Entries<'a> =
    std::iter::Map<std::iter::Flatten<std::option::IntoIter<&'a Map<String, Value>>>, Split<'a>>;
type Split<'a> = fn((&'a String, &'a Value)) -> (&'a str, &'a Value);

fn split<'a>((key, value): (&'a String, &'a Value)) -> (&'a str, &'a Value) {
    (key.as_str(), value)
}

impl Read for Value {
    fn at(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }

    fn text(&self, key: &str) -> &str {
        self.at(key).as_str().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.at(key).as_i64()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.at(key).as_bool()
    }

    fn items(&self, key: &str) -> &[Value] {
        self.at(key).as_array().map_or(&[], Vec::as_slice)
    }

    fn entries(&self, key: &str) -> Entries<'_> {
        let map = self.at(key).as_object();
        map.into_iter().flatten().map(split as Split<'_>)
    }

    fn has(&self, key: &str) -> bool {
        !self.at(key).is_null()
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.items(key).iter().filter_map(Value::as_str).collect()
    }

    fn optional_text(&self, key: &str) -> Option<&str> {
        self.at(key).as_str()
    }
}

/// The object at `key`, made when it is absent; `None` when something else is there.
pub(crate) fn ensure<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let map = value.as_object_mut()?;
    let slot = map.entry(key.to_owned()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.is_object().then_some(slot)
}

/// The list at `key`, to be changed; empty when there is none.
pub(crate) fn items_mut<'a>(value: &'a mut Value, key: &str) -> std::slice::IterMut<'a, Value> {
    match value.get_mut(key) {
        Some(Value::Array(items)) => items.iter_mut(),
        _ => Default::default(),
    }
}

/// Sets `key` when it is absent, null or an empty string.
pub(crate) fn set_default(value: &mut Value, key: &str, default: impl Into<Value>) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let unset = match map.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if unset {
        map.insert(key.to_owned(), default.into());
    }
}

/// As [`set_default`], for numbers whose zero means unset.
pub(crate) fn set_default_number(value: &mut Value, key: &str, default: i64) {
    if value.number(key) == Some(0) {
        remove(value, key);
    }
    set_default(value, key, default);
}

/// Sets a field of an object; does nothing to what is no object.
pub(crate) fn set(value: &mut Value, key: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(key.to_owned(), to.into());
    }
}

/// Removes a field.
pub(crate) fn remove(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}

/// Makes the field what it is in `from`: copied, or removed when it is not there.
pub(crate) fn copy_field(value: &mut Value, from: &Value, key: &str) {
    match from.get(key) {
        Some(found) => set(value, key, found.clone()),
        None => {
            remove(value, key);
        }
    }
}

/// Semantic equality: nothing, null, an empty list and an empty map are the same, and so are
/// members that hold one of these.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let unset =
                |map: &Map<String, Value>, key: &String| map.get(key).is_none_or(Value::is_null);
            a.iter()
                .all(|(key, value)| same(value, b.get(key).unwrap_or(&NULL)))
                && b.iter()
                    .all(|(key, value)| !unset(a, key) || same(&NULL, value))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Array(list), Value::Null) | (Value::Null, Value::Array(list)) => list.is_empty(),
        _ => a == b,
    }
}
