//! The grammar, from selections down to literals.

use super::parser::{FIRST, Node, Parsed, Parser};
use super::token::{Set, Tok, Token};
use super::unescape::unescape;
use crate::ast::{Element, Entry, Expr, FieldInit, Kind, Literal, Select, Struct, op};
use std::sync::Arc;

/// Identifiers that are not to be used.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

const POSTFIX: Set = Set::of(&[Tok::Dot, Tok::LBracket]);
const NAMES: Set = Set::of(&[Tok::Ident, Tok::EscIdent]);
const FIELD: Set = Set::of(&[Tok::Question, Tok::Ident, Tok::EscIdent]);

/// Expressions with the depth of the deepest.
struct Many<T> {
    items: Vec<T>,
    depth: usize,
}

impl<T> Many<T> {
    fn new() -> Many<T> {
        Many {
            items: Vec::new(),
            depth: 0,
        }
    }
}

/// How a sequence in brackets is read.
struct Bracket {
    rule: &'static str,
    close: Tok,
    /// What an item begins with.
    first: Set,
}

const LIST: Bracket = Bracket {
    rule: "list",
    close: Tok::RBracket,
    first: FIRST.or(Set::of(&[Tok::Question])),
};
const MAP: Bracket = Bracket {
    rule: "map",
    close: Tok::RBrace,
    first: FIRST.or(Set::of(&[Tok::Question])),
};
const STRUCT: Bracket = Bracket {
    rule: "struct",
    close: Tok::RBrace,
    first: FIELD,
};

