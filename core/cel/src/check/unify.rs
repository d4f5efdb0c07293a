//! Which types fit where, and what type parameters are found to be on the way.

use crate::types::Type;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What type parameters stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Bindings(BTreeMap<Arc<str>, Type>);

impl Bindings {
    pub(super) fn bind(&mut self, param: Arc<str>, to: Type) {
        self.0.insert(param, to);
    }

    fn of(&self, param: &Type) -> Option<&Type> {
        match param {
            Type::Param(name) => self.0.get(name),
            _ => None,
        }
    }

    /// Whether `from` fits `to`; parameters are bound only if it does.
    pub(super) fn fits(&mut self, from: &Type, to: &Type) -> bool {
        let mut tried = self.clone();
        let fits = tried.assignable(from, to);
        if fits {
            *self = tried;
        }
        fits
    }

    /// The same for lists of types.
    pub(super) fn all_fit(&mut self, from: &[Type], to: &[Type]) -> bool {
        let mut tried = self.clone();
        let fits = from.len() == to.len()
            && from
                .iter()
                .zip(to)
                .all(|(from, to)| tried.assignable(from, to));
        if fits {
            *self = tried;
        }
        fits
    }

    fn assignable(&mut self, a: &Type, b: &Type) -> bool {
        if matches!(b, Type::Param(_)) {
            match self.substitutes(a, b) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if matches!(a, Type::Param(_)) {
            return self.substitutes(b, a).0;
        }
        if a.is_dyn_or_error() || b.is_dyn_or_error() {
            return true;
        }
        match (a, b) {
            (Type::Null, other) | (other, Type::Null) => nullable(other),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
                self.assignable(a, b)
            }
            (Type::Map(a, b), Type::Map(c, d)) => self.assignable(a, c) && self.assignable(b, d),
            (a, b) => a == b,
        }
    }

    /// Whether `a` can stand for the parameter `b`, and whether something stood for it before.
    fn substitutes(&mut self, a: &Type, b: &Type) -> (bool, bool) {
        if a == b {
            return (true, true);
        }
        let Some(known) = self.of(b).cloned() else {
            let free = self.is_free_of(b, a);
            if free && let Type::Param(name) = b {
                self.bind(name.clone(), a.clone());
            }
            return (free, false);
        };
        if *a == known {
            return (true, true);
        }
        if !self.assignable(a, &known) {
            return (false, true);
        }
        let general = most_general(a, &known);
        if self.is_free_of(b, &general)
            && let Type::Param(name) = b
        {
            self.bind(name.clone(), general);
        }
        (true, true)
    }

    /// Whether `param` does not occur in `within`.
    fn is_free_of(&self, param: &Type, within: &Type) -> bool {
        if param == within {
            return false;
        }
        match within {
            Type::Param(_) => match self.of(within) {
                Some(known) => self.is_free_of(param, known),
                None => true,
            },
            Type::List(t) | Type::Optional(t) | Type::Type(Some(t)) => self.is_free_of(param, t),
            Type::Map(k, v) => self.is_free_of(param, k) && self.is_free_of(param, v),
            _ => true,
        }
    }

    /// The type with parameters replaced by what they stand for, and by `dyn` when `settle` and
    /// they stand for nothing.
    pub(super) fn resolve(&self, of: &Type, settle: bool) -> Type {
        if let Some(known) = self.of(of) {
            return self.resolve(known, settle);
        }
        match of {
            Type::Param(_) if settle => Type::Dyn,
            Type::List(t) => Type::list(self.resolve(t, settle)),
            Type::Optional(t) => Type::optional(self.resolve(t, settle)),
            Type::Map(k, v) => Type::map(self.resolve(k, settle), self.resolve(v, settle)),
            Type::Type(Some(t)) => Type::Type(Some(Arc::new(self.resolve(t, settle)))),
            other => other.clone(),
        }
    }
}

fn nullable(of: &Type) -> bool {
    matches!(
        of,
        Type::Null
            | Type::Optional(_)
            | Type::Opaque(_)
            | Type::Object(_)
            | Type::Struct(_)
            | Type::Duration
            | Type::Timestamp
    )
}

/// The one of two types that fit that says less.
pub(super) fn most_general(a: &Type, b: &Type) -> Type {
    if equal_or_less_specific(a, b) {
        a.clone()
    } else {
        b.clone()
    }
}

fn equal_or_less_specific(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn | Type::Param(_), _) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
            equal_or_less_specific(a, b)
        }
        (Type::Map(a, b), Type::Map(c, d)) => {
            equal_or_less_specific(a, c) && equal_or_less_specific(b, d)
        }
        (Type::Type(_), Type::Type(_)) => true,
        (a, b) => a == b,
    }
}
