//! Making nodes.

use super::parser::Parser;
use super::token::Token;
use crate::ast::{Call, Expr, Id, Kind, Literal};
use crate::source::Place;

pub(super) fn plain_call(id: Id, function: &str, args: Vec<Expr>) -> Expr {
    let call = Call {
        function: function.to_owned(),
        target: None,
        args,
    };
    Expr::new(id, Kind::Call(Box::new(call)))
}

pub(super) fn member_call(id: Id, function: &str, target: Expr, args: Vec<Expr>) -> Expr {
    let call = Call {
        function: function.to_owned(),
        target: Some(target),
        args,
    };
    Expr::new(id, Kind::Call(Box::new(call)))
}

impl Parser<'_, '_, '_> {
    /// A new node's Id, at an offset in characters.
    pub(super) fn id_of(&mut self, offset: u32) -> Id {
        self.offsets.push(offset);
        self.offsets.len() - 1
    }

    pub(super) fn id_at(&mut self, token: Token) -> Id {
        self.id_of(token.offset)
    }

    pub(super) fn literal_at(&mut self, token: Token, literal: Literal) -> Expr {
        let id = self.id_at(token);
        Expr::new(id, Kind::Literal(literal))
    }

    /// Tells a mistake that is not one of the grammar.
    pub(super) fn mistake(&mut self, offset: u32, message: impl Into<String>) -> Expr {
        self.issues.report(Place::Offset(offset), message);
        let id = self.id_of(offset);
        Expr::new(id, Kind::Unspecified)
    }

    /// A call of an operator or function, macros expanded.
    pub(super) fn call(&mut self, id: Id, function: &str, args: Vec<Expr>) -> Expr {
        match self.expand(id, function, None, args) {
            Ok(expanded) => expanded,
            Err((_, args)) => plain_call(id, function, args),
        }
    }

    /// A call on a target, macros expanded.
    pub(super) fn call_on(
        &mut self,
        id: Id,
        function: &str,
        target: Expr,
        args: Vec<Expr>,
    ) -> Expr {
        match self.expand(id, function, Some(target), args) {
            Ok(expanded) => expanded,
            Err((Some(target), args)) => member_call(id, function, target, args),
            Err((None, args)) => plain_call(id, function, args),
        }
    }
}
