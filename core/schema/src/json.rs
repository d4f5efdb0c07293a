//! JSON as Go's `encoding/json` reads it, with its error texts.

use crate::DecodeError;
use serde_json::Value;

/// Parses any JSON text.
///
/// # Errors
/// Go's text, e.g. `unexpected end of JSON input`.
pub fn parse(text: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(text).map_err(|error| DecodeError::new(error.to_string()))
}

/// The word for a value in Go's `cannot unmarshal … into`: `object`, `array`, `string`, `number`,
/// `bool`; `null` for null, which Go accepts everywhere.
pub fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
