//! Lists, maps and objects that are written out.

use super::Checker;
use super::unify::most_general;
use crate::ast::{Element, Entry, Expr, Id, Literal, Struct};
use crate::types::Type;

pub(super) fn type_of(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

impl Checker<'_, '_, '_> {
    pub(super) fn check_list(&mut self, id: Id, elements: &mut [Element]) {
        let mut joined = None;
        for element in elements {
            let of = self.item(&mut element.value, element.optional);
            joined = Some(self.join(joined, of));
        }
        let item = joined.unwrap_or_else(|| self.new_variable());
        self.set(id, Type::list(item));
    }

    pub(super) fn check_map(&mut self, id: Id, entries: &mut [Entry]) {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            let key = self.item(&mut entry.key, false);
            keys = Some(self.join(keys, key));
            let value = self.item(&mut entry.value, entry.optional);
            values = Some(self.join(values, value));
        }
        let key = keys.unwrap_or_else(|| self.new_variable());
        let value = values.unwrap_or_else(|| self.new_variable());
        self.set(id, Type::map(key, value));
    }

    /// The type of an item; of an optional one, what is in it.
    fn item(&mut self, value: &mut Expr, optional: bool) -> Type {
        self.check(value);
        let of = self.type_of(value.id);
        if !optional {
            return of;
        }
        match of {
            Type::Optional(inner) => inner.as_ref().clone(),
            other => {
                if !other.is_dyn() {
                    self.mismatch(value.id, &Type::optional(other.clone()), &other);
                }
                other
            }
        }
    }

    /// The type that two items have in common. That mixed ones are refused is `validate`'s.
    fn join(&mut self, before: Option<Type>, now: Type) -> Type {
        match before {
            None => now,
            Some(before) if self.bindings.fits(&before, &now) => most_general(&before, &now),
            Some(_) => Type::Dyn,
        }
    }

    /// No type that expressions can make has fields.
    pub(super) fn check_struct(&mut self, id: Id, object: &mut Struct) {
        let known = self.lookup(&object.name);
        match known {
            None => self.undeclared(id, &object.name),
            Some((_, Type::Type(Some(of)))) => {
                self.report(id, format!("'{of}' is not a message type"));
            }
            Some((_, of)) => self.report(id, format!("'{of}' is not a type")),
        }
        self.set(id, Type::Error);
        if self.lookup(&object.name).is_some() {
            for field in &mut object.fields {
                self.check(&mut field.value);
                self.report(field.id, format!("undefined field '{}'", field.name));
            }
        }
    }
}
