//! JSON as Go's `encoding/json` reads it, with its error texts.
//!
//! A text is checked as a whole first ([`check`]); reading then walks over text that is known to be
//! well-formed. Invalid UTF-8 and lone surrogates become U+FFFD, as in Go.

mod cursor;
mod repeated;
mod scan;

pub(crate) use cursor::{Cursor, number};
pub use repeated::repeated_keys;
pub use scan::check;

use crate::DecodeError;
use serde_json::Value;

/// Parses any JSON text; of equal keys the last one counts.
///
/// # Errors
/// Go's text, e.g. `unexpected end of JSON input`, and `exceeded max depth` for more levels than
/// can be stored.
pub fn parse(text: &[u8]) -> Result<Value, DecodeError> {
    check(text)?;
    Ok(Cursor::new(text).value()?)
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

#[cfg(test)]
mod tests;
