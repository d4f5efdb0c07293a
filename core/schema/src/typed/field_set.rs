//! The fields that a configuration names.

use super::list::element_of;
use super::ty::{ListType, MapType, Rule};
use super::{Element, FieldSet, Type};
use serde_json::Value;
use std::collections::BTreeMap;

/// All fields of a value; structs and granular maps only by what is in them.
pub fn field_set<'a>(ty: Type<'_>, value: &'a Value) -> FieldSet<'a> {
    walk(ty, value).1
}

/// Whether the value itself is in the set, and what is below it.
fn walk<'a>(ty: Type<'_>, value: &'a Value) -> (bool, FieldSet<'a>) {
    match ty.rule(Some(value)) {
        Rule::Map(map) if map.atomic => (true, FieldSet::default()),
        Rule::List(list) if list.atomic => (true, FieldSet::default()),
        Rule::Map(map) => (false, of_map(map, value)),
        Rule::List(list) => (false, of_list(list, value)),
        Rule::Scalar(_) => (true, FieldSet::default()),
        Rule::None => (false, FieldSet::default()),
    }
}

fn of_map<'a>(map: MapType<'_>, value: &'a Value) -> FieldSet<'a> {
    let mut set = FieldSet::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let field = map.field(name);
        let (member, below) = match field.or(map.element) {
            Some(ty) => walk(ty, value),
            None => (false, FieldSet::default()),
        };
        let is_empty = match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        set.put(
            Element::field(name),
            member || is_empty || field.is_none(),
            below,
        );
    }
    set
}

/// Elements that are there more than once are owned as a whole.
fn of_list<'a>(list: ListType<'_>, value: &'a Value) -> FieldSet<'a> {
    let items = value.as_array().into_iter().flatten();
    let items = items.filter_map(|item| Some((element_of(&list, item).ok()?, item)));
    let mut found: BTreeMap<Element<'a>, Option<&Value>> = BTreeMap::new();
    for (element, item) in items {
        found
            .entry(element)
            .and_modify(|several| *several = None)
            .or_insert(Some(item));
    }
    let mut set = FieldSet::default();
    for (element, item) in found {
        let below = match item {
            Some(item) => walk(list.element, item).1,
            None => FieldSet::default(),
        };
        set.put(element, true, below);
    }
    set
}
