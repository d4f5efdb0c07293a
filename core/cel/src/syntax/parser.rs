//! The grammar, from `?:` down to unary operators.
//!
//! One function a rule. A rule that cannot go on tells why, skips to where an outer rule can
//! (see `recover`), and leaves an unspecified node.

use super::token::{Set, Tok, Token};
use crate::ast::{Ast, Expr, Kind, op};
use crate::source::{Issues, Place};

/// How deep expressions may be nested.
const DEEPEST: usize = 250;

/// The parse cannot go on at all; the reason was told.
pub(super) struct Stop;

pub(super) type Parsed = Result<Node, Stop>;

/// An expression with the depth of its operators and selections.
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) depth: usize,
}

pub(super) struct Parser<'t, 'i, 's> {
    pub(super) text: &'t str,
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    pub(super) issues: &'i mut Issues<'s>,
    /// Where each node begins, by its Id.
    pub(super) offsets: Vec<u32>,
    /// What can follow the rules that are open.
    pub(super) follow: Vec<Set>,
    /// Mistakes are not told until a word fits again.
    pub(super) recovering: bool,
    pub(super) last_failure: Option<(usize, &'static str)>,
    pub(super) attempts: usize,
    nesting: usize,
}

pub(super) const RELATIONS: Set = Set::of(&[
    Tok::Equals,
    Tok::NotEquals,
    Tok::In,
    Tok::Less,
    Tok::LessEquals,
    Tok::GreaterEquals,
    Tok::Greater,
]);
const FACTORS: Set = Set::of(&[Tok::Star, Tok::Slash, Tok::Percent]);
const TERMS: Set = Set::of(&[Tok::Plus, Tok::Minus]);

/// What an expression begins with.
pub(super) const FIRST: Set = Set::of(&[
    Tok::LBracket,
    Tok::LBrace,
    Tok::LParen,
    Tok::Dot,
    Tok::Minus,
    Tok::Not,
    Tok::True,
    Tok::False,
    Tok::Null,
    Tok::Float,
    Tok::Int,
    Tok::Uint,
    Tok::String,
    Tok::Bytes,
    Tok::Ident,
]);

