//! From text to words.

use super::token::{Tok, Token};
use crate::source::{Issues, Place};

/// All words of `text`, the last of them the end; what is no word is told and left out.
pub(super) fn lex(text: &str, issues: &mut Issues<'_>) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        offset: 0,
    };
    let mut tokens = Vec::new();
    while let Some(first) = lexer.rest().chars().next() {
        match lexer.next(first) {
            Scan::Skip(bytes) => lexer.advance(bytes),
            Scan::Token(kind, bytes) => {
                tokens.push(Token {
                    kind,
                    start: lexer.at,
                    end: lexer.at + bytes,
                    offset: lexer.offset,
                });
                lexer.advance(bytes);
            }
            Scan::Bad(bytes) => {
                let word = show(&lexer.rest()[..bytes]);
                let message = format!("Syntax error: token recognition error at: '{word}'");
                issues.report(Place::Offset(lexer.offset), message);
                lexer.advance(bytes);
            }
        }
    }
    tokens.push(Token {
        kind: Tok::Eof,
        start: lexer.at,
        end: lexer.at,
        offset: lexer.offset,
    });
    tokens
}

/// Control characters as error texts show them.
fn show(word: &str) -> String {
    word.replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

enum Scan {
    Skip(usize),
    Token(Tok, usize),
    Bad(usize),
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    offset: u32,
}

/// The longest first.
const OPERATORS: [(&str, Tok); 24] = [
    ("==", Tok::Equals),
    ("!=", Tok::NotEquals),
    ("<=", Tok::LessEquals),
    (">=", Tok::GreaterEquals),
    ("&&", Tok::And),
    ("||", Tok::Or),
    ("<", Tok::Less),
    (">", Tok::Greater),
    ("[", Tok::LBracket),
    ("]", Tok::RBracket),
    ("{", Tok::LBrace),
    ("}", Tok::RBrace),
    ("(", Tok::LParen),
    (")", Tok::RParen),
    (".", Tok::Dot),
    (",", Tok::Comma),
    ("-", Tok::Minus),
    ("!", Tok::Not),
    ("?", Tok::Question),
    (":", Tok::Colon),
    ("+", Tok::Plus),
    ("*", Tok::Star),
    ("/", Tok::Slash),
    ("%", Tok::Percent),
];

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        self.offset += u32::try_from(passed.chars().count()).unwrap_or(u32::MAX);
        self.at += bytes;
    }

    fn next(&self, first: char) -> Scan {
        let rest = self.rest();
        if matches!(first, '\t' | ' ' | '\r' | '\n' | '\u{c}') {
            return Scan::Skip(1);
        }
        if rest.starts_with("//") {
            return Scan::Skip(rest.find('\n').unwrap_or(rest.len()));
        }
        if let Some(scan) = string(rest) {
            return scan;
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return word(rest);
        }
        if first == '`' {
            return escaped(rest);
        }
        if let Some(scan) = number(rest) {
            return scan;
        }
        let known = OPERATORS.iter().find(|(text, _)| rest.starts_with(text));
        if let Some((text, kind)) = known {
            return Scan::Token(*kind, text.len());
        }
        // The beginning of a longer word takes the character that ends it along.
        let more = matches!(first, '=' | '&' | '|');
        let next = rest[first.len_utf8()..].chars().next().filter(|_| more);
        Scan::Bad(first.len_utf8() + next.map_or(0, char::len_utf8))
    }
}

fn word(rest: &str) -> Scan {
    let more = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c| !more(c)).unwrap_or(rest.len());
    let kind = match &rest[..end] {
        "in" => Tok::In,
        "true" => Tok::True,
        "false" => Tok::False,
        "null" => Tok::Null,
        _ => Tok::Ident,
    };
    Scan::Token(kind, end)
}

