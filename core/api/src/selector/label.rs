//! `labelSelector`: `app in (a, b), !old, tier!=x, n>5`.

use crate::meta::names;
use std::collections::{BTreeMap, BTreeSet};

/// A parsed label selector; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Greater,
    Less,
}

impl LabelSelector {
    /// Parses the text of a query parameter.
    ///
    /// # Errors
    /// The sentence that the API answers with 400.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: lex(text),
            position: 0,
        };
        parser.parse().map(|requirements| Self { requirements })
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|r| r.matches(labels))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Greater | Operator::Less => {
                let number = |text: Option<&String>| text.and_then(|t| t.parse::<i64>().ok());
                match (number(value), number(self.values.first())) {
                    (Some(has), Some(wants)) if self.operator == Operator::Greater => has > wants,
                    (Some(has), Some(wants)) => has < wants,
                    _ => false,
                }
            }
        }
    }

    fn new(key: String, operator: Operator, values: BTreeSet<String>) -> Result<Self, String> {
        let mut errors = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let quoted = model::go_quote(value);
            let compares = matches!(operator, Operator::Greater | Operator::Less);
            if compares && value.parse::<i64>().is_err() {
                errors.push(format!(
                    "values[{i}]: Invalid value: {quoted}: for 'Gt', 'Lt' operators, the value must be an integer"
                ));
            }
            let reasons = names::label_value(value);
            if !reasons.is_empty() {
                errors.push(format!(
                    "values[{i}][{key}]: Invalid value: {quoted}: {}",
                    reasons.join("; ")
                ));
            }
        }
        match errors.len() {
            0 => Ok(Self {
                key,
                operator,
                values,
            }),
            1 => Err(errors.concat()),
            _ => Err(format!("[{}]", errors.join(", "))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Error,
    Identifier,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

fn token_of(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::Greater,
        "in" => Token::In,
        "<" => Token::Less,
        "!=" => Token::NotEquals,
        "notin" => Token::NotIn,
        "(" => Token::Open,
        _ => return None,
    })
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn lex(text: &str) -> Vec<(Token, String)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_blank);
        let Some(first) = rest.chars().next().filter(|c| *c != '\0') else {
            tokens.push((Token::End, String::new()));
            return tokens;
        };
        let (token, length) = if is_special(first) {
            lex_symbol(rest)
        } else {
            let length = rest
                .find(|c| is_special(c) || is_blank(c) || c == '\0')
                .unwrap_or(rest.len());
            let word = &rest[..length];
            (token_of(word).unwrap_or(Token::Identifier), length)
        };
        let (word, tail) = rest.split_at(length);
        let literal = match token {
            Token::Error => format!("error expected: keyword found '{word}'"),
            _ => word.to_owned(),
        };
        tokens.push((token, literal));
        rest = tail;
    }
}

/// The longest operator at the start; a run of symbols that is none ends where it stopped being one.
fn lex_symbol(rest: &str) -> (Token, usize) {
    let mut found = None;
    for (i, c) in rest.char_indices() {
        if !is_special(c) {
            break;
        }
        let length = i + c.len_utf8();
        match (token_of(&rest[..length]), found) {
            (Some(token), _) => found = Some((token, length)),
            (None, Some(found)) => return found,
            (None, None) => {}
        }
    }
    found.unwrap_or((
        Token::Error,
        rest.find(|c| !is_special(c)).unwrap_or(rest.len()),
    ))
}

struct Parser {
    tokens: Vec<(Token, String)>,
    position: usize,
}

impl Parser {
    /// The token at hand; past the end it stays the end. `values` reads `in` and `notin` as words.
    fn peek(&self, values: bool) -> (Token, String) {
        let last = self.tokens.len().saturating_sub(1);
        let (token, text) = self.tokens[self.position.min(last)].clone();
        match token {
            Token::In | Token::NotIn if values => (Token::Identifier, text),
            _ => (token, text),
        }
    }

    fn next(&mut self, values: bool) -> (Token, String) {
        let found = self.peek(values);
        self.position += 1;
        found
    }