impl<'t, 'i, 's> Parser<'t, 'i, 's> {
    pub(super) fn new(
        text: &'t str,
        tokens: Vec<Token>,
        issues: &'i mut Issues<'s>,
    ) -> Parser<'t, 'i, 's> {
        Parser {
            text,
            tokens,
            at: 0,
            issues,
            offsets: vec![0],
            follow: Vec::new(),
            recovering: false,
            last_failure: None,
            attempts: 0,
            nesting: 0,
        }
    }

    /// The whole text. None when the parser had to stop.
    pub(super) fn parse(mut self) -> Option<Ast> {
        let node = self.within(Set::of(&[Tok::Eof]), Self::expr).ok()?;
        if !self.matches(Tok::Eof).ok()? {
            self.fail("start", Set::of(&[Tok::Eof])).ok()?;
        }
        Some(Ast {
            root: node.expr,
            offsets: self.offsets,
        })
    }

    /// Runs `rule` where `follow` can come after it.
    pub(super) fn within(&mut self, follow: Set, rule: fn(&mut Self) -> Parsed) -> Parsed {
        self.follow.push(follow);
        let result = rule(self);
        self.follow.pop();
        result
    }

    pub(super) fn stop(&mut self, message: impl Into<String>) -> Stop {
        self.issues.report(Place::None, message);
        Stop
    }

    /// A node around others.
    pub(super) fn deeper(&mut self, expr: Expr, depth: usize) -> Parsed {
        if depth + 1 > DEEPEST {
            return Err(self.stop("max recursion depth exceeded"));
        }
        Ok(Node {
            expr,
            depth: depth + 1,
        })
    }

    pub(super) fn expr(&mut self) -> Parsed {
        self.nesting += 1;
        if self.nesting > DEEPEST {
            let message = format!("expression recursion limit exceeded: {DEEPEST}");
            return Err(self.stop(message));
        }
        let result = self.conditional();
        self.nesting -= 1;
        result
    }

    fn conditional(&mut self) -> Parsed {
        let condition = self.within(Set::of(&[Tok::Question]), Self::or)?;
        let question = self.token();
        if question.kind != Tok::Question {
            return Ok(condition);
        }
        self.consume();
        let id = self.id_at(question);
        let yes = self.within(Set::of(&[Tok::Colon]), Self::or)?;
        if !self.matches(Tok::Colon)? {
            return self.failed("expr", Set::of(&[Tok::Colon]));
        }
        let no = self.within(Set::EMPTY, Self::expr)?;
        let depth = condition.depth.max(yes.depth).max(no.depth);
        let args = vec![condition.expr, yes.expr, no.expr];
        let expr = self.call(id, op::CONDITIONAL, args);
        self.deeper(expr, depth)
    }

    fn or(&mut self) -> Parsed {
        self.chain(Tok::Or, op::OR, Self::and)
    }

    fn and(&mut self) -> Parsed {
        self.chain(Tok::And, op::AND, Self::relation)
    }

    /// Terms joined by one operator, as a balanced tree.
    fn chain(&mut self, word: Tok, name: &'static str, term: fn(&mut Self) -> Parsed) -> Parsed {
        let follow = Set::of(&[word]);
        let first = self.within(follow, term)?;
        let mut depth = first.depth;
        let mut terms = vec![first.expr];
        let mut operators = Vec::new();
        while self.token().kind == word {
            let operator = self.token();
            self.consume();
            let next = self.within(follow, term)?;
            operators.push(self.id_at(operator));
            depth = depth.max(next.depth);
            terms.push(next.expr);
        }
        let expr = balance(name, &mut terms.into_iter(), &operators);
        Ok(Node { expr, depth })
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.within(RELATIONS, Self::sum)?;
        while RELATIONS.has(self.token().kind) {
            left = self.binary(left, RELATIONS, Self::sum)?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while TERMS.has(self.token().kind) {
            left = self.binary(left, FACTORS.or(TERMS), Self::product)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.within(FACTORS.or(TERMS), Self::unary)?;
        while FACTORS.has(self.token().kind) {
            left = self.binary(left, FACTORS.or(TERMS), Self::unary)?;
        }
        Ok(left)
    }

    fn binary(&mut self, left: Node, follow: Set, right: fn(&mut Self) -> Parsed) -> Parsed {
        let operator = self.token();
        self.consume();
        let id = self.id_at(operator);
        let right = self.within(follow, right)?;
        let depth = left.depth.max(right.depth);
        let expr = self.call(
            id,
            operator_name(operator.kind),
            vec![left.expr, right.expr],
        );
        self.deeper(expr, depth)
    }

    fn unary(&mut self) -> Parsed {
        if !self.sync(FIRST)? {
            return self.failed("unary", FIRST);
        }
        let first = self.token();
        match first.kind {
            Tok::Not => self.negation(first, op::NOT),
            Tok::Minus => {
                let next = self.peek(1).kind;
                if matches!(next, Tok::Int | Tok::Float) {
                    return self.member();
                }
                if next != Tok::Minus && !FIRST.has(next) || next == Tok::Not {
                    return self.not_viable("unary", 1);
                }
                self.negation(first, op::NEGATE)
            }
            _ => self.member(),
        }
    }

    /// `!!a`, `--a`: an even number cancels out.
    fn negation(&mut self, first: Token, name: &'static str) -> Parsed {
        let mut count = 0;
        while self.token().kind == first.kind {
            self.consume();
            count += 1;
        }
        if !FIRST.has(self.token().kind) && first.kind == Tok::Not {
            self.skip_unwanted(FIRST)?;
        }
        let even = count % 2 == 0;
        let id = if even { 0 } else { self.id_at(first) };
        let inner = self.member()?;
        if even {
            return Ok(inner);
        }
        let expr = self.call(id, name, vec![inner.expr]);
        Ok(Node {
            expr,
            depth: inner.depth,
        })
    }

    pub(super) fn unspecified(&mut self) -> Node {
        let id = self.id_at(self.token());
        Node {
            expr: Expr::new(id, Kind::Unspecified),
            depth: 0,
        }
    }
}

fn operator_name(kind: Tok) -> &'static str {
    match kind {
        Tok::Equals => op::EQUALS,
        Tok::NotEquals => op::NOT_EQUALS,
        Tok::In => op::IN,
        Tok::Less => "_<_",
        Tok::LessEquals => "_<=_",
        Tok::Greater => "_>_",
        Tok::GreaterEquals => "_>=_",
        Tok::Plus => op::ADD,
        Tok::Minus => "_-_",
        Tok::Star => "_*_",
        Tok::Slash => "_/_",
        _ => "_%_",
    }
}

/// A tree over as many terms as operators and one.
fn balance(name: &str, terms: &mut impl Iterator<Item = Expr>, operators: &[usize]) -> Expr {
    let middle = operators.len() / 2;
    let Some(id) = operators.get(middle) else {
        return terms.next().unwrap_or(Expr::new(0, Kind::Unspecified));
    };
    let left = balance(name, terms, &operators[..middle]);
    let right = balance(name, terms, &operators[middle + 1..]);
    super::node::plain_call(*id, name, vec![left, right])
}
