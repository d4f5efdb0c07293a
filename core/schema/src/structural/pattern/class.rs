//! Classes of characters: `[a-z]`, `\d`, `\p{Greek}`, `[[:alpha:]]`.

use super::escape::{self, literal};
use super::go::Wrong;
use regex::Regex;

const RANGE: &str = "invalid character class range";

/// Reads a class in brackets.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<(String, &str), Wrong<'_>> {
    let mut out = String::from("[");
    let mut rest = &text[1..];
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        if let Some((name, after)) = posix(rest)? {
            out.push_str(name);
            rest = after;
            continue;
        }
        if let Some((class, after)) = shorthand(rest)? {
            out.push_str(&class);
            rest = after;
            continue;
        }
        let start = rest;
        let (low, after) = character(rest, text)?;
        rest = after;
        out.push_str(&literal(low));
        let dash = rest.strip_prefix('-').filter(|after| !after.is_empty());
        if let Some(after) = dash.filter(|after| !after.starts_with(']')) {
            let (high, after) = character(after, text)?;
            rest = after;
            if high < low {
                return Err((RANGE, &start[..start.len() - rest.len()]));
            }
            out.push('-');
            out.push_str(&literal(high));
        }
    }
    out.push(']');
    Ok((out, &rest[1..]))
}

fn character<'a>(text: &'a str, whole: &'a str) -> Result<(char, &'a str), Wrong<'a>> {
    match text.chars().next() {
        None => Err(("missing closing ]", whole)),
        Some('\\') => escape::read(text),
        Some(c) => Ok((c, &text[c.len_utf8()..])),
    }
}

/// `[:alpha:]` inside a class.
fn posix(text: &str) -> Result<Option<(&str, &str)>, Wrong<'_>> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let Some((name, after)) = text.strip_prefix("[:").and_then(|t| t.split_once(":]")) else {
        return Ok(None);
    };
    let all = &text[..text.len() - after.len()];
    match NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        true => Ok(Some((all, after))),
        false => Err((RANGE, all)),
    }
}

/// `\d`, `\pL` and the like, as they are written inside a class. Go's letters and digits are those
/// of ASCII.
///
/// # Errors
/// A class of Unicode that is none.
pub(super) fn shorthand(text: &str) -> Result<Option<(String, &str)>, Wrong<'_>> {
    let Some(second) = text.strip_prefix('\\').and_then(|t| t.chars().next()) else {
        return Ok(None);
    };
    let class = match second {
        'd' => "0-9",
        'D' => "[^0-9]",
        's' => "\\t\\n\\x0c\\r\\x20",
        'S' => "[^\\t\\n\\x0c\\r\\x20]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return unicode(text, second == 'P').map(Some),
        _ => return Ok(None),
    };
    Ok(Some((class.to_owned(), &text[2..])))
}

fn unicode(text: &str, mut negative: bool) -> Result<(String, &str), Wrong<'_>> {
    let after = &text[2..];
    let (name, rest) = match after.strip_prefix('{') {
        Some(inside) => inside.split_once('}').ok_or((RANGE, text))?,
        None => {
            let size = after.chars().next().map_or(0, char::len_utf8);
            after.split_at(size)
        }
    };
    let all = &text[..text.len() - rest.len()];
    let name = match name.strip_prefix('^') {
        Some(name) => {
            negative = !negative;
            name
        }
        None => name,
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let letter = if negative { 'P' } else { 'p' };
    let class = format!("\\{letter}{{{name}}}");
    let known = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(word)
        && Regex::new(&class).is_ok();
    match known {
        true => Ok((class, rest)),
        false => Err((RANGE, all)),
    }
}
