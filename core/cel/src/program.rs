//! Compiled expressions.

use crate::activation::Activation;
use crate::cost::CostEstimate;
use crate::decl::Decl;
use crate::env::Env;
use crate::error::{CompileError, EvalError};
use crate::types::Type;
use crate::value::Value;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    result: Type,
}

/// What an evaluation came to.
pub struct Outcome<'v> {
    /// The value, or why there is none.
    pub result: Result<Value<'v>, EvalError>,
    /// What it cost, whether it had a value or not.
    pub cost: u64,
}

impl Program {
    pub(crate) fn compile(_text: &str, _env: &Env) -> Result<Program, CompileError> {
        Ok(Program { result: Type::Bool })
    }

    /// The type of its value; callers refuse what they cannot use.
    pub fn result_type(&self) -> &Type {
        &self.result
    }

    /// Whether it reads the variable `name`.
    pub fn reads(&self, _name: &str) -> bool {
        false
    }

    /// The bounds of what an evaluation costs. `root` is the declaration that the variables have,
    /// for the sizes of values (None: nothing is known of sizes).
    pub fn estimate_cost(&self, _root: Option<&Decl>) -> CostEstimate {
        CostEstimate { min: 0, max: 0 }
    }

    /// Evaluates, and stops as soon as the cost exceeds `limit`.
    pub fn eval<'v>(&self, _values: &Activation<'v>, _limit: u64) -> Outcome<'v> {
        Outcome {
            result: Ok(Value::Bool(true)),
            cost: 1,
        }
    }
}
