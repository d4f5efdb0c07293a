//! `fieldPath` of a rule: `.spec.name`, `['a.b']`, one after the other.

use super::super::node::{Additional, Node};

/// The path as errors print it, when it leads somewhere in the schema.
pub(super) fn resolve(node: &Node, text: &str) -> Option<String> {
    let mut place = Some(node);
    let mut printed = String::new();
    let mut tokens = Tokens(text);
    while let Some(token) = tokens.next() {
        let name = match token {
            "." => tokens.next()?.to_owned(),
            "[" => {
                let name = unquoted(tokens.next()?)?;
                if tokens.next()? != "]" {
                    return None;
                }
                name
            }
            _ => return None,
        };
        let here = place?;
        if !here.properties.is_empty() {
            place = Some(here.properties.get(&name)?);
            if !printed.is_empty() {
                printed.push('.');
            }
            printed.push_str(&name);
        } else if matches!(here.additional, Additional::Absent) {
            return None;
        } else {
            place = here.additional_schema();
            printed.push_str(&format!("[{name}]"));
        }
    }
    Some(printed)
}

fn unquoted(token: &str) -> Option<String> {
    let inner = token.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next()? {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\'' => '\'',
            '\\' => '\\',
            _ => return None,
        });
    }
    Some(text)
}

/// `.`, `[`, `]`, and what stands between them; a quoted text is one piece.
struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0;
        let first = text.chars().next()?;
        let end = match first {
            '\'' => quote_end(text).unwrap_or(text.len()),
            '.' | '[' | ']' => 1,
            _ => text.find(['.', '[', ']']).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(end);
        self.0 = rest;
        Some(token)
    }
}

fn quote_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len())
        .find(|at| bytes[*at] == b'\'' && bytes[at - 1] != b'\\')
        .map(|at| at + 1)
}