impl Parser<'_, '_, '_> {
    pub(super) fn member(&mut self) -> Parsed {
        let mut node = self.within(POSTFIX, Self::primary)?;
        loop {
            let first = self.token();
            node = match first.kind {
                Tok::LBracket => self.index(node, first)?,
                Tok::Dot => match self.peek(1).kind {
                    Tok::Question | Tok::EscIdent => self.select(node, first)?,
                    Tok::Ident if self.peek(2).kind == Tok::LParen => self.method(node)?,
                    Tok::Ident => self.select(node, first)?,
                    _ => return self.not_viable("member", 1),
                },
                _ => return Ok(node),
            };
        }
    }

    fn select(&mut self, operand: Node, dot: Token) -> Parsed {
        self.consume();
        let optional = self.token().kind == Tok::Question;
        if optional {
            self.consume();
        }
        let after = self.token().offset;
        self.follow.push(POSTFIX);
        let name = self.field_name();
        self.follow.pop();
        let Some((token, name)) = name? else {
            self.mistake(after, "unsupported ident kind");
            return Ok(operand);
        };
        let depth = operand.depth;
        let id = self.id_at(dot);
        let expr = if optional {
            let field = self.literal_at(token, Literal::String(Arc::from(name)));
            super::node::plain_call(id, op::OPT_SELECT, vec![operand.expr, field])
        } else {
            let select = Select {
                operand: operand.expr,
                field: name,
                test: false,
            };
            Expr::new(id, Kind::Select(Box::new(select)))
        };
        self.deeper(expr, depth)
    }

    /// A field's name; None when there is none, which was told.
    fn field_name(&mut self) -> Result<Option<(Token, String)>, super::parser::Stop> {
        if !self.sync(NAMES)? || !NAMES.has(self.token().kind) {
            self.fail("name", NAMES)?;
            return Ok(None);
        }
        let token = self.token();
        self.consume();
        let name = self.word(token).to_owned();
        if token.kind == Tok::EscIdent {
            self.mistake(token.offset, "unsupported syntax: '`'");
        }
        Ok(Some((token, name)))
    }

    fn method(&mut self, target: Node) -> Parsed {
        self.consume();
        let name = self.token();
        self.consume();
        let open = self.token();
        self.consume();
        let id = self.id_at(open);
        let args = self.arguments()?;
        let depth = target.depth.max(args.depth);
        let name = self.word(name).to_owned();
        let expr = self.call_on(id, &name, target.expr, args.items);
        self.deeper(expr, depth)
    }

    fn index(&mut self, operand: Node, open: Token) -> Parsed {
        self.consume();
        let optional = self.token().kind == Tok::Question;
        if optional {
            self.consume();
        }
        let id = self.id_at(open);
        let close = Set::of(&[Tok::RBracket]);
        let first = FIRST.or(Set::of(&[Tok::Question]));
        if !optional && !self.sync(first)? {
            return self.failed("index", first);
        }
        let index = self.within(close, Self::expr)?;
        if !self.matches(Tok::RBracket)? {
            return self.failed("index", close);
        }
        let depth = operand.depth.max(index.depth);
        let name = if optional { op::OPT_INDEX } else { op::INDEX };
        let expr = self.call(id, name, vec![operand.expr, index.expr]);
        self.deeper(expr, depth)
    }

    /// `a, b)` after the opening parenthesis.
    fn arguments(&mut self) -> Result<Many<Expr>, super::parser::Stop> {
        let close = Set::of(&[Tok::RParen]);
        let mut args = Many::new();
        if !self.sync(FIRST.or(close))? {
            self.fail("call", FIRST.or(close))?;
            return Ok(args);
        }
        if FIRST.has(self.token().kind) {
            self.follow.push(close);
            loop {
                let arg = self.within(Set::of(&[Tok::Comma]), Self::expr)?;
                args.depth = args.depth.max(arg.depth);
                args.items.push(arg.expr);
                if self.token().kind != Tok::Comma {
                    break;
                }
                self.consume();
            }
            self.follow.pop();
        }
        if !self.matches(Tok::RParen)? {
            self.fail("call", close)?;
        }
        Ok(args)
    }

    fn primary(&mut self) -> Parsed {
        let first = self.token();
        match first.kind {
            Tok::LParen => {
                self.consume();
                let close = Set::of(&[Tok::RParen]);
                let inner = self.within(close, Self::expr)?;
                if !self.matches(Tok::RParen)? {
                    self.fail("nested", close)?;
                }
                Ok(inner)
            }
            Tok::LBracket => self.list(first),
            Tok::LBrace => self.map(first),
            Tok::Dot if self.peek(1).kind == Tok::Ident => self.named(true),
            Tok::Dot => self.not_viable("primary", 1),
            Tok::Ident => self.named(false),
            Tok::Minus if !matches!(self.peek(1).kind, Tok::Int | Tok::Float) => {
                self.not_viable("primary", 1)
            }
            _ => self.literal(first),
        }
    }

    /// An identifier, a call of a function, or an object.
    fn named(&mut self, leading: bool) -> Parsed {
        let dots = usize::from(leading);
        let mut names = 1;
        while self.peek(dots + 2 * names - 1).kind == Tok::Dot
            && self.peek(dots + 2 * names).kind == Tok::Ident
        {
            names += 1;
        }
        if self.peek(dots + 2 * names - 1).kind == Tok::LBrace {
            return self.object(dots + 2 * names - 1);
        }
        let start = self.token();
        if leading {
            self.consume();
        }
        let token = self.token();
        self.consume();
        let word = self.word(token).to_owned();
        let name = if leading {
            format!(".{word}")
        } else {
            word.clone()
        };
        let reserved = RESERVED.contains(&word.as_str());
        let open = self.token();
        if open.kind != Tok::LParen {
            let expr = if reserved {
                self.mistake(start.offset, format!("reserved identifier: {word}"))
            } else {
                let id = self.id_at(token);
                Expr::new(id, Kind::Ident(name))
            };
            return Ok(Node { expr, depth: 0 });
        }
        self.consume();
        let id = self.id_at(open);
        let args = self.arguments()?;
        let expr = if reserved {
            self.mistake(start.offset, format!("reserved identifier: {word}"))
        } else {
            self.call(id, &name, args.items)
        };
        Ok(Node {
            expr,
            depth: args.depth,
        })
    }

    fn object(&mut self, tokens: usize) -> Parsed {
        let mut name = String::new();
        for _ in 0..tokens {
            name.push_str(self.word(self.token()));
            self.consume();
        }
        let id = self.id_at(self.token());
        self.consume();
        let fields = self.sequence(&STRUCT, |parser, many: &mut Many<FieldInit>| {
            let start = parser.token().offset;
            parser.optional_mark();
            parser.follow.push(Set::of(&[Tok::Colon]));
            let name = parser.field_name();
            parser.follow.pop();
            let Some((_, name)) = name? else {
                parser.mistake(start, "unsupported ident kind");
                return Ok(());
            };
            let colon = parser.token();
            if !parser.matches(Tok::Colon)? {
                return parser.fail("struct", Set::of(&[Tok::Colon]));
            }
            let id = parser.id_at(colon);
            let value = parser.within(Set::of(&[Tok::Comma]), Self::expr)?;
            many.depth = many.depth.max(value.depth);
            many.items.push(FieldInit {
                id,
                name,
                value: value.expr,
            });
            Ok(())
        })?;
        let object = Struct {
            name,
            fields: fields.items,
        };
        Ok(Node {
            expr: Expr::new(id, Kind::Struct(Box::new(object))),
            depth: fields.depth,
        })
    }

    fn list(&mut self, open: Token) -> Parsed {
        let id = self.id_at(open);
        self.consume();
        let elements = self.sequence(&LIST, |parser, many: &mut Many<Element>| {
            let optional = parser.optional_mark();
            let value = parser.within(Set::of(&[Tok::Comma]), Self::expr)?;
            many.depth = many.depth.max(value.depth);
            many.items.push(Element {
                value: value.expr,
                optional,
            });
            Ok(())
        })?;
        Ok(Node {
            expr: Expr::new(id, Kind::List(elements.items)),
            depth: elements.depth,
        })
    }

    fn map(&mut self, open: Token) -> Parsed {
        let id = self.id_at(open);
        self.consume();
        let entries = self.sequence(&MAP, |parser, many: &mut Many<Entry>| {
            let optional = parser.optional_mark();
            let colon = Set::of(&[Tok::Colon]);
            let key = parser.within(colon, Self::expr)?;
            let token = parser.token();
            if !parser.matches(Tok::Colon)? {
                return parser.fail("map", colon);
            }
            parser.id_at(token);
            let value = parser.within(Set::of(&[Tok::Comma]), Self::expr)?;
            many.depth = many.depth.max(key.depth).max(value.depth);
            many.items.push(Entry {
                key: key.expr,
                value: value.expr,
                optional,
            });
            Ok(())
        })?;
        Ok(Node {
            expr: Expr::new(id, Kind::Map(entries.items)),
            depth: entries.depth,
        })
    }

    fn optional_mark(&mut self) -> bool {
        let optional = self.token().kind == Tok::Question;
        if optional {
            self.consume();
        }
        optional
    }

    /// Items up to the closing bracket; a comma may come last.
    fn sequence<T>(
        &mut self,
        bracket: &Bracket,
        item: impl Fn(&mut Self, &mut Many<T>) -> Result<(), super::parser::Stop>,
    ) -> Result<Many<T>, super::parser::Stop> {
        let mut many = Many::new();
        let after = Set::of(&[Tok::Comma, bracket.close]);
        if !self.sync(bracket.first.or(after))? {
            self.fail(bracket.rule, bracket.first.or(after))?;
            return Ok(many);
        }
        if bracket.first.has(self.token().kind) {
            self.follow.push(after);
            loop {
                item(self, &mut many)?;
                let more = bracket.first.has(self.peek(1).kind);
                if self.token().kind != Tok::Comma || !more {
                    break;
                }
                self.consume();
            }
            self.follow.pop();
        }
        if !self.sync(after)? {
            self.fail(bracket.rule, after)?;
            return Ok(many);
        }
        if self.token().kind == Tok::Comma {
            self.consume();
        }
        if !self.matches(bracket.close)? {
            self.fail(bracket.rule, Set::of(&[bracket.close]))?;
        }
        Ok(many)
    }

    fn literal(&mut self, first: Token) -> Parsed {
        let negative = first.kind == Tok::Minus;
        let token = if negative { self.peek(1) } else { first };
        let word = self.text[first.start..token.end].replace(char::is_whitespace, "");
        let value = match token.kind {
            Tok::Int => integer(&word)
                .map(Literal::Int)
                .ok_or("invalid int literal"),
            Tok::Uint => unsigned(&word)
                .map(Literal::Uint)
                .ok_or("invalid uint literal"),
            Tok::Float => match word.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Literal::Double(value)),
                _ => Err("invalid double literal"),
            },
            Tok::String => self.string(token),
            Tok::Bytes => unescape(&self.word(token)[1..], true)
                .map(|octets| Literal::Bytes(Arc::from(octets))),
            Tok::True => Ok(Literal::Bool(true)),
            Tok::False => Ok(Literal::Bool(false)),
            Tok::Null => Ok(Literal::Null),
            _ => return self.not_viable("primary", 0),
        };
        self.consume();
        if negative {
            self.consume();
        }
        let expr = match value {
            Ok(literal) => self.literal_at(first, literal),
            Err(message) => self.mistake(first.offset, message),
        };
        Ok(Node { expr, depth: 0 })
    }

    fn string(&self, token: Token) -> Result<Literal, &'static str> {
        let octets = unescape(self.word(token), false)?;
        let text = String::from_utf8(octets).map_err(|_| "invalid unicode code point")?;
        Ok(Literal::String(Arc::from(text)))
    }
}

fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word),
    };
    match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
        None => word.parse().ok(),
    }
}

fn unsigned(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(['u', 'U']);
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}
