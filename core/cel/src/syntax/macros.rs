//! Macros: calls that stand for loops and presence tests.

use super::node::{member_call, plain_call};
use super::parser::Parser;
use crate::ast::{ACCUMULATOR, Comprehension, Element, Expr, Id, Kind, Literal, Select, op};

/// What was not expanded, as it came.
type Left = (Option<Expr>, Vec<Expr>);

/// Where a macro's arguments are wrong, and why.
type Mistake = (Id, String);

/// A loop's parts that differ.
struct Loop {
    init: Expr,
    condition: Expr,
    step: Expr,
    result: Expr,
}

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

impl Parser<'_, '_, '_> {
    /// The expansion of a call, or the call's parts when it is no macro.
    pub(super) fn expand(
        &mut self,
        id: Id,
        function: &str,
        target: Option<Expr>,
        args: Vec<Expr>,
    ) -> Result<Expr, Left> {
        let count = args.len();
        let expanded = match (function, count, target) {
            ("has", 1, None) => self.has(id, args),
            ("optMap" | "optFlatMap", 2, Some(target)) => {
                self.optional_map(id, function, target, args)
            }
            ("sortBy", 2, Some(target)) => self.sort_by(id, target, args),
            (name, _, Some(target)) => {
                return match self.looping(id, name, target, args) {
                    Ok(expanded) => Ok(self.settled(expanded)),
                    Err(left) => Err(left),
                };
            }
            (_, _, None) => return Err((None, args)),
        };
        Ok(self.settled(expanded))
    }

    fn settled(&mut self, expanded: Result<Expr, Mistake>) -> Expr {
        expanded.unwrap_or_else(|(at, message)| {
            let offset = self.offsets[at];
            self.mistake(offset, message)
        })
    }

    /// A new node at the place of the call `id`.
    fn made(&mut self, id: Id, kind: Kind) -> Expr {
        let offset = self.offsets[id];
        Expr::new(self.id_of(offset), kind)
    }

    fn made_call(&mut self, id: Id, function: &str, args: Vec<Expr>) -> Expr {
        let offset = self.offsets[id];
        plain_call(self.id_of(offset), function, args)
    }

    fn accumulated(&mut self, id: Id) -> Expr {
        self.made(id, Kind::Ident(ACCUMULATOR.to_owned()))
    }

    fn value(&mut self, id: Id, literal: Literal) -> Expr {
        self.made(id, Kind::Literal(literal))
    }

    fn has(&mut self, id: Id, args: Vec<Expr>) -> Result<Expr, Mistake> {
        let arg = only(args);
        match arg.kind {
            Kind::Select(select) => {
                let test = Select {
                    test: true,
                    ..*select
                };
                Ok(self.made(id, Kind::Select(Box::new(test))))
            }
            _ => Err((arg.id, "invalid argument to has() macro".to_owned())),
        }
    }

    /// `name` stands for `init` in `result`.
    fn binding(&mut self, id: Id, name: String, init: Expr, result: Expr) -> Expr {
        let range = self.made(id, Kind::List(Vec::new()));
        let condition = self.value(id, Literal::Bool(false));
        let step = self.made(id, Kind::Ident(name.clone()));
        let bind = Comprehension {
            range,
            var: "#unused".to_owned(),
            var2: None,
            accumulator: name,
            init,
            condition,
            step,
            result,
        };
        self.made(id, Kind::Comprehension(Box::new(bind)))
    }

    fn optional_map(
        &mut self,
        id: Id,
        function: &str,
        target: Expr,
        args: Vec<Expr>,
    ) -> Result<Expr, Mistake> {
        let mut args = args.into_iter();
        let (Some(var), Some(inner)) = (args.next(), args.next()) else {
            return Err((id, String::new()));
        };
        let Kind::Ident(name) = var.kind else {
            let message = format!("{function}() variable name must be a simple identifier");
            return Err((var.id, message));
        };
        let copy = self.copied(&target);
        let offset = self.offsets[id];
        let present = member_call(self.id_of(offset), "hasValue", target, Vec::new());
        let value = member_call(self.id_of(offset), "value", copy, Vec::new());
        let mut mapped = self.binding(id, name, value, inner);
        if function == "optMap" {
            mapped = self.made_call(id, "optional.of", vec![mapped]);
        }
        let none = self.made_call(id, "optional.none", Vec::new());
        Ok(self.made_call(id, op::CONDITIONAL, vec![present, mapped, none]))
    }

    /// The target, sorted by what the arguments make of each item.
    fn sort_by(&mut self, id: Id, target: Expr, args: Vec<Expr>) -> Result<Expr, Mistake> {
        const INPUT: &str = "@__sortBy_input__";
        if matches!(
            target.kind,
            Kind::Literal(_) | Kind::Map(_) | Kind::Struct(_)
        ) {
            let message = "sortBy can only be applied to a list, identifier, comprehension, \
                           call or select expression";
            return Err((target.id, message.to_owned()));
        }
        let range = self.made(id, Kind::Ident(INPUT.to_owned()));
        let keys = match self.looping(id, "map", range, args) {
            Ok(keys) => keys?,
            Err(_) => return Err((id, String::new())),
        };
        let list = self.made(id, Kind::Ident(INPUT.to_owned()));
        let offset = self.offsets[id];
        let sorter = "@sortByAssociatedKeys";
        let sorted = member_call(self.id_of(offset), sorter, list, vec![keys]);
        Ok(self.binding(id, INPUT.to_owned(), target, sorted))
    }

    /// The same expression with Ids of its own.
    fn copied(&mut self, expr: &Expr) -> Expr {
        let mut copy = expr.clone();
        self.renumber(&mut copy);
        copy
    }

    fn renumber(&mut self, expr: &mut Expr) {
        let offset = self.offsets[expr.id];
        expr.id = self.id_of(offset);
        match &mut expr.kind {
            Kind::Unspecified | Kind::Literal(_) | Kind::Ident(_) => {}
            Kind::Select(select) => self.renumber(&mut select.operand),
            Kind::Call(call) => {
                call.target.iter_mut().for_each(|e| self.renumber(e));
                call.args.iter_mut().for_each(|e| self.renumber(e));
            }
            Kind::List(elements) => elements
                .iter_mut()
                .for_each(|e| self.renumber(&mut e.value)),
            Kind::Map(entries) => entries.iter_mut().for_each(|e| {
                self.renumber(&mut e.key);
                self.renumber(&mut e.value);
            }),
            Kind::Struct(object) => {
                for field in &mut object.fields {
                    let offset = self.offsets[field.id];
                    field.id = self.id_of(offset);
                    self.renumber(&mut field.value);
                }
            }
            Kind::Comprehension(c) => {
                for part in [&mut c.range, &mut c.init, &mut c.condition, &mut c.step] {
                    self.renumber(part);
                }
                self.renumber(&mut c.result);
            }
        }
    }

    /// The macros that loop over their target, or the parts when `name` is none of them.
    fn looping(
        &mut self,
        id: Id,
        name: &str,
        target: Expr,
        mut args: Vec<Expr>,
    ) -> Result<Result<Expr, Mistake>, Left> {
        let quantifier = match name {
            "all" => Some(Quantifier::All),
            "exists" => Some(Quantifier::Exists),
            "exists_one" | "existsOne" => Some(Quantifier::ExistsOne),
            _ => None,
        };
        let two = match (name, args.len()) {
            ("all" | "exists" | "exists_one" | "existsOne", 3) => true,
            ("transformList" | "transformMap", 3 | 4) => true,
            ("transformMapEntry", 3 | 4) => true,
            ("all" | "exists" | "exists_one" | "existsOne" | "filter", 2) => false,
            ("map", 2 | 3) => false,
            _ => return Err((Some(target), args)),
        };
        let vars: Vec<Expr> = args.drain(..if two { 2 } else { 1 }).collect();
        let simple = quantifier.is_some() || two;
        let names = match variables(&vars, simple) {
            Ok(names) => names,
            Err(mistake) => return Ok(Err(mistake)),
        };
        let parts = match quantifier {
            Some(quantifier) => self.quantified(id, quantifier, only(args)),
            None if name == "filter" => {
                let item = vars.into_iter().next();
                let item = item.unwrap_or(Expr::new(0, Kind::Unspecified));
                self.collected(id, Some(only(args)), item)
            }
            None if name.starts_with("transformMap") => self.inserted(id, name, &names, args),
            None => {
                let transform = args.pop();
                let transform = transform.unwrap_or(Expr::new(0, Kind::Unspecified));
                self.collected(id, args.pop(), transform)
            }
        };
        let mut names = names.into_iter();
        let comprehension = Comprehension {
            range: target,
            var: names.next().unwrap_or_default(),
            var2: names.next(),
            accumulator: ACCUMULATOR.to_owned(),
            init: parts.init,
            condition: parts.condition,
            step: parts.step,
            result: parts.result,
        };
        Ok(Ok(
            self.made(id, Kind::Comprehension(Box::new(comprehension)))
        ))
    }

    fn quantified(&mut self, id: Id, quantifier: Quantifier, predicate: Expr) -> Loop {
        match quantifier {
            Quantifier::All => {
                let init = self.value(id, Literal::Bool(true));
                let so_far = self.accumulated(id);
                let condition = self.made_call(id, op::NOT_STRICTLY_FALSE, vec![so_far]);
                let so_far = self.accumulated(id);
                let step = self.made_call(id, op::AND, vec![so_far, predicate]);
                self.ended(id, init, condition, step)
            }
            Quantifier::Exists => {
                let init = self.value(id, Literal::Bool(false));
                let so_far = self.accumulated(id);
                let not = self.made_call(id, op::NOT, vec![so_far]);
                let condition = self.made_call(id, op::NOT_STRICTLY_FALSE, vec![not]);
                let so_far = self.accumulated(id);
                let step = self.made_call(id, op::OR, vec![so_far, predicate]);
                self.ended(id, init, condition, step)
            }
            Quantifier::ExistsOne => {
                let init = self.value(id, Literal::Int(0));
                let condition = self.value(id, Literal::Bool(true));
                let (count, one) = (self.accumulated(id), self.value(id, Literal::Int(1)));
                let more = self.made_call(id, op::ADD, vec![count, one]);
                let same = self.accumulated(id);
                let step = self.made_call(id, op::CONDITIONAL, vec![predicate, more, same]);
                let (count, one) = (self.accumulated(id), self.value(id, Literal::Int(1)));
                let result = self.made_call(id, op::EQUALS, vec![count, one]);
                Loop {
                    init,
                    condition,
                    step,
                    result,
                }
            }
        }
    }

    /// A loop whose result is what was accumulated.
    fn ended(&mut self, id: Id, init: Expr, condition: Expr, step: Expr) -> Loop {
        let result = self.accumulated(id);
        Loop {
            init,
            condition,
            step,
            result,
        }
    }

    fn only_if(&mut self, id: Id, filter: Option<Expr>, step: Expr) -> Expr {
        match filter {
            None => step,
            Some(filter) => {
                let same = self.accumulated(id);
                self.made_call(id, op::CONDITIONAL, vec![filter, step, same])
            }
        }
    }

    /// A list of `item`s, those for which `filter` is true.
    fn collected(&mut self, id: Id, filter: Option<Expr>, item: Expr) -> Loop {
        let init = self.made(id, Kind::List(Vec::new()));
        let condition = self.value(id, Literal::Bool(true));
        let so_far = self.accumulated(id);
        let element = Element {
            value: item,
            optional: false,
        };
        let added = self.made(id, Kind::List(vec![element]));
        let step = self.made_call(id, op::ADD, vec![so_far, added]);
        let step = self.only_if(id, filter, step);
        self.ended(id, init, condition, step)
    }

    fn inserted(&mut self, id: Id, name: &str, names: &[String], mut args: Vec<Expr>) -> Loop {
        let transform = args.pop();
        let transform = transform.unwrap_or(Expr::new(0, Kind::Unspecified));
        let filter = args.pop();
        let init = self.made(id, Kind::Map(Vec::new()));
        let condition = self.value(id, Literal::Bool(true));
        let mut parts = vec![self.accumulated(id)];
        if name == "transformMap" {
            let key = names.first().cloned().unwrap_or_default();
            parts.push(self.made(id, Kind::Ident(key)));
        }
        parts.push(transform);
        let step = self.made_call(id, op::MAP_INSERT, parts);
        let step = self.only_if(id, filter, step);
        self.ended(id, init, condition, step)
    }
}

fn only(args: Vec<Expr>) -> Expr {
    let first = args.into_iter().next();
    first.unwrap_or(Expr::new(0, Kind::Unspecified))
}

/// The names of a loop's variables.
fn variables(vars: &[Expr], simple: bool) -> Result<Vec<String>, Mistake> {
    let wanted = if simple {
        "argument must be a simple name"
    } else {
        "argument is not an identifier"
    };
    let mut names: Vec<String> = Vec::new();
    for var in vars {
        let Kind::Ident(name) = &var.kind else {
            return Err((var.id, wanted.to_owned()));
        };
        if names.contains(name) {
            return Err((var.id, format!("duplicate variable name: {name}")));
        }
        names.push(name.clone());
    }
    let taken = |name: &String| name == ACCUMULATOR || name == "__result__";
    if let Some(at) = names.iter().position(taken) {
        let message = "iteration variable overwrites accumulator variable";
        return Err((vars[at].id, message.to_owned()));
    }
    Ok(names)
}
