//! Merging two lists, as sets of primitive values or by the value of a key.

use super::order::{Index, arrange};
use super::print::go_value;
use super::{LIST_OF_LISTS, List, Merger, Meta, Object, PATCH};
use super::{error, no_merge_key, unknown_directive};
use crate::PatchError;
use serde_json::Value;

impl Merger<'_> {
    /// Merges `patch` into `original`.
    pub(super) fn list(
        &self,
        original: List,
        patch: List,
        meta: &Meta,
    ) -> Result<List, PatchError> {
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        if element_type(&[&original, &patch])? != "map" {
            let live = original.clone();
            let mut merged = original;
            merged.extend(patch.iter().cloned());
            return arrange(deduplicated(merged), &patch, &live, "");
        }
        if meta.key.is_empty() {
            let kind = match meta.level {
                super::Level::Struct(_) => "struct",
                super::Level::Other(shape) => super::kind_word(shape),
            };
            return Err(error(
                500,
                format!("cannot merge lists without merge key for {kind}"),
            ));
        }
        let (original, patch) = directives(original, patch, &meta.key)?;
        let live = original.clone();
        let merged = self.by_key(original, patch.clone(), meta)?;
        arrange(merged, &patch, &live, &meta.key)
    }

    fn by_key(&self, original: List, patch: List, meta: &Meta) -> Result<List, PatchError> {
        let mut merged = original;
        let mut index = Index::of(&merged, &meta.key);
        for item in patch {
            let Value::Object(new) = item else { continue };
            if !new.contains_key(&meta.key) {
                return Err(no_merge_key(&new, &meta.key));
            }
            let item = Value::Object(new);
            let place = index.find(&item);
            match (place.and_then(|place| merged.get_mut(place)), item) {
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let old_map = std::mem::take(old);
                    *old = self.map(old_map, new, meta.level)?;
                }
                (_, item) => {
                    index.add(&item, merged.len());
                    merged.push(item);
                }
            }
        }
        Ok(merged)
    }
}

/// Carries out the items of the patch that are directives; answers the list and the other items.
fn directives(original: List, patch: List, key: &str) -> Result<(List, List), PatchError> {
    let mut original = original;
    let mut rest = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let Value::Object(map) = &item else { continue };
        match map.get(PATCH).map(Value::as_str) {
            None => rest.push(item),
            Some(Some("delete")) => {
                let gone = map.get(key).ok_or_else(|| no_merge_key(map, key))?;
                original.retain(|old| old.get(key) != Some(gone));
            }
            Some(Some("replace")) => replace = true,
            Some(Some("merge")) => {
                return Err(error(
                    500,
                    "merging lists cannot yet be specified in the patch",
                ));
            }
            Some(_) => return Err(unknown(map)),
        }
    }
    Ok(if replace {
        (rest, Vec::new())
    } else {
        (original, rest)
    })
}

fn unknown(map: &Object) -> PatchError {
    let mut map = map.clone();
    let directive = map.remove(PATCH).unwrap_or(Value::Null);
    unknown_directive(&directive, map)
}

/// The one type of all items: `map`, or another word.
pub(super) fn element_type(lists: &[&[Value]]) -> Result<&'static str, PatchError> {
    let mut found: Option<&'static str> = None;
    for item in lists.iter().copied().flatten() {
        let word = match item {
            Value::Object(_) => "map",
            Value::Array(_) => return Err(error(422, LIST_OF_LISTS)),
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_i64() => "int64",
            Value::Number(_) => "float64",
            Value::Null => "nil",
        };
        if found.is_some_and(|known| known != word) {
            let all = Value::Array(lists.iter().map(|list| list.to_vec().into()).collect());
            let text = go_value(&all);
            return Err(error(
                500,
                format!("list element types are not identical: {text}"),
            ));
        }
        found = Some(word);
    }
    found.ok_or_else(|| error(500, "no elements in any of the given slices"))
}

/// Drops items that are there already.
fn deduplicated(list: List) -> List {
    let index = Index::of_items(&list);
    let mut place = 0;
    let keep = list.into_iter().filter(|item| {
        place += 1;
        index.find(item) == Some(place - 1)
    });
    keep.collect()
}
