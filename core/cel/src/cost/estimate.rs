//! Goes through an expression and adds costs up.

use super::sizes::{Entries, Local, Path, Sizes};
use super::{CostEstimate, Size};
use crate::ast::{Call, Comprehension, Element, Entry, Expr, Kind, Literal, Select};
use crate::check::{Checked, Reference};
use crate::decl::Decl;
use crate::eval::{LIST_COST, MAP_COST};
use crate::types::Type;

/// What an object costs when it is made.
const OBJECT_COST: u64 = 40;

pub(super) struct Coster<'c> {
    pub(super) checked: &'c Checked,
    pub(super) sizes: Sizes<'c>,
}

/// The bounds of what evaluating `root` costs.
pub(crate) fn estimate(root: &Expr, checked: &Checked, decl: Option<&Decl>) -> CostEstimate {
    let mut coster = Coster {
        checked,
        sizes: Sizes::new(&checked.types, decl),
    };
    coster.cost(root)
}

impl Coster<'_> {
    pub(super) fn cost(&mut self, expr: &Expr) -> CostEstimate {
        match &expr.kind {
            Kind::Unspecified | Kind::Literal(_) => CostEstimate::ZERO,
            Kind::Ident(name) => {
                let path = match self.sizes.local(name) {
                    Some(local) => local.path.clone(),
                    None => vec![name.clone()],
                };
                self.sizes.set_path(expr, path);
                CostEstimate::ONE
            }
            Kind::Select(select) => self.select(expr, select),
            Kind::Call(call) => self.call(expr, call),
            Kind::List(elements) => self.list(expr, elements),
            Kind::Map(entries) => self.map(expr, entries),
            Kind::Struct(object) => {
                let fields = object.fields.iter().map(|field| self.cost(&field.value));
                fields.fold(CostEstimate::fixed(OBJECT_COST), CostEstimate::plus)
            }
            Kind::Comprehension(c) if is_binding(c) => self.binding(expr, c),
            Kind::Comprehension(c) => self.comprehension(expr, c),
        }
    }

    fn select(&mut self, expr: &Expr, select: &Select) -> CostEstimate {
        let operand = self.cost(&select.operand);
        if select.test {
            return operand;
        }
        let own = match self.sizes.type_of(&select.operand) {
            Type::Map(..) | Type::Object(_) | Type::Struct(_) | Type::Param(_) => CostEstimate::ONE,
            _ => CostEstimate::ZERO,
        };
        let mut path = self.sizes.path(&select.operand);
        path.push(select.field.clone());
        self.sizes.set_path(expr, path);
        operand.plus(own)
    }

    fn list(&mut self, expr: &Expr, elements: &[Element]) -> CostEstimate {
        let mut sum = CostEstimate::fixed(LIST_COST);
        let mut value = if elements.is_empty() {
            Size::ZERO
        } else {
            Size::NONE
        };
        for element in elements {
            sum = sum.plus(self.cost(&element.value));
            value = value.or(self.sizes.size_or_unknown(&element.value));
        }
        let entries = Entries {
            list: true,
            key: Size::ONE,
            value,
        };
        self.sizes.set_entries(expr, Some(entries));
        sum
    }

    fn map(&mut self, expr: &Expr, entries: &[Entry]) -> CostEstimate {
        let mut sum = CostEstimate::fixed(MAP_COST);
        let none = if entries.is_empty() {
            Size::ZERO
        } else {
            Size::NONE
        };
        let (mut key, mut value) = (none, none);
        for entry in entries {
            sum = sum.plus(self.cost(&entry.key));
            sum = sum.plus(self.cost(&entry.value));
            key = key.or(self.sizes.size_or_unknown(&entry.key));
            value = value.or(self.sizes.size_or_unknown(&entry.value));
        }
        let entries = Entries {
            list: false,
            key,
            value,
        };
        self.sizes.set_entries(expr, Some(entries));
        sum
    }

    fn comprehension(&mut self, expr: &Expr, c: &Comprehension) -> CostEstimate {
        let mut sum = self.cost(&c.range).plus(self.cost(&c.init));
        let depth = self.sizes.locals.len();
        self.push_bound(&c.accumulator, &c.init);
        self.push_variables(c);
        let round = self.cost(&c.condition).plus(self.cost(&c.step));
        self.sizes.locals.truncate(depth + 1);
        sum = sum.plus(self.cost(&c.result));
        self.sizes.locals.truncate(depth);
        let rounds = self.sizes.size_or_unknown(&c.range);
        sum = sum.plus(rounds.times(round));
        match &c.init.kind {
            Kind::Literal(_) => {
                let size = self.sizes.size(&c.init);
                self.sizes.set_size(expr, size);
            }
            Kind::List(_) | Kind::Map(_) => {
                self.sizes.set_size(expr, Some(rounds));
                let entries = self.sizes.entries(&c.step);
                self.sizes.set_entries(expr, entries);
            }
            _ => {}
        }
        sum
    }

    /// The accumulator of a loop, or what a name stands for.
    fn push_bound(&mut self, name: &str, value: &Expr) {
        let local = Local {
            name: name.to_owned(),
            path: self.sizes.path(value),
            size: self.sizes.size(value),
            entries: self.sizes.entries(value),
        };
        self.sizes.locals.push(local);
    }

    fn push_variables(&mut self, c: &Comprehension) {
        let entries = self.sizes.entries(&c.range);
        let list = match entries {
            Some(entries) => entries.list,
            None => matches!(self.sizes.type_of(&c.range), Type::List(_)),
        };
        let path = self.sizes.path(&c.range);
        let (key, value) = (entries.map(|e| e.key), entries.map(|e| e.value));
        let (keys, values) = if list {
            ("@indices", "@items")
        } else {
            ("@keys", "@values")
        };
        match &c.var2 {
            Some(var2) => {
                self.push_variable(&c.var, &path, keys, key);
                self.push_variable(var2, &path, values, value);
            }
            None if list => self.push_variable(&c.var, &path, values, value),
            None => self.push_variable(&c.var, &path, keys, key),
        }
    }

    fn push_variable(&mut self, name: &str, range: &Path, step: &str, size: Option<Size>) {
        let mut path = range.clone();
        path.push(step.to_owned());
        self.sizes.locals.push(Local {
            name: name.to_owned(),
            path,
            size,
            entries: None,
        });
    }

    fn binding(&mut self, expr: &Expr, c: &Comprehension) -> CostEstimate {
        let sum = self.cost(&c.range).plus(self.cost(&c.init));
        let depth = self.sizes.locals.len();
        self.push_bound(&c.accumulator, &c.init);
        let result = self.cost(&c.result);
        self.sizes.locals.truncate(depth);
        self.sizes.copy(expr, &c.result);
        sum.plus(result)
    }

    fn call(&mut self, expr: &Expr, call: &Call) -> CostEstimate {
        if call.function == "dyn"
            && let Some(arg) = call.args.first()
        {
            let cost = self.cost(arg).plus(CostEstimate::ONE);
            self.sizes.copy(expr, arg);
            return cost;
        }
        let costs: Vec<CostEstimate> = call.args.iter().map(|arg| self.cost(arg)).collect();
        for arg in &call.args {
            self.sizes.size(arg);
        }
        let overloads = match &self.checked.references[expr.id] {
            Some(Reference::Overloads(overloads)) if !overloads.is_empty() => overloads.clone(),
            _ => return CostEstimate::ZERO,
        };
        let target = call.target.as_ref();
        let sum = target.map_or(CostEstimate::ZERO, |target| self.cost(target));
        let mut cost = CostEstimate::NONE;
        let mut size: Option<Size> = None;
        for overload in overloads {
            let one = self.overload(expr, call, overload.id, &costs);
            cost = cost.or(one.cost);
            if let Some(found) = one.size {
                size = Some(size.map_or(found, |size| size.or(found)));
            }
            if let ("index_list" | "index_map", [operand, ..]) = (overload.id, call.args.as_slice())
            {
                size = self.sizes.entries(operand).map(|entries| entries.value);
                let mut path = self.sizes.path(operand);
                let step = if overload.id == "index_list" {
                    "@items"
                } else {
                    "@values"
                };
                path.push(step.to_owned());
                self.sizes.set_path(expr, path);
            }
            size = size.or_else(|| self.sizes.size(expr));
        }
        self.sizes.set_size(expr, size);
        sum.plus(cost)
    }
}

/// `cel.bind` and its kin: no loop, a name for a value.
fn is_binding(c: &Comprehension) -> bool {
    matches!(&c.range.kind, Kind::List(elements) if elements.is_empty())
        && matches!(c.condition.kind, Kind::Literal(Literal::Bool(false)))
}
