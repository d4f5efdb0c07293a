//! Calls: which overloads fit.

use super::functions::{Function, Overload, lookup};
use super::{Checker, Reference};
use crate::ast::{Call, Expr, Id, Kind, Literal, op};
use crate::types::Type;

impl Checker<'_, '_, '_> {
    pub(super) fn check_call(&mut self, expr: &mut Expr) {
        let id = expr.id;
        let Kind::Call(call) = &mut expr.kind else {
            return;
        };
        if call.function == op::OPT_SELECT {
            self.check_optional_select(id, call);
            return;
        }
        for arg in &mut call.args {
            self.check(arg);
        }
        let Some(target) = &mut call.target else {
            self.check_global(id, call);
            return;
        };
        // `a.b.c()` may be the function `a.b.c`, or `c` on the target `a.b`.
        if let Some(prefix) = target.qualified_name()
            && let Some(function) = lookup(&join(&prefix, &call.function))
        {
            call.target = None;
            call.function = function.name.to_owned();
            self.resolve_or_report(id, function, call);
            return;
        }
        self.check(target);
        match lookup(&call.function) {
            Some(function) => self.resolve_or_report(id, function, call),
            None => {
                self.set(id, Type::Error);
                self.undeclared(id, &call.function);
            }
        }
    }

    fn check_global(&mut self, id: Id, call: &mut Call) {
        let plain = call.function.strip_prefix('.').unwrap_or(&call.function);
        match lookup(plain) {
            Some(function) => {
                call.function = function.name.to_owned();
                self.resolve_or_report(id, function, call);
            }
            None => {
                self.undeclared(id, &call.function);
                self.set(id, Type::Error);
            }
        }
    }

    fn check_optional_select(&mut self, id: Id, call: &mut Call) {
        let [operand, field] = call.args.as_mut_slice() else {
            return;
        };
        let Kind::Literal(Literal::String(name)) = &field.kind else {
            return;
        };
        let name = name.clone();
        self.set(field.id, Type::String);
        let of = self.select_field(id, operand, &name, true);
        let of = self.bindings.resolve(&of, false);
        self.set(id, of);
        let function = lookup(op::OPT_SELECT);
        let overloads = function.iter().flat_map(|f| &f.overloads).collect();
        self.references[id] = Some(Reference::Overloads(overloads));
    }

    fn resolve_or_report(&mut self, id: Id, function: &'static Function, call: &Call) {
        match self.resolve(id, function, call) {
            Some((of, overloads)) => {
                self.set(id, of);
                self.references[id] = Some(Reference::Overloads(overloads));
            }
            None => self.set(id, Type::Error),
        }
    }

    /// The result and the overloads that fit; None when the mistake was told.
    fn resolve(
        &mut self,
        id: Id,
        function: &'static Function,
        call: &Call,
    ) -> Option<(Type, Vec<&'static Overload>)> {
        if matches!(function.name, op::AND | op::OR) {
            return self.resolve_logic(function, call);
        }
        let nodes = call.target.iter().chain(&call.args);
        let mut args: Vec<Type> = nodes.map(|node| self.type_of(node.id)).collect();
        let member = call.target.is_some();
        let mut found: Option<Type> = None;
        let mut overloads = Vec::new();
        for overload in function.overloads.iter().filter(|o| o.member == member) {
            let Some(result) = self.apply(overload, &args) else {
                continue;
            };
            overloads.push(overload);
            found = Some(match found {
                None => result,
                Some(before) if before.is_dyn() || before == result => before,
                Some(_) => Type::Dyn,
            });
        }
        if found.is_none() {
            for arg in &mut args {
                *arg = self.bindings.resolve(arg, true);
            }
            let shown = signature(&args, member);
            let name = function.name;
            let message = format!("found no matching overload for '{name}' applied to '{shown}'");
            self.report(id, message);
        }
        Some((found?, overloads))
    }

    /// The result of one overload for these arguments, if they fit.
    fn apply(&mut self, overload: &Overload, args: &[Type]) -> Option<Type> {
        let mut fresh = super::Bindings::default();
        for param in &overload.params {
            let variable = self.new_variable();
            fresh.bind(param.clone(), variable);
        }
        let wanted: Vec<Type> = overload
            .args
            .iter()
            .map(|t| fresh.resolve(t, false))
            .collect();
        if !self.bindings.all_fit(args, &wanted) {
            return None;
        }
        let result = fresh.resolve(&overload.result, false);
        Some(self.bindings.resolve(&result, false))
    }

    fn resolve_logic(
        &mut self,
        function: &'static Function,
        call: &Call,
    ) -> Option<(Type, Vec<&'static Overload>)> {
        let mut fits = true;
        for arg in &call.args {
            let of = self.type_of(arg.id);
            if !self.bindings.fits(&of, &Type::Bool) {
                self.mismatch(arg.id, &Type::Bool, &of);
                fits = false;
            }
        }
        fits.then(|| (Type::Bool, function.overloads.iter().collect()))
    }
}

fn join(prefix: &str, name: &str) -> String {
    let prefix = prefix.strip_prefix('.').unwrap_or(prefix);
    format!("{prefix}.{name}")
}

/// `string.(int)` or `(string, int)`.
fn signature(args: &[Type], member: bool) -> String {
    let (target, args) = match args.split_first() {
        Some((target, args)) if member => (format!("{target}."), args),
        _ => (String::new(), args),
    };
    let args: Vec<String> = args.iter().map(Type::to_string).collect();
    format!("{target}({})", args.join(", "))
}
