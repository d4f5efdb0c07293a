//! The form that an object has after Go decoded it into its struct and encoded it again.

use crate::decode::check_base64;
use crate::leaf;
use crate::types::{Field, Shape, StructId, TypeId, Types};
use serde_json::{Map, Value};

/// What to do about lists with nothing in them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// As the store does, which knows only missing ones
    Drop,
    /// As a decoded object has them, until it is stored
    Keep,
}

/// Brings `value` into normal form as the struct; what is no object becomes an empty one.
pub(crate) fn structure(types: &Types, id: StructId, value: &mut Value) {
    fields(types, id, value, Empty::Drop);
}

/// As [`structure`], but lists that are always written may be empty.
pub(crate) fn decoded(types: &Types, id: StructId, value: &mut Value) {
    fields(types, id, value, Empty::Keep);
}

fn fields(types: &Types, id: StructId, value: &mut Value, empty: Empty) {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(object) = value else { return };
    let structure = types.structure(id);
    object.retain(|key, _| structure.field(key).is_some());
    for field in &structure.fields {
        match object.get_mut(&field.name) {
            Some(value) => {
                typed(types, field.ty, value, empty);
                if leaves_out(types, field, value) {
                    object.remove(&field.name);
                }
            }
            None => {
                if let Some(zero) = zero_field(types, field) {
                    object.insert(field.name.clone(), zero);
                }
            }
        }
    }
}

/// Brings a value of a type into normal form; `null` becomes the type's zero value.
fn typed(types: &Types, ty: TypeId, value: &mut Value, empty: Empty) {
    match types.shape(ty) {
        Shape::Any | Shape::Raw | Shape::Fields => {}
        Shape::Pointer(inner) => {
            if !value.is_null() {
                typed(types, inner, value, empty);
            }
        }
        Shape::Struct(id) => fields(types, id, value, empty),
        Shape::Schema(_, props) => match value {
            Value::Object(_) => fields(types, props, value, empty),
            Value::Array(list) => {
                let schemas = list.iter_mut().filter(|item| item.is_object());
                schemas.for_each(|item| fields(types, props, item, empty));
            }
            _ => {}
        },
        // The store of the original knows no empty lists and maps, only missing ones.
        Shape::List(element) => match value {
            Value::Array(list) if !list.is_empty() => {
                list.iter_mut()
                    .for_each(|item| typed(types, element, item, empty));
            }
            Value::Array(_) if empty == Empty::Keep => {}
            _ => *value = Value::Null,
        },
        Shape::Map(element) => match value {
            Value::Object(map) if !map.is_empty() => map
                .values_mut()
                .for_each(|item| typed(types, element, item, empty)),
            _ => *value = Value::Null,
        },
        shape => plain(shape, value),
    }
}

fn plain(shape: Shape, value: &mut Value) {
    if let (Shape::Int(_), Some(number)) = (shape, whole_float(value)) {
        *value = number.into();
    }
    let fits = match shape {
        Shape::Bool => value.is_boolean(),
        Shape::Int(_) => value.is_i64(),
        Shape::Float => value.is_number(),
        Shape::String => value.is_string(),
        Shape::Bytes => value
            .as_str()
            .is_some_and(|text| check_base64(text).is_ok()),
        _ => {
            let canonical = leaf::canonical(shape, value);
            let canonical = canonical.unwrap_or_else(|_| leaf::zero(shape));
            // Most values are canonical as they are; keep their allocation.
            if canonical != *value {
                *value = canonical;
            }
            true
        }
    };
    if !fits {
        *value = zero_plain(shape);
    }
}

/// A whole number that is written with a fraction, as `3.0`.
fn whole_float(value: &Value) -> Option<i64> {
    let number = value.as_f64().filter(|_| value.is_f64())?;
    // Larger ones are no exact whole numbers.
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    whole.then_some(number as i64)
}

fn zero_plain(shape: Shape) -> Value {
    match shape {
        Shape::Bool => false.into(),
        Shape::Int(_) | Shape::Float => 0.into(),
        Shape::String | Shape::Bytes => "".into(),
        other => leaf::zero(other),
    }
}

/// Whether Go leaves out the field that has this normal value.
fn leaves_out(types: &Types, field: &Field, value: &Value) -> bool {
    match types.shape(field.ty) {
        Shape::Pointer(_) | Shape::Any => field.omitempty && value.is_null(),
        Shape::Struct(_) => field.omitzero && value.as_object().is_some_and(Map::is_empty),
        Shape::Time | Shape::MicroTime => field.omitzero && value.is_null(),
        Shape::Quantity | Shape::IntOrString | Shape::Raw | Shape::Fields => false,
        // It prints itself, whatever it is.
        Shape::Schema(..) => false,
        _ => field.omitempty && is_empty(value),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(bit) => !bit,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// What Go writes for a field that was not set; `None` when it writes nothing.
fn zero_field(types: &Types, field: &Field) -> Option<Value> {
    let shape = types.shape(field.ty);
    let zero = match shape {
        Shape::Struct(id) if !field.omitzero => {
            let mut zero = Value::Null;
            structure(types, id, &mut zero);
            return Some(zero);
        }
        Shape::Struct(_) => return None,
        Shape::Quantity | Shape::IntOrString | Shape::Raw | Shape::Fields => leaf::zero(shape),
        Shape::Time | Shape::MicroTime if field.omitzero => return None,
        Shape::Time | Shape::MicroTime => Value::Null,
        _ if field.omitempty => return None,
        Shape::Pointer(_) | Shape::List(_) | Shape::Map(_) | Shape::Any | Shape::Schema(..) => {
            Value::Null
        }
        _ => zero_plain(shape),
    };
    Some(zero)
}

#[cfg(test)]
mod tests;
