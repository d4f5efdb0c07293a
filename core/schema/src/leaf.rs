//! Values that read and write themselves: times, quantities, `IntOrString`.

use crate::types::Shape;
use crate::{gotime, quantity};
use model::Timestamp;
use serde_json::Value;

/// Why a value is none of its type.
#[derive(Debug, PartialEq)]
pub(crate) enum LeafError {
    /// Another JSON type: the word for what is there and the Go type wanted
    Type(String, &'static str),
    /// A text of its own
    Text(String),
}

impl LeafError {
    /// The text where no field is known: `json: cannot unmarshal bool into Go value of type int32`.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Type(word, go) => {
                format!("json: cannot unmarshal {word} into Go value of type {go}")
            }
            Self::Text(text) => text,
        }
    }
}

/// Brings the value of such a type into the form that Go writes; `null` is the zero value.
///
/// # Errors
/// When it is no value of the type.
pub(crate) fn canonical(shape: Shape, value: &Value) -> Result<Value, LeafError> {
    match shape {
        Shape::Time => time(value, gotime::seconds, Timestamp::rfc3339),
        Shape::MicroTime => time(value, gotime::micros, Timestamp::rfc3339_micro),
        Shape::Quantity => quantity(value),
        Shape::IntOrString => int_or_string(value),
        _ => Ok(value.clone()),
    }
}

/// What a field of such a type has when it is not set.
pub(crate) fn zero(shape: Shape) -> Value {
    match shape {
        Shape::Quantity => "0".into(),
        Shape::IntOrString => 0.into(),
        _ => Value::Null,
    }
}

fn time(
    value: &Value,
    read: fn(&str) -> Result<Timestamp, String>,
    print: fn(Timestamp) -> String,
) -> Result<Value, LeafError> {
    match value {
        Value::Null => Ok(Value::Null),
        // Go's zero time, which is written as null.
        Value::String(text) if text == "0001-01-01T00:00:00Z" => Ok(Value::Null),
        Value::String(text) => {
            let time = read(text).map_err(LeafError::Text)?;
            Ok(print(time).into())
        }
        other => Err(LeafError::Type(
            crate::json::type_word(other).to_owned(),
            "string",
        )),
    }
}

fn quantity(value: &Value) -> Result<Value, LeafError> {
    let text = match value {
        Value::Null => return Ok(zero(Shape::Quantity)),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let canonical = quantity::canonical(&text);
    let canonical = canonical.map_err(|error| LeafError::Text(error.to_string()))?;
    Ok(canonical.into())
}

fn int_or_string(value: &Value) -> Result<Value, LeafError> {
    match value {
        Value::Null => Ok(zero(Shape::IntOrString)),
        Value::String(_) => Ok(value.clone()),
        Value::Number(number) => match number.as_i64().map(i32::try_from) {
            Some(Ok(_)) => Ok(value.clone()),
            _ => Err(LeafError::Type(format!("number {number}"), "int32")),
        },
        other => Err(LeafError::Type(
            crate::json::type_word(other).to_owned(),
            "int32",
        )),
    }
}
