//! What can be said of literals beyond their types.

use super::Checked;
use crate::ast::{Ast, Call, Expr, Id, Kind, Literal};
use crate::eval::{Clause, Clauses, Piece};
use crate::plan::regex;
use crate::source::{Issues, Place};
use crate::types::Type;
use crate::value::{Value, convert};

struct Validator<'c, 'i, 's> {
    ast: &'c Ast,
    checked: &'c Checked,
    issues: &'i mut Issues<'s>,
}

/// Tells what is wrong with literals in a well-typed expression.
pub(crate) fn validate(ast: &Ast, checked: &Checked, issues: &mut Issues<'_>) {
    let mut validator = Validator {
        ast,
        checked,
        issues,
    };
    for function in ["duration", "timestamp", "matches"] {
        ast.root
            .walk(&mut |expr| validator.literal_argument(expr, function));
    }
    validator.aggregates(&ast.root);
    ast.root.walk(&mut |expr| validator.format(expr));
}

impl Validator<'_, '_, '_> {
    fn report(&mut self, id: Id, message: impl Into<String>) {
        let place = Place::Offset(self.ast.offsets[id]);
        self.issues.report(place, message);
    }

    fn type_of(&self, expr: &Expr) -> &Type {
        &self.checked.types[expr.id]
    }

    /// The first argument of a call of `function`, if it is a literal, must be a valid one.
    fn literal_argument(&mut self, expr: &Expr, function: &str) {
        let Kind::Call(call) = &expr.kind else {
            return;
        };
        if call.function != function {
            return;
        }
        let Some(arg) = call.args.first() else {
            return;
        };
        let Kind::Literal(literal) = &arg.kind else {
            return;
        };
        let valid = match (function, literal) {
            ("matches", Literal::String(pattern)) => regex(pattern).is_ok(),
            ("matches", _) => true,
            _ => convert(Value::literal(literal), function).is_ok(),
        };
        if !valid {
            self.report(arg.id, format!("invalid {function} argument"));
        }
    }

    /// Items of one list, and of one map, are of one type, except in calls of `format`.
    fn aggregates(&mut self, root: &Expr) {
        let mut lists = Vec::new();
        let mut maps = Vec::new();
        collect(root, &mut lists, &mut maps);
        for list in lists {
            let Kind::List(elements) = &list.kind else {
                continue;
            };
            let items = elements.iter().map(|e| (&e.value, e.optional));
            self.same_types(items.collect(), true);
        }
        for map in maps {
            let Kind::Map(entries) = &map.kind else {
                continue;
            };
            self.same_types(entries.iter().map(|e| (&e.key, false)).collect(), false);
            self.same_types(
                entries.iter().map(|e| (&e.value, e.optional)).collect(),
                false,
            );
        }
    }

    fn same_types(&mut self, items: Vec<(&Expr, bool)>, first_only: bool) {
        let mut wanted: Option<Type> = None;
        for (item, optional) in items {
            let found = match self.type_of(item) {
                Type::Optional(inner) if optional => inner.as_ref().clone(),
                other => other.clone(),
            };
            match &wanted {
                None => wanted = Some(found),
                Some(wanted) if equivalent(wanted, &found) => {}
                Some(wanted) => {
                    let message = format!("expected type '{wanted}' but found '{found}'");
                    self.report(item.id, message);
                    if first_only {
                        return;
                    }
                }
            }
        }
    }

    /// A literal format must fit its literal list.
    fn format(&mut self, expr: &Expr) {
        let Kind::Call(call) = &expr.kind else {
            return;
        };
        let Some((format, args)) = format_parts(call) else {
            return;
        };
        let mut clauses = Clauses::new(format);
        let mut used = 0;
        while let Some(piece) = clauses.next() {
            if matches!(piece, Piece::Literal(_)) {
                continue;
            }
            used += 1;
            if clauses.is_at_end() {
                return self.report(expr.id, "unexpected end of string");
            }
            let Some(arg) = args.get(used - 1) else {
                return self.report(expr.id, format!("index {} out of range", used - 1));
            };
            let clause = match clauses.clause() {
                Ok(clause) => clause,
                Err(why) => return self.report(expr.id, why),
            };
            if let Err(bad) = self.fits(clause, arg) {
                let given = runtime_name(self.type_of(bad));
                return self.report(bad.id, clause.refusal(&given));
            }
        }
        if args.len() > used {
            let message = format!(
                "too many arguments supplied to string.format (expected {used}, got {})",
                args.len()
            );
            self.report(expr.id, message);
        }
    }

    /// Whether values of the argument can be written so; the part that cannot.
    fn fits<'e>(&self, clause: Clause, arg: &'e Expr) -> Result<(), &'e Expr> {
        let of = self.type_of(arg);
        if of.is_dyn() {
            return Ok(());
        }
        let fine = match clause {
            Clause::Text => !matches!(
                of,
                Type::Optional(_) | Type::Opaque(_) | Type::Struct(_) | Type::Object(_)
            ),
            Clause::Decimal | Clause::Octal => matches!(of, Type::Int | Type::Uint),
            Clause::Fixed(_) | Clause::Scientific(_) => {
                matches!(of, Type::Double | Type::String)
            }
            Clause::Binary => matches!(of, Type::Int | Type::Uint | Type::Bool),
            Clause::Hex(_) => {
                matches!(of, Type::Int | Type::Uint | Type::String | Type::Bytes)
            }
        };
        if !fine {
            return Err(arg);
        }
        match (&arg.kind, clause) {
            (Kind::List(items), Clause::Text) => items
                .iter()
                .try_for_each(|item| self.fits(clause, &item.value)),
            (Kind::Map(entries), Clause::Text) => entries.iter().try_for_each(|entry| {
                self.fits(clause, &entry.key)?;
                self.fits(clause, &entry.value)
            }),
            _ => Ok(()),
        }
    }
}

