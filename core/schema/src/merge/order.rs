//! The order of a merged list: what the patch says first, then that of the list as it was.

use super::print::go_value;
use super::{BAD_ORDER_LIST, Level, List, Merger, Object, PATCH, SET_ORDER};
use super::{error, list, no_merge_key, without_directives, wrong_argument};
use crate::PatchError;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the items of a list are, by what makes them equal: the value itself, or that of a key.
pub(super) struct Index {
    places: BTreeMap<String, usize>,
    key: String,
}

impl Index {
    /// Items are equal when their values are.
    pub(super) fn of_items(list: &[Value]) -> Self {
        Self::of(list, "")
    }

    /// Items are equal when their values of `key` are; an empty key means the items themselves.
    pub(super) fn of(list: &[Value], key: &str) -> Self {
        let mut index = Self {
            places: BTreeMap::new(),
            key: key.to_owned(),
        };
        for (place, item) in list.iter().enumerate() {
            index.add(item, place);
        }
        index
    }

    /// Notes a place; the first one of equal items stays.
    pub(super) fn add(&mut self, item: &Value, place: usize) {
        if let Some(identity) = self.identity(item) {
            self.places.entry(identity).or_insert(place);
        }
    }

    /// The place of the item that equals this one.
    pub(super) fn find(&self, item: &Value) -> Option<usize> {
        self.places.get(&self.identity(item)?).copied()
    }

    fn identity(&self, item: &Value) -> Option<String> {
        if self.key.is_empty() {
            return Some(item.to_string());
        }
        item.get(&self.key).map(Value::to_string)
    }
}

impl Merger<'_> {
    /// Merges the lists that a `$setElementOrder/X` speaks about and takes both out of the patch.
    pub(super) fn ordered_lists(
        &self,
        original: &mut Object,
        patch: &mut Object,
        level: Level,
    ) -> Result<(), PatchError> {
        let mut directives: Vec<String> = patch.keys().cloned().collect();
        directives.retain(|key| key.starts_with(SET_ORDER));
        for directive in directives {
            let wanted = match patch.remove(&directive) {
                Some(Value::Array(wanted)) => wanted,
                other => {
                    return Err(wrong_argument(
                        "[]interface {}",
                        &other.unwrap_or(Value::Null),
                    ));
                }
            };
            let key = directive
                .strip_prefix(SET_ORDER)
                .and_then(|rest| rest.strip_prefix('/'));
            let key = key.ok_or_else(|| error(400, BAD_ORDER_LIST))?;
            self.ordered_list(original, patch, key, &wanted, level)?;
        }
        Ok(())
    }

    fn ordered_list(
        &self,
        original: &mut Object,
        patch: &mut Object,
        key: &str,
        wanted: &[Value],
        level: Level,
    ) -> Result<(), PatchError> {
        let old = take_list(original, key)?;
        let new = take_list(patch, key)?;
        let meta = self.list_meta(level, key)?;
        check_order(new.as_deref().unwrap_or_default(), wanted, &meta.key)?;
        let live = old.clone().unwrap_or_default();
        let mut element = "";
        for list in [&old, &new].into_iter().flatten() {
            if !list.is_empty() {
                element = list::element_type(&[list])?;
            }
        }
        let merged = match (old, new) {
            (None, None) => return Ok(()),
            (Some(old), None) => old,
            (None, Some(new)) => match without_directives(Value::Array(new)) {
                Some(Value::Array(new)) => new,
                _ => return Ok(()),
            },
            (Some(old), Some(new)) if meta.merge => self.list(old, new, &meta)?,
            (Some(_), Some(new)) => new,
        };
        if element.is_empty() {
            return Err(error(500, "no elements in any of the given slices"));
        }
        let merged = arrange(merged, wanted, &live, &meta.key)?;
        original.insert(key.to_owned(), Value::Array(merged));
        Ok(())
    }
}

fn take_list(from: &mut Object, key: &str) -> Result<Option<List>, PatchError> {
    match from.remove(key) {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(other) => Err(wrong_argument("[]interface {}", &other)),
    }
}

/// The patch's items must stand in the wanted order too, deletions aside.
fn check_order(patch: &[Value], wanted: &[Value], key: &str) -> Result<(), PatchError> {
    if patch.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let mut at = 0;
    for item in patch {
        if item.get(PATCH).is_some() {
            continue;
        }
        loop {
            let Some(candidate) = wanted.get(at) else {
                let (patch, wanted) = (patch.to_vec().into(), wanted.to_vec().into());
                return Err(error(
                    500,
                    format!(
                        "The order in patch list:\n{}\n doesn't match {SET_ORDER} list:\n{}\n",
                        go_value(&patch),
                        go_value(&wanted)
                    ),
                ));
            };
            at += 1;
            if equal(item, candidate, key)? {
                break;
            }
        }
    }
    Ok(())
}

fn equal(left: &Value, right: &Value, key: &str) -> Result<bool, PatchError> {
    if key.is_empty() {
        return Ok(left == right);
    }
    Ok(value_of(left, key)? == value_of(right, key)?)
}

/// The value of the merge key.
fn value_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    let Value::Object(map) = item else {
        return Err(wrong_argument("map[string]interface {}", item));
    };
    map.get(key).ok_or_else(|| no_merge_key(map, key))
}

/// Puts `merged` in order: items that `wanted` names in its order, the others as in `live`, and the
/// two woven together by what `live` says about them.
pub(super) fn arrange(
    merged: List,
    wanted: &[Value],
    live: &[Value],
    key: &str,
) -> Result<List, PatchError> {
    if !key.is_empty() {
        for item in merged.iter().chain(wanted) {
            value_of(item, key)?;
        }
    }
    let wanted = Index::of(wanted, key);
    let live = Index::of(live, key);
    let (mut named, mut others): (List, List) = merged
        .into_iter()
        .partition(|item| wanted.find(item).is_some());
    named.sort_by_key(|item| wanted.find(item));
    others.sort_by_key(|item| live.find(item));
    Ok(weave(others, named, &live))
}

fn weave(others: List, named: List, live: &Index) -> List {
    let mut woven = Vec::with_capacity(others.len() + named.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        while let Some(other) = others.peek() {
            match (live.find(other), live.find(&item)) {
                (Some(left), Some(right)) if left < right => woven.extend(others.next()),
                _ => break,
            }
        }
        woven.push(item);
    }
    woven.extend(others);
    woven
}
