//! The grammar, from `?:` down to unary operators.
//!
//! One function a rule. A rule that cannot go on tells why, skips to where an outer rule can
//! (see `recover`), and leaves an unspecified node.

use super::token::{Set, Tok, Token};
use crate::ast::{Ast, Expr, Kind, op};
use crate::source::{Issues, Place};

/// How deep operators and selections may be nested.
const DEEPEST: usize = 250;

/// How deep brackets may be nested. The API server allows as many as above; this keeps the
/// stack small, and is still far beyond what anybody writes.
const DEEPEST_BRACKETS: usize = 100;

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

const RELATIONS: Set = Set::of(&[
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
const OPERATORS: Set = RELATIONS
    .or(FACTORS)
    .or(TERMS)
    .or(Set::of(&[Tok::And, Tok::Or]));

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
    #[inline(always)]
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
        if self.nesting > DEEPEST_BRACKETS {
            let message = format!("expression recursion limit exceeded: {DEEPEST}");
            return Err(self.stop(message));
        }
        let condition = self.within(OPERATORS.or(Set::of(&[Tok::Question])), Self::or)?;
        let result = if self.token().kind == Tok::Question {
            self.conditional(condition)
        } else {
            Ok(condition)
        };
        self.nesting -= 1;
        result
    }

    fn conditional(&mut self, condition: Node) -> Parsed {
        let question = self.token();
        self.consume();
        let id = self.id_at(question);
        let yes = self.within(OPERATORS.or(Set::of(&[Tok::Colon])), Self::or)?;
        if !self.matches(Tok::Colon)? {
            return self.failed("expr", Set::of(&[Tok::Colon]));
        }
        let no = self.within(Set::EMPTY, Self::expr)?;
        let depth = condition.depth.max(yes.depth).max(no.depth);
        let args = vec![condition.expr, yes.expr, no.expr];
        let expr = self.call(id, op::CONDITIONAL, args);
        self.deeper(expr, depth)
    }

    /// Terms joined by `||`, each joined by `&&`, as balanced trees.
    fn or(&mut self) -> Parsed {
        let (mut ors, mut ands) = (Chain::default(), Chain::default());
        loop {
            ands.push(self.arithmetic()?);
            let operator = self.token();
            match operator.kind {
                Tok::And => {
                    self.consume();
                    ands.operators.push(self.id_at(operator));
                }
                Tok::Or => {
                    self.consume();
                    ors.push(std::mem::take(&mut ands).tree(op::AND));
                    ors.operators.push(self.id_at(operator));
                }
                _ => {
                    ors.push(ands.tree(op::AND));
                    return Ok(ors.tree(op::OR));
                }
            }
        }
    }

    /// Relations, sums and products, the tighter first, all from the left.
    fn arithmetic(&mut self) -> Parsed {
        let mut operators: Vec<Token> = Vec::new();
        let mut operands = vec![self.unary()?];
        loop {
            let next = self.token();
            while let Some(operator) = operators.last()
                && tightness(operator.kind) >= tightness(next.kind)
            {
                let operator = *operator;
                operators.pop();
                if let (Some(right), Some(left)) = (operands.pop(), operands.pop()) {
                    operands.push(self.binary(operator, left, right)?);
                }
            }
            if tightness(next.kind) == 0 {
                return Ok(operands.pop().unwrap_or_else(|| self.unspecified()));
            }
            self.consume();
            operators.push(next);
            operands.push(self.unary()?);
        }
    }

    fn binary(&mut self, operator: Token, left: Node, right: Node) -> Parsed {
        let id = self.id_at(operator);
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

/// How tightly a binary operator binds; 0 for what is none.
fn tightness(kind: Tok) -> u8 {
    match kind {
        kind if FACTORS.has(kind) => 3,
        kind if TERMS.has(kind) => 2,
        kind if RELATIONS.has(kind) => 1,
        _ => 0,
    }
}

/// Terms and the operators between them.
#[derive(Default)]
struct Chain {
    terms: Vec<Expr>,
    operators: Vec<usize>,
    depth: usize,
}

impl Chain {
    fn push(&mut self, node: Node) {
        self.depth = self.depth.max(node.depth);
        self.terms.push(node.expr);
    }

    fn tree(self, name: &str) -> Node {
        Node {
            expr: balance(name, &mut self.terms.into_iter(), &self.operators),
            depth: self.depth,
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
