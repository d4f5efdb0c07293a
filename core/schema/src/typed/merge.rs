//! A configuration over an object.

use super::list::element_of;
use super::ty::{ListType, MapType, Rule};
use super::{Element, Faults, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Puts a configuration over an object: what it names has its values, the rest stays.
///
/// # Errors
/// When elements of a list cannot be told apart.
pub fn merge(ty: Type<'_>, object: &Value, config: &Value) -> Result<Value, Faults> {
    Ok(walk(ty, Some(object), Some(config))?.unwrap_or(Value::Null))
}

type Side<'a> = Option<&'a Value>;
type Merged = Result<Option<Value>, Faults>;

fn walk(ty: Type<'_>, left: Side<'_>, right: Side<'_>) -> Merged {
    match ty.rule(right.or(left)) {
        Rule::Map(map) => maps(map, left, right),
        Rule::List(list) => lists(list, left, right),
        Rule::Scalar(_) => Ok(keep_right(left, right)),
        Rule::None => Ok(None),
    }
}

fn keep_right(left: Side<'_>, right: Side<'_>) -> Option<Value> {
    right.or(left).cloned()
}

/// The members of a map; `None` when it has none.
fn members(side: Side<'_>) -> Option<&Map<String, Value>> {
    side.and_then(Value::as_object)
        .filter(|map| !map.is_empty())
}

fn get<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Side<'a> {
    map.and_then(|map| map.get(name))
}

fn maps(map: MapType<'_>, left: Side<'_>, right: Side<'_>) -> Merged {
    let (left_map, right_map) = (members(left), members(right));
    if map.atomic || (left_map.is_none() && right_map.is_none()) {
        return Ok(keep_right(left, right));
    }
    let names: BTreeSet<&String> = [left_map, right_map]
        .into_iter()
        .flatten()
        .flat_map(Map::keys)
        .collect();
    let mut out = Map::new();
    for name in names {
        let (left, right) = (get(left_map, name), get(right_map, name));
        let merged = match map.member(name) {
            Some(ty) => walk(ty, left, right).map_err(|faults| faults.at(Element::field(name)))?,
            // What the schema does not know stays as it is.
            None => keep_right(left, right),
        };
        if let Some(merged) = merged {
            out.insert(name.clone(), merged);
        }
    }
    Ok((!out.is_empty()).then_some(Value::Object(out)))
}

fn lists(list: ListType<'_>, left: Side<'_>, right: Side<'_>) -> Merged {
    fn items(side: Option<&Value>) -> &[Value] {
        side.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    let (left_items, right_items) = (items(left), items(right));
    if list.atomic || (left_items.is_empty() && right_items.is_empty()) {
        return Ok(keep_right(left, right));
    }
    let right = Indexed::new(&list, right_items)?;
    if let Some(twice) = right.twice.first() {
        return Err(Faults::new(format!("duplicate entries for key {twice}")));
    }
    let left = Indexed::new(&list, left_items)?;
    let out = Zip::new(&list, &left, &right).run();
    Ok((!out.is_empty()).then_some(Value::Array(out)))
}

/// A list by its elements' keys.
struct Indexed<'a> {
    items: &'a [Value],
    elements: Vec<Element<'a>>,
    /// Elements that are there more than once have no value of their own
    values: BTreeMap<Element<'a>, Option<&'a Value>>,
    twice: Vec<Element<'a>>,
}

impl<'a> Indexed<'a> {
    fn new(list: &ListType<'_>, items: &'a [Value]) -> Result<Self, Faults> {
        let mut index = Self {
            items,
            elements: Vec::with_capacity(items.len()),
            values: BTreeMap::new(),
            twice: Vec::new(),
        };
        for (place, item) in items.iter().enumerate() {
            let element = element_of(list, item)
                .map_err(|why| Faults::new(format!("element {place}: {why}")))?;
            if index.values.insert(element.clone(), Some(item)).is_some() {
                index.values.insert(element.clone(), None);
                index.twice.push(element.clone());
            }
            index.elements.push(element);
        }
        Ok(index)
    }

    fn has(&self, element: &Element<'_>) -> bool {
        self.values.contains_key(element)
    }

    fn value(&self, element: &Element<'_>) -> Option<&'a Value> {
        self.values.get(element).copied().flatten()
    }
}

/// Merges two lists so that the order of both is kept where it can be; where they disagree, the
/// configuration's order counts.
struct Zip<'a, 'b> {
    list: &'b ListType<'b>,
    left: &'b Indexed<'a>,
    right: &'b Indexed<'a>,
    /// Elements that both have and that are still to come, in the configuration's order
    shared: Vec<&'b Element<'a>>,
    merged: BTreeSet<&'b Element<'a>>,
    out: Vec<Value>,
}

impl<'a, 'b> Zip<'a, 'b> {
    fn new(list: &'b ListType<'b>, left: &'b Indexed<'a>, right: &'b Indexed<'a>) -> Self {
        let shared = right.elements.iter().filter(|element| left.has(element));
        let mut shared: Vec<_> = shared.collect();
        shared.reverse();
        Self {
            list,
            left,
            right,
            shared,
            merged: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Value> {
        let (mut l, mut r) = (0, 0);
        while l < self.left.elements.len() || r < self.right.elements.len() {
            let (left, right) = (self.left.elements.get(l), self.right.elements.get(r));
            if let (Some(left), Some(right)) = (left, right) {
                if left == right {
                    self.push_right(right);
                    self.shared.pop();
                    l += 1;
                    r += 1;
                    continue;
                }
                let next = self.shared.last();
                if self.right.has(left) && next.is_some_and(|next| *next != left) {
                    // It comes at the configuration's place.
                    l += 1;
                    continue;
                }
            }
            if let Some(left) = left {
                if !self.right.has(left) {
                    let value = self.left.items.get(l);
                    self.push(value, None);
                    l += 1;
                    continue;
                }
                if self.merged.contains(left) {
                    l += 1;
                }
            }
            if let Some(right) = right {
                self.push_right(right);
                r += 1;
                if self.shared.last().is_some_and(|next| *next == right) {
                    self.shared.pop();
                }
            }
        }
        self.out
    }

    fn push_right(&mut self, element: &'b Element<'a>) {
        self.merged.insert(element);
        let (left, right) = (self.left.value(element), self.right.value(element));
        self.push(left, right);
    }

    fn push(&mut self, left: Side<'_>, right: Side<'_>) {
        // What is wrong inside of an element was told when it was validated.
        if let Ok(Some(merged)) = walk(self.list.element, left, right) {
            self.out.push(merged);
        }
    }
}
