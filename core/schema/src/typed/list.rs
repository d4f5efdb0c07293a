//! How elements of lists are told apart.

use super::ty::{ListType, Rule};
use super::{Element, Type};
use serde_json::Value;
use std::borrow::Cow;

/// The step to an element of a list that is no atomic one.
pub(super) fn element_of<'a>(list: &ListType<'_>, child: &'a Value) -> Result<Element<'a>, String> {
    if list.atomic {
        return Err("invalid indexing of non-associative list".to_owned());
    }
    if list.keys.is_empty() {
        return by_value(child);
    }
    by_keys(list, child)
}

fn by_value(child: &Value) -> Result<Element<'_>, String> {
    let refused = match child {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        _ => return Ok(Element::Value(Cow::Borrowed(child))),
    };
    Err(refused.to_owned())
}

fn by_keys<'a>(list: &ListType<'_>, child: &'a Value) -> Result<Element<'a>, String> {
    let map = match child {
        Value::Object(map) => map,
        Value::Null => {
            return Err("associative list with keys may not have a null element".to_owned());
        }
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut keys = Vec::with_capacity(list.keys.len());
    for name in list.keys {
        if let Some((name, value)) = map.get_key_value(name.as_str()) {
            keys.push((Cow::Borrowed(name.as_str()), Cow::Borrowed(value)));
        } else if let Some(value) = default_of(list.element, name) {
            keys.push((Cow::Owned(name.clone()), Cow::Owned(value)));
        }
    }
    if keys.is_empty() {
        let names: Vec<String> = list.keys.iter().map(|key| model::go_quote(key)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Element::Key(keys))
}

fn default_of(element: Type<'_>, name: &str) -> Option<Value> {
    match element.rule(None) {
        Rule::Map(map) => map.default(name).map(Cow::into_owned),
        _ => None,
    }
}