fn escaped(rest: &str) -> Scan {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
    let end = rest[1..].find(|c| !inner(c)).map(|end| end + 1);
    match end {
        Some(end) if end > 1 && rest[end..].starts_with('`') => Scan::Token(Tok::EscIdent, end + 1),
        Some(end) => Scan::Bad(end + rest[end..].chars().next().map_or(0, char::len_utf8)),
        None => Scan::Bad(rest.len()),
    }
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len())
}

/// The length of `e+10` at the start, 0 when there is none.
fn exponent(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['e', 'E']) else {
        return 0;
    };
    let signless = after.strip_prefix(['+', '-']).unwrap_or(after);
    let count = digits(signless);
    if count == 0 {
        return 0;
    }
    text.len() - signless.len() + count
}

fn number(rest: &str) -> Option<Scan> {
    if let Some(hex) = rest.strip_prefix("0x") {
        let count = hex
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(hex.len());
        if count > 0 {
            return Some(integer(rest, 2 + count));
        }
    }
    let whole = digits(rest);
    let fraction = match rest[whole..].strip_prefix('.') {
        Some(after) if digits(after) > 0 => 1 + digits(after),
        _ => 0,
    };
    if whole + fraction == 0 {
        return None;
    }
    let end = whole + fraction;
    let power = exponent(&rest[end..]);
    if fraction + power > 0 {
        return Some(Scan::Token(Tok::Float, end + power));
    }
    Some(integer(rest, whole))
}

fn integer(rest: &str, end: usize) -> Scan {
    if rest[end..].starts_with(['u', 'U']) {
        Scan::Token(Tok::Uint, end + 1)
    } else {
        Scan::Token(Tok::Int, end)
    }
}

/// A string or bytes literal at the start. None when there is none.
fn string(rest: &str) -> Option<Scan> {
    let mut prefix = 0;
    let bytes = rest.starts_with(['b', 'B']);
    prefix += usize::from(bytes);
    let raw = rest[prefix..].starts_with(['r', 'R']);
    prefix += usize::from(raw);
    let body = &rest[prefix..];
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let kind = if bytes { Tok::Bytes } else { Tok::String };
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    if body.starts_with(&triple)
        && let Ok(length) = literal(&body[3..], &triple, raw, true)
    {
        return Some(Scan::Token(kind, prefix + 3 + length));
    }
    match literal(&body[1..], &triple[..1], raw, false) {
        Ok(length) => Some(Scan::Token(kind, prefix + 1 + length)),
        // The prefix alone is an identifier.
        Err(_) if prefix > 0 => None,
        Err(length) => Some(Scan::Bad((prefix + 1 + length).min(rest.len()))),
    }
}

/// The length up to and with the closing quote, or how far the scan came.
fn literal(text: &str, close: &str, raw: bool, lines: bool) -> Result<usize, usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(close) {
            return Ok(at + close.len());
        }
        if c == '\\' && !raw {
            match escape_length(&text[at..]) {
                Ok(length) => at += length,
                Err(length) => return Err(at + length),
            }
            continue;
        }
        if matches!(c, '\n' | '\r') && !lines {
            return Err(at + 1);
        }
        at += c.len_utf8();
    }
    Err(at)
}

/// The length of the escape at the start, or how far it is one.
fn escape_length(text: &str) -> Result<usize, usize> {
    let mut chars = text.char_indices().skip(1);
    let Some((_, kind)) = chars.next() else {
        return Err(text.len());
    };
    let (count, valid): (usize, fn(char) -> bool) = match kind {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => return Ok(2),
        'x' | 'X' => (2, |c| c.is_ascii_hexdigit()),
        'u' => (4, |c| c.is_ascii_hexdigit()),
        'U' => (8, |c| c.is_ascii_hexdigit()),
        '0'..='3' => (2, |c| ('0'..='7').contains(&c)),
        other => return Err(1 + other.len_utf8()),
    };
    for _ in 0..count {
        match chars.next() {
            Some((_, c)) if valid(c) => {}
            Some((at, c)) => return Err(at + c.len_utf8()),
            None => return Err(text.len()),
        }
    }
    Ok(2 + count)
}
