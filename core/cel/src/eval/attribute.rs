//! Variables and what is selected from them.

use super::Evaluator;
use crate::error::EvalError;
use crate::plan::{Attribute, Base, Qualifier, Step};
use crate::value::{Outcome, Value};

/// What came of one selection.
enum Selected<'v> {
    Value(Value<'v>),
    Absent,
}

impl<'p, 'v> Evaluator<'_, 'p, 'v> {
    /// `bare`: as a branch or index, where the name costs nothing by itself.
    pub(super) fn attribute(&mut self, of: &'p Attribute, bare: bool) -> Outcome<'v> {
        let result = self.resolve(of);
        if matches!(result, Err(EvalError::Limit)) {
            return result;
        }
        let conditional = matches!(of.base, Base::Step(Step::Conditional(_)));
        if conditional && of.test {
            self.cost = self.cost.saturating_sub(1);
        }
        if !bare && !conditional && !of.test {
            self.charge(1)?;
        }
        result
    }

    fn resolve(&mut self, of: &'p Attribute) -> Outcome<'v> {
        let base = match &of.base {
            Base::Variable(name) => self.variable(name)?,
            Base::Step(step) => self.eval(step)?,
        };
        let (mut value, mut optional) = match base {
            Value::Optional(None) if !of.qualifiers.is_empty() => {
                return Ok(if of.test {
                    Value::Bool(false)
                } else {
                    Value::none()
                });
            }
            Value::Optional(Some(inner)) if !of.qualifiers.is_empty() => {
                (inner.as_ref().clone(), true)
            }
            other => (other, false),
        };
        let last = of.qualifiers.len();
        for (at, qualifier) in of.qualifiers.iter().enumerate() {
            optional |= qualifier.optional;
            let test = of.test && at + 1 == last;
            match self.qualify(value, qualifier, optional || test, test)? {
                Selected::Absent if test => return Ok(Value::Bool(false)),
                Selected::Absent => {
                    return Ok(if of.test {
                        Value::Bool(false)
                    } else {
                        Value::none()
                    });
                }
                Selected::Value(_) if test => return Ok(Value::Bool(true)),
                Selected::Value(next) => value = next,
            }
        }
        Ok(if optional { Value::some(value) } else { value })
    }

    fn variable(&mut self, name: &str) -> Outcome<'v> {
        let mut frames = self.frames.iter_mut().rev();
        if let Some(frame) = frames.find(|frame| frame.name == name) {
            if frame.taken {
                let gone = Err(EvalError::no_overload());
                return std::mem::replace(&mut frame.value, gone);
            }
            return frame.value.clone();
        }
        match self.activation.get(name) {
            Some(value) => value.clone(),
            None => Err(EvalError::new(format!("no such attribute(s): {name}"))),
        }
    }

    /// Selects; `lenient` lets what is not there be absent.
    fn qualify(
        &mut self,
        value: Value<'v>,
        by: &'p Qualifier,
        lenient: bool,
        test: bool,
    ) -> Result<Selected<'v>, EvalError> {
        let key = match self.bare(&by.by) {
            Ok(key) => key,
            Err(EvalError::Limit) => return Err(EvalError::Limit),
            Err(error) => {
                self.charge(u64::from(!lenient || test))?;
                return Err(error);
            }
        };
        let selected = select(&value, &key, lenient);
        // What is optional and absent costs nothing.
        if !matches!(selected, Ok(Selected::Absent)) || test {
            self.charge(1)?;
        }
        selected
    }
}

fn select<'v>(
    value: &Value<'v>,
    key: &Value<'v>,
    lenient: bool,
) -> Result<Selected<'v>, EvalError> {
    let found = match value {
        Value::Map(map) => map.find(key)?,
        Value::List(list) => {
            let index = position(key)?;
            let item = usize::try_from(index)
                .ok()
                .and_then(|index| list.get(index));
            match item {
                Some(item) => Some(item?),
                None if lenient => None,
                None => return Err(EvalError::new(format!("index out of bounds: {key}"))),
            }
        }
        _ => None,
    };
    match found {
        Some(value) => Ok(Selected::Value(value)),
        None if lenient => Ok(Selected::Absent),
        None => Err(EvalError::new(format!("no such key: {key}"))),
    }
}

fn position(key: &Value<'_>) -> Result<i64, EvalError> {
    let bad = || EvalError::new(format!("unsupported index value {key} in list"));
    match key {
        Value::Int(index) => Ok(*index),
        Value::Uint(index) => i64::try_from(*index).map_err(|_| bad()),
        Value::Double(index) if index.fract() == 0.0 && index.abs() < 9e15 => Ok(*index as i64),
        Value::Double(_) => Err(bad()),
        other => {
            let name = other.type_name();
            Err(EvalError::new(format!(
                "unsupported index type '{name}' in list"
            )))
        }
    }
}
