//! Types of expressions: which overloads calls mean, and what is wrong with them.

mod calls;
pub(crate) mod functions;
mod literals;
mod unify;
mod validate;

pub(crate) use validate::validate;

use crate::ast::{Ast, Comprehension, Expr, Id, Kind, Select};
use crate::env::Env;
use crate::source::{Issues, Place};
use crate::types::Type;
use functions::{Overload, named_type};
use unify::Bindings;

/// What a name or call stands for.
#[derive(Debug, Clone)]
pub(crate) enum Reference {
    /// A variable.
    Variable(String),
    /// A type by its name.
    Type,
    /// The overloads that fit.
    Overloads(Vec<&'static Overload>),
}

/// What the checker found, by node.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) types: Vec<Type>,
    pub(crate) references: Vec<Option<Reference>>,
}

struct Checker<'e, 'i, 's> {
    env: &'e Env,
    issues: &'i mut Issues<'s>,
    offsets: Vec<u32>,
    types: Vec<Option<Type>>,
    references: Vec<Option<Reference>>,
    bindings: Bindings,
    variables: usize,
    /// The variables of comprehensions, the innermost last.
    scopes: Vec<Vec<(String, Type)>>,
}

/// Checks `ast` and resolves its names in place.
pub(crate) fn check(ast: &mut Ast, env: &Env, issues: &mut Issues<'_>) -> Checked {
    let count = ast.offsets.len();
    let mut checker = Checker {
        env,
        issues,
        offsets: ast.offsets.clone(),
        types: vec![None; count],
        references: vec![None; count],
        bindings: Bindings::default(),
        variables: 0,
        scopes: Vec::new(),
    };
    checker.check(&mut ast.root);
    let bindings = &checker.bindings;
    let settle = |t: &Option<Type>| match t {
        Some(t) => bindings.resolve(t, true),
        None => Type::Dyn,
    };
    Checked {
        types: checker.types.iter().map(settle).collect(),
        references: checker.references,
    }
}

