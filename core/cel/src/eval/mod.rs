//! Evaluation, with its cost.

mod arithmetic;
mod attribute;
mod call;
mod cost;
mod fold;
mod format;
mod kubernetes;
mod lists;
mod standard;
mod strings;
mod times;

pub(crate) use cost::{CHECK_COST, REGEX_FACTOR, STRING_FACTOR, compares_text};
pub(crate) use format::{Clause, Clauses, Piece};

use crate::activation::Activation;
use crate::error::EvalError;
use crate::plan::{Constant, Step};
use crate::value::{Key, Outcome, Value, equal};

/// What a list, a map and an object cost when they are made.
pub(crate) const LIST_COST: u64 = 10;
pub(crate) const MAP_COST: u64 = 30;

/// One evaluation.
pub(crate) struct Evaluator<'a, 'p, 'v> {
    activation: &'a Activation<'v>,
    /// Variables of loops, the innermost last.
    frames: Vec<Frame<'p, 'v>>,
    pub(crate) cost: u64,
    limit: u64,
}

struct Frame<'p, 'v> {
    name: &'p str,
    value: Outcome<'v>,
    /// Reading takes the value away, so that it can be added to in place.
    taken: bool,
}

impl<'a, 'p, 'v> Evaluator<'a, 'p, 'v> {
    pub(crate) fn new(activation: &'a Activation<'v>, limit: u64) -> Evaluator<'a, 'p, 'v> {
        Evaluator {
            activation,
            frames: Vec::new(),
            cost: 0,
            limit,
        }
    }

    /// Counts a cost.
    ///
    /// # Errors
    /// When the limit is exceeded.
    fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit {
            return Err(EvalError::Limit);
        }
        Ok(())
    }

    pub(crate) fn eval(&mut self, step: &'p Step) -> Outcome<'v> {
        match step {
            Step::Constant(constant) => Ok(constant.value()),
            Step::Attribute(attribute) => self.attribute(attribute, false),
            Step::Conditional(parts) => self.conditional(parts),
            Step::And(pair) => self.logic(pair, false),
            Step::Or(pair) => self.logic(pair, true),
            Step::Equal(pair, wanted) => self.equality(pair, *wanted),
            Step::Member(item, set) => self.member(item, set),
            Step::OptionalOr(pair) => self.optional_or(pair, false),
            Step::OptionalOrValue(pair) => self.optional_or(pair, true),
            Step::Call(function) => self.call(function),
            Step::List(items) => self.list(items),
            Step::Map(entries) => self.map(entries),
            Step::Fold(fold) => self.fold(fold),
        }
    }

    /// A branch or index: names in it cost nothing by themselves.
    fn bare(&mut self, step: &'p Step) -> Outcome<'v> {
        match step {
            Step::Attribute(attribute) => self.attribute(attribute, true),
            other => self.eval(other),
        }
    }

    fn conditional(&mut self, parts: &'p [Step; 3]) -> Outcome<'v> {
        let [condition, yes, no] = parts;
        match self.eval(condition)? {
            Value::Bool(true) => self.bare(yes),
            Value::Bool(false) => self.bare(no),
            _ => Err(EvalError::no_overload()),
        }
    }

    /// `&&` and `||`: `decisive` decides whatever the other side is, even an error.
    fn logic(&mut self, pair: &'p [Step; 2], decisive: bool) -> Outcome<'v> {
        let mut failure = None;
        for term in pair {
            match self.eval(term) {
                Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => failure = failure.or(Some(EvalError::no_overload())),
                Err(EvalError::Limit) => return Err(EvalError::Limit),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn equality(&mut self, pair: &'p [Step; 2], wanted: bool) -> Outcome<'v> {
        let left = self.eval(&pair[0]);
        let right = self.eval(&pair[1]);
        if matches!(left, Err(EvalError::Limit)) || matches!(right, Err(EvalError::Limit)) {
            return Err(EvalError::Limit);
        }
        self.charge(cost::equality(&left, &right, wanted))?;
        match equal(&left?, &right?) {
            Ok(same) => Ok(Value::Bool(same == wanted)),
            // What cannot be compared is different.
            Err(_) if !wanted => Ok(Value::Bool(true)),
            Err(error) => Err(error),
        }
    }

    fn member(&mut self, item: &'p Step, set: &'p [Constant]) -> Outcome<'v> {
        let item = self.eval(item)?;
        let found = set
            .iter()
            .any(|known| equal(&known.value(), &item) == Ok(true));
        Ok(Value::Bool(found))
    }

    fn optional_or(&mut self, pair: &'p [Step; 2], value: bool) -> Outcome<'v> {
        match self.eval(&pair[0])? {
            Value::Optional(Some(inner)) if value => Ok(inner.as_ref().clone()),
            Value::Optional(None) => self.eval(&pair[1]),
            other => Ok(other),
        }
    }

    fn list(&mut self, items: &'p [(Step, bool)]) -> Outcome<'v> {
        let mut list = Vec::with_capacity(items.len());
        let filled = self.fill_list(items, &mut list);
        self.charge(LIST_COST)?;
        filled?;
        Ok(Value::list(list))
    }

    fn fill_list(
        &mut self,
        items: &'p [(Step, bool)],
        list: &mut Vec<Value<'v>>,
    ) -> Result<(), EvalError> {
        for (step, optional) in items {
            let item = self.eval(step)?;
            match item {
                item if !optional => list.push(item),
                Value::Optional(Some(inner)) => list.push(inner.as_ref().clone()),
                Value::Optional(None) => {}
                other => {
                    return Err(EvalError::new(format!(
                        "cannot initialize optional list element from non-optional value {other}"
                    )));
                }
            }
        }
        Ok(())
    }

    fn map(&mut self, entries: &'p [(Step, Step, bool)]) -> Outcome<'v> {
        let mut map = Vec::with_capacity(entries.len());
        let filled = self.fill_map(entries, &mut map);
        self.charge(MAP_COST)?;
        filled?;
        Ok(Value::entries(map))
    }

    fn fill_map(
        &mut self,
        entries: &'p [(Step, Step, bool)],
        map: &mut Vec<(Key, Value<'v>)>,
    ) -> Result<(), EvalError> {
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = match self.eval(value)? {
                value if !optional => value,
                Value::Optional(Some(inner)) => inner.as_ref().clone(),
                Value::Optional(None) => continue,
                other => {
                    return Err(EvalError::new(format!(
                        "cannot initialize optional entry '{key}' from non-optional value {other}"
                    )));
                }
            };
            match Key::of(&key) {
                Some(key) => map.push((key, value)),
                None => {
                    let name = key.type_name();
                    return Err(EvalError::new(format!("unsupported key type: {name}")));
                }
            }
        }
        Ok(())
    }
}
