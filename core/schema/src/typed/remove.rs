//! Fields taken out of an object.

use super::list::element_of;
use super::ty::{ListType, MapType, Rule};
use super::{Element, FieldSet, Type};
use serde_json::{Map, Value};

/// The object without some fields. What gets empty by that stays as an empty map or list.
pub fn remove(ty: Type<'_>, object: &Value, fields: &FieldSet<'_>) -> Value {
    match (ty.rule(Some(object)), object) {
        (Rule::Map(map), Value::Object(members)) => from_map(map, members, fields),
        (Rule::List(list), Value::Array(items)) => from_list(list, items, fields),
        (Rule::Scalar(_), value) => value.clone(),
        _ => Value::Null,
    }
}

fn from_map(map: MapType<'_>, members: &Map<String, Value>, fields: &FieldSet<'_>) -> Value {
    if members.is_empty() || map.atomic {
        return Value::Null;
    }
    let mut out = Map::new();
    let mut touched = false;
    for (name, value) in members {
        let node = fields.get(&Element::field(name));
        if node.is_some_and(|node| node.member) {
            continue;
        }
        let kept = match (node, map.member(name)) {
            (Some(node), Some(ty)) => {
                touched = true;
                inside(ty, value, &node.below)
            }
            _ => value.clone(),
        };
        out.insert(name.clone(), kept);
    }
    if out.is_empty() && !touched {
        return Value::Null;
    }
    Value::Object(out)
}

fn from_list(list: ListType<'_>, items: &[Value], fields: &FieldSet<'_>) -> Value {
    if items.is_empty() || list.atomic {
        return Value::Null;
    }
    let mut out = Vec::new();
    let mut touched = false;
    for item in items {
        let element = element_of(&list, item).ok();
        let node = element.and_then(|element| fields.get(&element));
        match node {
            Some(node) if node.member => {}
            Some(node) => {
                touched = true;
                out.push(inside(list.element, item, &node.below));
            }
            None => out.push(item.clone()),
        }
    }
    if out.is_empty() && !touched {
        return Value::Null;
    }
    Value::Array(out)
}

/// A value of which something below is taken out.
fn inside(ty: Type<'_>, value: &Value, fields: &FieldSet<'_>) -> Value {
    match (remove(ty, value, fields), value) {
        (Value::Null, Value::Object(_)) => Value::Object(Map::new()),
        (Value::Null, Value::Array(_)) => Value::Array(Vec::new()),
        (kept, _) => kept,
    }
}
