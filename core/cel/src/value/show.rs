//! Values in error texts.

use super::{Key, List, Map, Value};
use std::fmt;

pub(super) fn show(value: &Value<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(b) => write!(f, "{b}"),
        Value::Int(i) => write!(f, "{i}"),
        Value::Uint(u) => write!(f, "{u}"),
        Value::Double(d) => f.write_str(&super::convert::shortest(*d)),
        Value::String(text) => f.write_str(text.as_str()),
        Value::Bytes(octets) => write!(f, "{octets:?}"),
        Value::Timestamp(t) => write!(f, "{t}"),
        Value::Duration(d) => write!(f, "{d}ns"),
        Value::Type(name) => f.write_str(name),
        Value::List(list) => show_list(list, f),
        Value::Map(map) => show_map(map, f),
        Value::Optional(None) => f.write_str("optional.none()"),
        Value::Optional(Some(inner)) => write!(f, "optional({inner})"),
        Value::Library(library) => write!(f, "{library}"),
        Value::Preserved(json) => write!(f, "{json}"),
    }
}

fn show_list(list: &List<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("[")?;
    for (at, item) in list.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        if let Ok(item) = item {
            write!(f, "{item}")?;
        }
    }
    f.write_str("]")
}

fn show_map(map: &Map<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("{")?;
    for (at, (key, value)) in map.entries().into_iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{key}: ")?;
        if let Ok(value) = value {
            write!(f, "{value}")?;
        }
    }
    f.write_str("}")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}
