//! Strategic merge patches, as kube-apiserver applies them
//! (`apimachinery/pkg/util/strategicpatch`).
//!
//! A patch is merged field by field; what the schema says about a list decides whether it is
//! replaced, merged by a key or merged as a set. Directives in the patch change that:
//! `$patch` (replace, delete), `$retainKeys`, `$deleteFromPrimitiveList/X`, `$setElementOrder/X`.

mod list;
mod order;
mod print;

use crate::PatchError;
use crate::types::{Shape, StructId, TypeId, Types};
use print::{go_value, type_name};
use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

const BAD_PRIMITIVE_LIST: &str = "invalid patch format of primitive list";
const BAD_RETAIN_KEYS: &str = "invalid patch format of retainKeys";
const BAD_ORDER_LIST: &str = "invalid patch format of setElementOrder list";
const LIST_OF_LISTS: &str = "lists of lists are not supported";

/// Applies `patch` to `original`, both objects of the struct.
pub(crate) fn apply(
    types: &Types,
    structure: StructId,
    original: Value,
    patch: Value,
) -> Result<Value, PatchError> {
    let bad = || error(400, "invalid JSON document");
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else {
        return Err(bad());
    };
    let merged = Merger { types }.map(original, patch, Level::Struct(structure))?;
    Ok(Value::Object(merged))
}

/// Where in the types a map stands.
#[derive(Clone, Copy)]
enum Level {
    Struct(StructId),
    /// Something else of this shape
    Other(Shape),
}

/// What the schema says about a field that both sides have.
struct Meta {
    level: Level,
    /// Lists are merged, not replaced
    merge: bool,
    /// Empty for lists of primitive values
    key: String,
}

struct Merger<'a> {
    types: &'a Types,
}

type Object = Map<String, Value>;
type List = Vec<Value>;

impl Merger<'_> {
    fn map(
        &self,
        mut original: Object,
        mut patch: Object,
        level: Level,
    ) -> Result<Object, PatchError> {
        if let Some(directive) = patch.remove(PATCH) {
            return match directive.as_str() {
                Some("replace") => Ok(patch),
                Some("delete") => Ok(Object::new()),
                _ => Err(unknown_directive(&directive, patch)),
            };
        }
        retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, level)?;
        for (key, value) in patch {
            match key.strip_prefix(DELETE_FROM) {
                Some(rest) => {
                    let list = rest.strip_prefix('/');
                    let list = list.ok_or_else(|| error(400, BAD_PRIMITIVE_LIST))?;
                    self.delete_from(&mut original, list, value, level)?;
                }
                None => self.field(&mut original, key, value, level)?,
            }
        }
        Ok(original)
    }

    /// One field of the patch.
    fn field(
        &self,
        original: &mut Object,
        key: String,
        patch: Value,
        level: Level,
    ) -> Result<(), PatchError> {
        if patch.is_null() {
            original.remove(&key);
            return Ok(());
        }
        let merged = match (original.remove(&key), patch) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let meta = self.meta(level, &key)?;
                Some(Value::Object(self.map(old, new, meta.level)?))
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let meta = self.list_meta(level, &key)?;
                let merged = if meta.merge {
                    self.list(old, new, &meta)?
                } else {
                    new
                };
                Some(Value::Array(merged))
            }
            (_, new) => without_directives(without_nulls(new)),
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
        Ok(())
    }

    fn delete_from(
        &self,
        original: &mut Object,
        key: &str,
        gone: Value,
        level: Level,
    ) -> Result<(), PatchError> {
        if gone.is_null() {
            original.remove(key);
            return Ok(());
        }
        let (Some(Value::Array(list)), Value::Array(gone)) = (original.get_mut(key), gone) else {
            return Ok(());
        };
        let meta = self.list_meta(level, key)?;
        if list.is_empty() && gone.is_empty() {
            return Ok(());
        }
        if list::element_type(&[list, &gone])? == "map" {
            let merged = self.list(std::mem::take(list), gone, &meta)?;
            *list = merged;
        } else {
            let gone = order::Index::of_items(&gone);
            list.retain(|item| gone.find(item).is_none());
        }
        Ok(())
    }

    /// What the schema says about the field `key` at a level.
    fn meta(&self, level: Level, key: &str) -> Result<Meta, PatchError> {
        let id = match level {
            Level::Struct(id) => id,
            Level::Other(shape) => {
                let kind = kind_word(shape);
                return Err(error(
                    500,
                    format!(
                        "merging an object in json but data type is not struct, instead is: {kind}"
                    ),
                ));
            }
        };
        let structure = self.types.structure(id);
        let Some(field) = structure.field(key) else {
            let name = structure.short_name();
            return Err(error(
                500,
                format!(
                    "unable to find api field in struct {name} for the json field {}",
                    model::go_quote(key)
                ),
            ));
        };
        Ok(Meta {
            level: self.level(field.ty),
            merge: field.merge,
            key: field.merge_key.clone(),
        })
    }

    /// As `meta`; the level is that of the list's elements.
    fn list_meta(&self, level: Level, key: &str) -> Result<Meta, PatchError> {
        let mut meta = self.meta(level, key)?;
        let element = match meta.level {
            Level::Other(Shape::List(element)) => element,
            Level::Other(Shape::Bytes) => {
                meta.level = Level::Other(Shape::Int(8));
                return Ok(meta);
            }
            _ => {
                let message = "expected slice or array type, but got: struct";
                return Err(error(500, message));
            }
        };
        meta.level = self.level(element);
        Ok(meta)
    }

    fn level(&self, ty: TypeId) -> Level {
        match self.types.pointee(ty).1 {
            Shape::Struct(id) => Level::Struct(id),
            other => Level::Other(other),
        }
    }
}

