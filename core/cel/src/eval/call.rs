//! Calls of functions.

use super::{Evaluator, cost};
use super::{arithmetic, kubernetes, lists, standard, strings, times};
use crate::ast::op;
use crate::error::EvalError;
use crate::plan::Function;
use crate::value::{Outcome, Value};

/// A function that is being called, with its arguments.
pub(super) struct Called<'p, 'v> {
    pub(super) function: &'p Function,
    pub(super) args: Vec<Value<'v>>,
}

impl<'p, 'v> Evaluator<'_, 'p, 'v> {
    pub(super) fn call(&mut self, function: &'p Function) -> Outcome<'v> {
        if function.name == op::NOT_STRICTLY_FALSE {
            return self.not_strictly_false(function);
        }
        let mut args = Vec::with_capacity(function.args.len());
        let mut sizes = Vec::with_capacity(function.args.len());
        let mut failure = None;
        // Two arguments are always both evaluated; of more, none after one that failed.
        let eager = function.args.len() <= 2 && function.overload.is_some();
        for arg in &function.args {
            match self.eval(arg) {
                Ok(value) => {
                    sizes.push(cost::Argument::of(&value));
                    args.push(value);
                }
                Err(EvalError::Limit) => return Err(EvalError::Limit),
                Err(error) => {
                    sizes.push(cost::Argument::failed());
                    failure = failure.or(Some(error));
                    if !eager {
                        break;
                    }
                }
            }
        }
        let complete = sizes.len() == function.args.len();
        let traversal = cost::traversal(function, &args);
        let result = match failure {
            Some(error) => Err(error),
            None => Called { function, args }.dispatch(),
        };
        if complete {
            let cost = cost::call(function, &sizes, traversal, &result);
            self.charge(cost)?;
        }
        result
    }

    /// True for everything but false, errors too.
    fn not_strictly_false(&mut self, function: &'p Function) -> Outcome<'v> {
        let result = match function.args.first().map(|arg| self.eval(arg)) {
            Some(Err(EvalError::Limit)) => return Err(EvalError::Limit),
            Some(Ok(Value::Bool(false))) => false,
            _ => true,
        };
        self.charge(1)?;
        Ok(Value::Bool(result))
    }
}

impl<'v> Called<'_, 'v> {
    fn dispatch(self) -> Outcome<'v> {
        let name = self.function.name.as_str();
        let groups = [
            arithmetic::call,
            standard::call,
            strings::call,
            times::call,
            lists::call,
            kubernetes::call,
        ];
        let mut called = self;
        for group in groups {
            match group(called) {
                Ok(result) => return result,
                Err(back) => called = back,
            }
        }
        let types: Vec<&str> = called.args.iter().map(Value::type_name).collect();
        let types = types.join(", ");
        Err(EvalError::new(format!("no such overload: {name}({types})")))
    }
}

/// A group of functions' answer: the result, or the call given back when it is none of theirs.
pub(super) type Answer<'p, 'v> = Result<Outcome<'v>, Called<'p, 'v>>;