fn format_parts(call: &Call) -> Option<(&str, Vec<&Expr>)> {
    if call.function != "format" {
        return None;
    }
    let Kind::Literal(Literal::String(format)) = &call.target.as_ref()?.kind else {
        return None;
    };
    let [arg] = call.args.as_slice() else {
        return None;
    };
    let Kind::List(items) = &arg.kind else {
        return None;
    };
    Some((format, items.iter().map(|item| &item.value).collect()))
}

/// The lists and maps, those in calls of `format` left out.
fn collect<'e>(expr: &'e Expr, lists: &mut Vec<&'e Expr>, maps: &mut Vec<&'e Expr>) {
    match &expr.kind {
        Kind::List(elements) => {
            lists.push(expr);
            elements.iter().for_each(|e| collect(&e.value, lists, maps));
        }
        Kind::Map(entries) => {
            maps.push(expr);
            for entry in entries {
                collect(&entry.key, lists, maps);
                collect(&entry.value, lists, maps);
            }
        }
        Kind::Call(call) if call.function == "format" => {}
        Kind::Call(call) => {
            call.target.iter().for_each(|e| collect(e, lists, maps));
            call.args.iter().for_each(|e| collect(e, lists, maps));
        }
        Kind::Select(select) => collect(&select.operand, lists, maps),
        Kind::Comprehension(c) => {
            for part in [&c.range, &c.init, &c.condition, &c.step, &c.result] {
                collect(part, lists, maps);
            }
        }
        _ => {}
    }
}

/// The same type, parameters aside.
fn equivalent(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => equivalent(a, b),
        (Type::Map(a, b), Type::Map(c, d)) => equivalent(a, c) && equivalent(b, d),
        (Type::Type(_), Type::Type(_)) => true,
        (a, b) => a == b,
    }
}

/// The name that a type has when it is evaluated.
fn runtime_name(of: &Type) -> String {
    match of {
        Type::Null => "null_type".to_owned(),
        Type::Timestamp => "google.protobuf.Timestamp".to_owned(),
        Type::Duration => "google.protobuf.Duration".to_owned(),
        Type::List(_) => "list".to_owned(),
        Type::Map(..) => "map".to_owned(),
        Type::Optional(_) => "optional_type".to_owned(),
        Type::Type(_) => "type".to_owned(),
        other => other.to_string(),
    }
}