    fn parse(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            let (token, text) = self.peek(true);
            match token {
                Token::Identifier | Token::Not => {
                    let requirement = self.requirement();
                    requirements.push(
                        requirement.map_err(|e| format!("unable to parse requirement: {e}"))?,
                    );
                }
                Token::End => return Ok(requirements),
                _ => {
                    return Err(format!(
                        "found '{text}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            match self.next(true) {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => {
                    let (token, text) = self.peek(true);
                    if !matches!(token, Token::Identifier | Token::Not) {
                        return Err(format!("found '{text}', expected: identifier after ','"));
                    }
                }
                (_, text) => {
                    return Err(format!("found '{text}', expected: ',' or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next(true);
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next(true);
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let reasons = names::qualified_name(&key);
        if !reasons.is_empty() {
            let quoted = model::go_quote(&key);
            return Err(format!(
                "<nil>: Invalid value: {quoted}: {}",
                reasons.join("; ")
            ));
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, BTreeSet::new());
        }
        if matches!(self.peek(true).0, Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, BTreeSet::new());
        }
        let (operator, one) = self.operator()?;
        let values = if one {
            self.exact_value()?
        } else {
            self.value_set()?
        };
        Requirement::new(key, operator, values)
    }

    /// The operator, and whether exactly one value follows.
    fn operator(&mut self) -> Result<(Operator, bool), String> {
        let (token, text) = self.next(false);
        Ok(match token {
            Token::In => (Operator::In, false),
            Token::NotIn => (Operator::NotIn, false),
            Token::Equals | Token::DoubleEquals => (Operator::In, true),
            Token::NotEquals => (Operator::NotIn, true),
            Token::Greater => (Operator::Greater, true),
            Token::Less => (Operator::Less, true),
            _ => {
                return Err(format!(
                    "found '{text}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        })
    }

    fn exact_value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.peek(true).0, Token::End | Token::Comma) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.next(true) {
            (Token::Identifier, text) => Ok(BTreeSet::from([text])),
            (_, text) => Err(format!("found '{text}', expected: identifier")),
        }
    }

    fn value_set(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, text) = self.next(true);
        if token != Token::Open {
            return Err(format!("found '{text}' expected: '('"));
        }
        match self.peek(true) {
            (Token::Identifier | Token::Comma, first) => {
                let values = self.identifiers()?;
                match self.next(true).0 {
                    Token::Close => Ok(values),
                    _ => Err(format!("found '{first}', expected: ')'")),
                }
            }
            (Token::Close, _) => {
                self.position += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            (_, text) => Err(format!("found '{text}', expected: ',', ')' or identifier")),
        }
    }

    /// Words between the brackets; an empty one stands for the empty value.
    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next(true) {
                (Token::Identifier, text) => {
                    values.insert(text);
                    match self.peek(true) {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, text) => return Err(format!("found '{text}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek(true).0 {
                        Token::Close => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                (_, text) => return Err(format!("found '{text}', expected: ',', or identifier")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn selects_by_value_set_and_presence() {
        let has = labels(&[("app", "x"), ("n", "5"), ("in", "y")]);
        for (text, want) in [
            ("", true),
            ("app=x", true),
            ("app==x,n", true),
            ("app in (x, y)", true),
            ("app notin (x)", false),
            ("!app", false),
            ("!gone", true),
            ("gone!=x", true),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app in ()", false),
            ("in=y", true),
            ("app in (,x)", true),
        ] {
            assert_eq!(
                LabelSelector::parse(text).map(|s| s.matches(&has)),
                Ok(want),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_ones_answer_as_the_original() {
        for (text, want) in [
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                "=x",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            (
                "app in x",
                "unable to parse requirement: found 'x' expected: '('",
            ),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            (
                "app in (x",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "!",
                "unable to parse requirement: found '', expected: identifier",
            ),
            ("app=bad!,b", "found '!', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(LabelSelector::parse(text), Err(want.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z=!(),<> /.-]{0,24}") {
            let _ = LabelSelector::parse(&text);
        }
    }
}