impl Checker<'_, '_, '_> {
    fn check(&mut self, expr: &mut Expr) {
        let id = expr.id;
        match &mut expr.kind {
            Kind::Unspecified => self.set(id, Type::Error),
            Kind::Literal(literal) => {
                let of = literals::type_of(literal);
                self.set(id, of);
            }
            Kind::Ident(name) => {
                let name = std::mem::take(name);
                let resolved = self.identifier(id, &name);
                expr.kind = Kind::Ident(resolved);
            }
            Kind::Select(_) => self.check_select(expr),
            Kind::Call(_) => self.check_call(expr),
            Kind::List(elements) => self.check_list(id, elements),
            Kind::Map(entries) => self.check_map(id, entries),
            Kind::Struct(object) => self.check_struct(id, object),
            Kind::Comprehension(comprehension) => self.check_comprehension(id, comprehension),
        }
    }

    /// Tells a mistake at a node.
    fn report(&mut self, id: Id, message: impl Into<String>) {
        self.issues.report(Place::Offset(self.offsets[id]), message);
    }

    fn undeclared(&mut self, id: Id, name: &str) {
        let message = format!("undeclared reference to '{name}' (in container '')");
        self.report(id, message);
    }

    fn set(&mut self, id: Id, of: Type) {
        self.types[id] = Some(of);
    }

    fn type_of(&self, id: Id) -> Type {
        self.types[id].clone().unwrap_or(Type::Dyn)
    }

    fn new_variable(&mut self) -> Type {
        let name = format!("_var{}", self.variables);
        self.variables += 1;
        Type::param(&name)
    }

    /// What `name` stands for, and its type.
    fn lookup(&self, name: &str) -> Option<(Reference, Type)> {
        let plain = name.strip_prefix('.').unwrap_or(name);
        if plain == name {
            let scopes = self.scopes.iter().rev().flatten();
            if let Some((_, of)) = scopes.into_iter().find(|(known, _)| known == plain) {
                return Some((Reference::Variable(plain.to_owned()), of.clone()));
            }
        }
        if let Some(of) = self.env.variables.get(plain) {
            return Some((Reference::Variable(plain.to_owned()), of.clone()));
        }
        let named = named_type(plain)?;
        let of = Type::Type(Some(std::sync::Arc::new(named)));
        Some((Reference::Type, of))
    }

    /// Resolves a name; returns it as it is to be read.
    fn identifier(&mut self, id: Id, name: &str) -> String {
        match self.lookup(name) {
            Some((reference, of)) => {
                self.set(id, of);
                self.references[id] = Some(reference);
                name.strip_prefix('.').unwrap_or(name).to_owned()
            }
            None => {
                self.set(id, Type::Error);
                self.undeclared(id, name);
                name.to_owned()
            }
        }
    }

    fn check_select(&mut self, expr: &mut Expr) {
        let id = expr.id;
        if let Some(name) = expr.qualified_name()
            && self.lookup(&name).is_some()
        {
            let resolved = self.identifier(id, &name);
            expr.kind = Kind::Ident(resolved);
            return;
        }
        let Kind::Select(select) = &mut expr.kind else {
            return;
        };
        let Select {
            operand,
            field,
            test,
        } = select.as_mut();
        let mut result = self.select_field(id, operand, field, false);
        if *test {
            result = Type::Bool;
        }
        let result = self.bindings.resolve(&result, false);
        self.set(id, result);
    }

    /// The type of `operand.field`.
    fn select_field(&mut self, id: Id, operand: &mut Expr, field: &str, optional: bool) -> Type {
        self.check(operand);
        let of = self.bindings.resolve(&self.type_of(operand.id), false);
        let (target, was_optional) = match of {
            Type::Optional(inner) => (inner.as_ref().clone(), true),
            other => (other, false),
        };
        let result = self.field_type(id, &target, field);
        if was_optional || optional {
            return Type::optional(result);
        }
        result
    }

    fn field_type(&mut self, id: Id, target: &Type, field: &str) -> Type {
        match target {
            Type::Map(_, value) => value.as_ref().clone(),
            Type::Object(object) => object.fields.get(field).cloned().unwrap_or_else(|| {
                self.report(id, format!("undefined field '{field}'"));
                Type::Error
            }),
            Type::Struct(_) => {
                self.report(id, format!("undefined field '{field}'"));
                Type::Error
            }
            Type::Param(_) => {
                self.bindings.fits(&Type::Dyn, target);
                Type::Dyn
            }
            other => {
                if !other.is_dyn_or_error() {
                    let message = format!("type '{other}' does not support field selection");
                    self.report(id, message);
                }
                Type::Dyn
            }
        }
    }

    fn check_comprehension(&mut self, id: Id, comprehension: &mut Comprehension) {
        let Comprehension {
            range,
            var,
            var2,
            accumulator,
            init,
            condition,
            step,
            result,
        } = comprehension;
        self.check(range);
        self.check(init);
        let over = self.bindings.resolve(&self.type_of(range.id), false);
        let accumulated = self.type_of(init.id);
        let (first, second) = self.iterated(range.id, over, var2.is_some());
        let scope = vec![(accumulator.clone(), accumulated.clone())];
        self.scopes.push(scope);
        let mut scope = vec![(var.clone(), first)];
        if let (Some(var2), Some(second)) = (var2.as_ref(), second) {
            scope.insert(0, (var2.clone(), second));
        }
        self.scopes.push(scope);
        self.check(condition);
        self.expect(condition.id, &Type::Bool);
        self.check(step);
        self.expect(step.id, &accumulated);
        self.scopes.pop();
        self.check(result);
        self.scopes.pop();
        let of = self.bindings.resolve(&self.type_of(result.id), false);
        self.set(id, of);
    }

    /// The types of a loop's variables over a range.
    fn iterated(&mut self, range: Id, over: Type, two: bool) -> (Type, Option<Type>) {
        match over {
            Type::List(item) if two => (Type::Int, Some(item.as_ref().clone())),
            Type::List(item) => (item.as_ref().clone(), None),
            Type::Map(key, value) => (key.as_ref().clone(), two.then(|| value.as_ref().clone())),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.bindings.fits(&Type::Dyn, &over);
                (Type::Dyn, two.then_some(Type::Dyn))
            }
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension \
                     (must be list, map, or dynamic)"
                );
                self.report(range, message);
                (Type::Error, two.then_some(Type::Error))
            }
        }
    }

    fn expect(&mut self, id: Id, wanted: &Type) {
        let found = self.type_of(id);
        if !self.bindings.fits(wanted, &found) {
            self.mismatch(id, wanted, &found);
        }
    }

    fn mismatch(&mut self, id: Id, wanted: &Type, found: &Type) {
        self.report(id, format!("expected type '{wanted}' but found '{found}'"));
    }
}
