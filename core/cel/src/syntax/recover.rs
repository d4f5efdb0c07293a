//! Words, mistakes and how the parser goes on after them.
//!
//! A word too many is left out, a word too few is assumed, and otherwise the rule is given up and
//! words are skipped until an open rule can go on.

use super::parser::{FIRST, Node, Parsed, Parser, Stop};
use super::token::{Set, Tok, Token};
use crate::source::Place;

/// So many times the parser goes on after a mistake.
const MOST_ATTEMPTS: usize = 30;

/// So many words are skipped at once.
const MOST_SKIPPED: usize = 256;

/// A rule that has one of these to follow cannot end without it.
const CLOSING: [Tok; 5] = [
    Tok::RParen,
    Tok::RBracket,
    Tok::RBrace,
    Tok::Colon,
    Tok::Eof,
];

impl Parser<'_, '_, '_> {
    /// The word that comes next.
    pub(super) fn token(&self) -> Token {
        self.peek(0)
    }

    /// The word `ahead` further; the end after the last.
    pub(super) fn peek(&self, ahead: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + ahead).min(last)]
    }

    pub(super) fn consume(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        self.recovering = false;
    }

    pub(super) fn word(&self, token: Token) -> &str {
        &self.text[token.start..token.end]
    }

    fn shown(&self, token: Token) -> String {
        match token.kind {
            Tok::Eof => "'<EOF>'".to_owned(),
            _ => quoted(self.word(token)),
        }
    }

    /// Tells a mistake, unless the last one is still being recovered from.
    pub(super) fn tell(&mut self, token: Token, message: &str) {
        if !self.recovering {
            self.recovering = true;
            let message = format!("Syntax error: {message}");
            self.issues.report(Place::Offset(token.offset), message);
        }
    }

    fn tell_unwanted(&mut self, expecting: Set) {
        let token = self.token();
        let shown = self.shown(token);
        self.tell(
            token,
            &format!("extraneous input {shown} expecting {}", expecting.show()),
        );
    }

    /// Takes the word `kind`, forgiving one word too many or too few.
    pub(super) fn matches(&mut self, kind: Tok) -> Result<bool, Stop> {
        if self.token().kind == kind {
            self.consume();
            return Ok(true);
        }
        self.attempt()?;
        let expecting = Set::of(&[kind]);
        if self.peek(1).kind == kind && self.token().kind != Tok::Eof {
            self.tell_unwanted(expecting);
            self.consume();
            self.consume();
            return Ok(true);
        }
        if self.after(kind).has(self.token().kind) {
            let token = self.token();
            let shown = self.shown(token);
            self.tell(token, &format!("missing {} at {shown}", expecting.show()));
            return Ok(true);
        }
        Ok(false)
    }

    /// What can come after the word `kind` here.
    fn after(&self, kind: Tok) -> Set {
        match kind {
            Tok::Colon | Tok::Comma => return FIRST,
            Tok::Eof => return Set::EMPTY,
            _ => {}
        }
        let mut all = Set::EMPTY;
        for set in self.follow.iter().rev() {
            all = all.or(*set);
            if CLOSING.iter().any(|kind| set.has(*kind)) {
                break;
            }
        }
        all
    }

    /// Whether the next word is one of `expecting`, after leaving out one too many.
    pub(super) fn sync(&mut self, expecting: Set) -> Result<bool, Stop> {
        if self.recovering || expecting.has(self.token().kind) {
            return Ok(true);
        }
        if expecting.has(self.peek(1).kind) && self.token().kind != Tok::Eof {
            self.tell_unwanted(expecting);
            self.consume();
            return Ok(true);
        }
        Ok(false)
    }

    /// Leaves out words until one of `expecting` or one that an open rule can go on with.
    pub(super) fn skip_unwanted(&mut self, expecting: Set) -> Result<(), Stop> {
        if self.recovering {
            return Ok(());
        }
        self.tell_unwanted(expecting);
        self.skip_until(expecting)
    }

    /// Gives up the rule: the next word is none of `expecting`.
    pub(super) fn failed(&mut self, rule: &'static str, expecting: Set) -> Parsed {
        let node = self.unspecified();
        self.fail(rule, expecting)?;
        Ok(node)
    }

    pub(super) fn fail(&mut self, rule: &'static str, expecting: Set) -> Result<(), Stop> {
        let token = self.token();
        let shown = self.shown(token);
        self.tell(
            token,
            &format!("mismatched input {shown} expecting {}", expecting.show()),
        );
        self.recover(rule)
    }

    /// Gives up the rule: no way of going on fits the word `ahead` further.
    pub(super) fn not_viable(&mut self, rule: &'static str, ahead: usize) -> Parsed {
        let (first, offending) = (self.token(), self.peek(ahead));
        let end = match offending.kind {
            Tok::Eof => offending.start,
            _ => offending.end,
        };
        let message = match offending.kind {
            Tok::True | Tok::False | Tok::Null if offending.start == first.start + 1 => {
                let word = self.word(offending);
                format!("mismatched input '{word}' expecting IDENTIFIER")
            }
            _ if first.kind == Tok::Eof => "no viable alternative at input '<EOF>'".to_owned(),
            _ => {
                let input = quoted(&self.text[first.start..end]);
                format!("no viable alternative at input {input}")
            }
        };
        self.tell(offending, &message);
        let node: Node = self.unspecified();
        self.recover(rule)?;
        Ok(node)
    }

    fn attempt(&mut self) -> Result<(), Stop> {
        self.attempts += 1;
        if self.attempts > MOST_ATTEMPTS {
            let message =
                format!("Syntax error: error recovery attempt limit exceeded: {MOST_ATTEMPTS}");
            let place = Place::Offset(self.token().offset);
            self.issues.report(place, message);
            return Err(Stop);
        }
        Ok(())
    }

    fn recover(&mut self, rule: &'static str) -> Result<(), Stop> {
        self.attempt()?;
        if self.last_failure == Some((self.at, rule)) {
            self.at = (self.at + 1).min(self.tokens.len() - 1);
        }
        self.last_failure = Some((self.at, rule));
        self.skip_until(Set::EMPTY)
    }

    fn skip_until(&mut self, wanted: Set) -> Result<(), Stop> {
        let all = self.follow.iter().fold(wanted, |all, set| all.or(*set));
        let mut skipped = 0;
        while !all.has(self.token().kind) && self.token().kind != Tok::Eof {
            skipped += 1;
            if skipped > MOST_SKIPPED {
                let message =
                    format!("error recovery token lookahead limit exceeded: {MOST_SKIPPED}");
                return Err(self.stop(message));
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    let text = text
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t");
    format!("'{text}'")
}
