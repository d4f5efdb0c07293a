//! Loops.

use super::{Evaluator, Frame};
use crate::error::EvalError;
use crate::plan::Fold;
use crate::value::{Outcome, Value};

/// The values of a loop's variables in one round.
type Round<'v> = (Outcome<'v>, Option<Outcome<'v>>);

impl<'p, 'v> Evaluator<'_, 'p, 'v> {
    pub(super) fn fold(&mut self, fold: &'p Fold) -> Outcome<'v> {
        let range = self.eval(&fold.range)?;
        let rounds = rounds(range, fold.var2.is_some())?;
        let accumulated = self.eval(&fold.init);
        if matches!(accumulated, Err(EvalError::Limit)) {
            return accumulated;
        }
        let depth = self.frames.len();
        self.frames.push(Frame {
            name: &fold.accumulator,
            value: accumulated,
            taken: false,
        });
        let result = self.rounds(fold, depth, rounds);
        let result = match result {
            Err(EvalError::Limit) => Err(EvalError::Limit),
            _ => self.eval(&fold.result),
        };
        self.frames.truncate(depth);
        result
    }

    fn rounds(
        &mut self,
        fold: &'p Fold,
        depth: usize,
        rounds: Vec<Round<'v>>,
    ) -> Result<(), EvalError> {
        for (first, second) in rounds {
            self.frames.truncate(depth + 1);
            self.bind(&fold.var, first);
            if let (Some(var2), Some(second)) = (&fold.var2, second) {
                self.bind(var2, second);
            }
            match self.eval(&fold.condition) {
                Err(EvalError::Limit) => return Err(EvalError::Limit),
                Ok(Value::Bool(false)) => break,
                _ => {}
            }
            self.frames[depth].taken = fold.grows;
            let next = self.eval(&fold.step);
            if matches!(next, Err(EvalError::Limit)) {
                return Err(EvalError::Limit);
            }
            self.frames[depth].taken = false;
            self.frames[depth].value = next;
        }
        self.frames.truncate(depth + 1);
        Ok(())
    }

    fn bind(&mut self, name: &'p str, value: Outcome<'v>) {
        self.frames.push(Frame {
            name,
            value,
            taken: false,
        });
    }
}

fn rounds(range: Value<'_>, two: bool) -> Result<Vec<Round<'_>>, EvalError> {
    match range {
        Value::List(list) if two => {
            let indexed = list.iter().enumerate();
            let index = |at: usize| Ok(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
            Ok(indexed.map(|(at, item)| (index(at), Some(item))).collect())
        }
        Value::List(list) => Ok(list.iter().map(|item| (item, None)).collect()),
        Value::Map(map) if two => {
            let entries = map.entries().into_iter();
            Ok(entries.map(|(key, value)| (Ok(key), Some(value))).collect())
        }
        Value::Map(map) => Ok(map.keys().into_iter().map(|key| (Ok(key), None)).collect()),
        other if two => {
            let name = other.type_name();
            Err(EvalError::new(format!(
                "unsupported comprehension range type: {name}"
            )))
        }
        other => {
            let name = other.type_name();
            Err(EvalError::new(format!(
                "got '{name}', expected iterable type"
            )))
        }
    }
}
