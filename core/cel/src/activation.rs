//! The values that an evaluation reads.

use crate::error::EvalError;
use crate::value::Value;
use std::rc::Rc;

/// The values of an environment's variables, for one evaluation.
///
/// A value may be an error, which is told when an expression reads it.
#[derive(Clone, Default)]
pub struct Activation<'v> {
    values: Vec<(&'v str, Result<Value<'v>, EvalError>)>,
}

/// An object whose fields are computed when they are first read, as the `variables` of an
/// admission policy are.
pub trait Fields<'v> {
    /// The field `name`: None when there is no such field.
    fn field(&self, name: &str) -> Option<Result<Value<'v>, EvalError>>;
    /// The number of fields.
    fn len(&self) -> usize;
    /// Whether there is no field.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'v> Activation<'v> {
    /// Without values.
    pub fn new() -> Activation<'v> {
        Activation::default()
    }

    /// With `value` for the variable `name`.
    pub fn bind(mut self, name: &'v str, value: Result<Value<'v>, EvalError>) -> Activation<'v> {
        self.values.push((name, value));
        self
    }

    /// With an object that computes its fields for the variable `name`.
    pub fn bind_fields(self, name: &'v str, fields: Rc<dyn Fields<'v> + 'v>) -> Activation<'v> {
        self.bind(name, Ok(Value::from_fields(fields)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Result<Value<'v>, EvalError>> {
        let mut found = self.values.iter().rev().filter(|(n, _)| *n == name);
        found.next().map(|(_, value)| value)
    }
}
