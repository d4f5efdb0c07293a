//! Compiled expressions.

use crate::activation::Activation;
use crate::ast::{Ast, Kind};
use crate::check::{Checked, Reference, check, validate};
use crate::cost::{self, CostEstimate};
use crate::decl::Decl;
use crate::env::Env;
use crate::error::{CompileError, EvalError};
use crate::eval::Evaluator;
use crate::plan::{Step, plan};
use crate::source::Issues;
use crate::syntax::parse;
use crate::types::Type;
use crate::value::Value;
use std::sync::Arc;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    ast: Ast,
    checked: Checked,
    step: Result<Step, EvalError>,
}

/// What an evaluation came to.
pub struct Outcome<'v> {
    /// The value, or why there is none.
    pub result: Result<Value<'v>, EvalError>,
    /// What it cost, whether it had a value or not.
    pub cost: u64,
}

impl Program {
    pub(crate) fn compile(text: &str, env: &Env) -> Result<Program, CompileError> {
        let mut issues = Issues::new(text);
        let Some(mut ast) = parse(text, &mut issues) else {
            return Err(issues.into_error());
        };
        let checked = check(&mut ast, env, &mut issues);
        if issues.is_empty() {
            validate(&ast, &checked, &mut issues);
        }
        if !issues.is_empty() {
            return Err(issues.into_error());
        }
        let step = plan(&ast.root, &checked);
        Ok(Program {
            inner: Arc::new(Inner { ast, checked, step }),
        })
    }

    /// The type of its value; callers refuse what they cannot use.
    pub fn result_type(&self) -> &Type {
        &self.inner.checked.types[self.inner.ast.root.id]
    }

    /// Why it cannot be evaluated although it is well typed: a constant that cannot be computed,
    /// a regular expression that is none. The API server says `program instantiation failed: …`.
    pub fn instantiation_error(&self) -> Option<&EvalError> {
        self.inner.step.as_ref().err()
    }

    /// Whether it reads the variable `name`.
    pub fn reads(&self, name: &str) -> bool {
        let mut found = false;
        self.inner.ast.root.walk(&mut |expr| {
            let variable = matches!(
                &self.inner.checked.references[expr.id],
                Some(Reference::Variable(known)) if known == name
            );
            found |= variable && matches!(expr.kind, Kind::Ident(_));
        });
        found
    }

    /// The bounds of what an evaluation costs. `root` is the declaration that the variables have,
    /// for the sizes of values (None: nothing is known of sizes).
    pub fn estimate_cost(&self, root: Option<&Decl>) -> CostEstimate {
        cost::estimate(&self.inner.ast.root, &self.inner.checked, root)
    }

    /// Evaluates, and stops as soon as the cost exceeds `limit`.
    pub fn eval<'v>(&self, values: &Activation<'v>, limit: u64) -> Outcome<'v> {
        let mut evaluator = Evaluator::new(values, limit);
        let result = match &self.inner.step {
            Ok(step) => evaluator.eval(step),
            Err(error) => Err(error.clone()),
        };
        Outcome {
            result,
            cost: evaluator.cost,
        }
    }
}
