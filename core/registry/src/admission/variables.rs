//! The values that expressions read, variables of the policy computed when they are first read.

use super::compiled::{Expression, Policy};
use cel::{Activation, EvalError, Fields, PER_CALL_LIMIT, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

type Outcome<'v> = Result<Value<'v>, EvalError>;

/// What all expressions of one question read.
#[derive(Clone)]
pub(super) struct Inputs<'v> {
    pub(super) values: Vec<(&'static str, Value<'v>)>,
}

/// The variables of a policy, for one round of expressions.
pub(super) struct Variables<'v> {
    policy: &'v Policy,
    inputs: Inputs<'v>,
    known: RefCell<BTreeMap<String, Option<Outcome<'v>>>>,
    cost: Cell<u64>,
    me: Weak<Variables<'v>>,
}

impl<'v> Variables<'v> {
    pub(super) fn new(policy: &'v Policy, inputs: Inputs<'v>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            policy,
            inputs,
            known: RefCell::new(BTreeMap::new()),
            cost: Cell::new(0),
            me: me.clone(),
        })
    }

    /// The values for an expression.
    pub(super) fn activation(&self) -> Activation<'v> {
        let values = self.inputs.values.iter();
        let base = values.fold(Activation::new(), |activation, (name, value)| {
            activation.bind(name, Ok(value.clone()))
        });
        match self.me.upgrade() {
            Some(me) if !self.policy.variables.is_empty() => base.bind_fields("variables", me),
            _ => base,
        }
    }

    /// What computing variables cost since this was last asked.
    pub(super) fn take_cost(&self) -> u64 {
        self.cost.take()
    }

    fn compute(&self, name: &str, expression: &Expression) -> Outcome<'v> {
        let program = match &expression.program {
            Ok(program) => program,
            Err(why) => {
                let text = format!("composited variable {name:?} fails to compile: {why}");
                return Err(EvalError::from(text));
            }
        };
        let outcome = program.eval(&self.activation(), PER_CALL_LIMIT);
        self.cost.set(self.cost.get().saturating_add(outcome.cost));
        outcome.result.map_err(|error| {
            let text = format!("composited variable {name:?} fails to evaluate: {error}");
            EvalError::from(text)
        })
    }
}

impl<'v> Fields<'v> for Variables<'v> {
    fn field(&self, name: &str) -> Option<Outcome<'v>> {
        if let Some(known) = self.known.borrow().get(name) {
            // One that is being computed cannot be read.
            return known.clone();
        }
        let mut variables = self.policy.variables.iter();
        let (_, expression) = variables.find(|(known, _)| known == name)?;
        self.known.borrow_mut().insert(name.to_owned(), None);
        let outcome = self.compute(name, expression);
        let known = Some(outcome.clone());
        self.known.borrow_mut().insert(name.to_owned(), known);
        Some(outcome)
    }

    fn len(&self) -> usize {
        self.policy.variables.len()
    }
}
