//! Lists: read in place, or computed.

use super::{Outcome, Value, equal, json};
use crate::decl::{Decl, ListKind};
use crate::error::EvalError;
use serde_json::Value as Json;
use std::rc::Rc;

/// A list.
#[derive(Clone, Debug)]
pub enum List<'v> {
    /// In an input, the items as declared.
    Json(&'v [Json], &'v Decl, &'v ListKind),
    /// Computed.
    Owned(Rc<Vec<Value<'v>>>),
    /// Joined from one that compares without order.
    Typed(Rc<Vec<Value<'v>>>, &'v ListKind),
}

impl<'v> List<'v> {
    pub(crate) fn of(items: Vec<Value<'v>>) -> List<'v> {
        List::Owned(Rc::new(items))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            List::Json(items, ..) => items.len(),
            List::Owned(items) | List::Typed(items, _) => items.len(),
        }
    }

    /// The item at `index`. None when there is none.
    pub(crate) fn get(&self, index: usize) -> Option<Outcome<'v>> {
        match self {
            List::Json(items, decl, _) => items.get(index).map(|item| json::read(item, decl)),
            List::Owned(items) | List::Typed(items, _) => items.get(index).cloned().map(Ok),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Outcome<'v>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// All items.
    ///
    /// # Errors
    /// The first item that is not what it is declared to be.
    pub(crate) fn items(&self) -> Result<Vec<Value<'v>>, EvalError> {
        self.iter().collect()
    }

    pub(crate) fn kind(&self) -> Option<&'v ListKind> {
        match self {
            List::Json(_, _, kind) | List::Typed(_, kind) => Some(kind),
            List::Owned(_) => None,
        }
    }

    /// Whether an item equals `value`. An item that cannot be compared is an error if none equals.
    pub(crate) fn contains(&self, value: &Value<'v>) -> Result<bool, EvalError> {
        let mut failure = None;
        for item in self.iter() {
            match item.and_then(|item| equal(&item, value)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    /// Both lists, one after the other; sets and lists with keys keep each item once.
    pub(crate) fn join(self, other: List<'v>) -> Result<List<'v>, EvalError> {
        match (self, other) {
            (List::Owned(mut left), right) => {
                let added = right.items()?;
                match Rc::get_mut(&mut left) {
                    Some(items) => items.extend(added),
                    None => {
                        let mut items = left.as_ref().clone();
                        items.extend(added);
                        left = Rc::new(items);
                    }
                }
                Ok(List::Owned(left))
            }
            (left, right) => {
                let kind = left.kind().unwrap_or(&ListKind::Atomic);
                let mut items = left.items()?;
                match kind {
                    ListKind::Atomic => items.extend(right.items()?),
                    ListKind::Set => join_set(&mut items, &right)?,
                    ListKind::Map(keys) => join_keyed(&mut items, &right, keys)?,
                }
                Ok(List::Typed(Rc::new(items), kind))
            }
        }
    }
}

fn join_set<'v>(items: &mut Vec<Value<'v>>, other: &List<'v>) -> Result<(), EvalError> {
    for item in other.iter() {
        let item = item?;
        if !any_equal(items, &item) {
            items.push(item);
        }
    }
    Ok(())
}

fn any_equal<'v>(items: &[Value<'v>], item: &Value<'v>) -> bool {
    items.iter().any(|known| equal(known, item) == Ok(true))
}

fn join_keyed<'v>(
    items: &mut Vec<Value<'v>>,
    other: &List<'v>,
    keys: &[String],
) -> Result<(), EvalError> {
    let mut places: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        places.insert(key_of(item, keys), at);
    }
    for item in other.iter() {
        let item = item?;
        let key = key_of(&item, keys);
        match places.get(&key) {
            Some(at) => items[*at] = item,
            None => {
                places.insert(key, items.len());
                items.push(item);
            }
        }
    }
    Ok(())
}

/// What identifies an item of a list with keys, as text.
pub(super) fn key_of(item: &Value<'_>, keys: &[String]) -> String {
    let Value::Map(map) = item else {
        return String::new();
    };
    let mut text = String::new();
    for key in keys {
        match map.raw(key) {
            Some(value) => text.push_str(&value.to_string()),
            None => text.push_str("null"),
        }
        text.push('\u{0}');
    }
    text
}