/// Go's kind of a value with this shape; those that read themselves are structs.
fn kind_word(shape: Shape) -> &'static str {
    match shape {
        Shape::Map(_) => "map",
        Shape::List(_) | Shape::Bytes => "slice",
        Shape::String => "string",
        Shape::Bool => "bool",
        Shape::Int(_) => "int32",
        Shape::Any => "interface",
        _ => "struct",
    }
}

/// Drops what the patch's `$retainKeys` does not name.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(keep) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(keep) = keep else {
        return Err(error(400, BAD_RETAIN_KEYS));
    };
    let keeps = |key: &str| keep.iter().any(|kept| kept.as_str() == Some(key));
    for (key, value) in patch.iter() {
        let directive = key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
        if !value.is_null() && !directive && !keeps(key) {
            return Err(error(400, BAD_RETAIN_KEYS));
        }
    }
    original.retain(|key, _| keeps(key));
    Ok(())
}

/// Drops the nulls inside maps, at any depth.
fn without_nulls(mut value: Value) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|_, value| !value.is_null());
                map.values_mut().for_each(clean);
            }
            Value::Array(list) => list.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut value);
    value
}

/// Drops maps with a `$patch`, at any depth; `None` when it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    Some(match value {
        Value::Object(map) if map.contains_key(PATCH) => return None,
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter_map(|(k, v)| Some((k, without_directives(v)?)));
            Value::Object(kept.collect())
        }
        Value::Array(list) => list.into_iter().filter_map(without_directives).collect(),
        other => other,
    })
}

fn unknown_directive(directive: &Value, mut patch: Object) -> PatchError {
    patch.insert(PATCH.to_owned(), directive.clone());
    let map = go_value(&Value::Object(patch));
    let printed = match directive {
        Value::String(text) => text.clone(),
        // Go's %s of something else.
        other => format!("%!s({}={})", type_name(other), go_value(other)),
    };
    error(500, format!("unknown patch type: {printed} in map: {map}"))
}

fn no_merge_key(item: &Object, key: &str) -> PatchError {
    let map = go_value(&Value::Object(item.clone()));
    error(
        500,
        format!("map: {map} does not contain declared merge key: {key}"),
    )
}

fn wrong_argument(expected: &str, value: &Value) -> PatchError {
    error(
        500,
        format!("expected a {expected}, but received a {}", type_name(value)),
    )
}

fn error(code: u16, message: impl Into<String>) -> PatchError {
    PatchError {
        code,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
