//! Mail addresses, as Go's `net/mail` parses one: `a@b`, or `Name <a@b>`, with comments after.

/// `email`
pub(super) fn is_address(text: &str) -> bool {
    let rest = skip(text);
    if let Some(rest) = address(rest) {
        return ends(rest);
    }
    let Some(rest) = phrase(rest) else {
        return false;
    };
    let Some(rest) = skip(rest).strip_prefix('<') else {
        return false;
    };
    let Some(rest) = address(rest) else {
        return false;
    };
    rest.strip_prefix('>').is_some_and(ends)
}

fn ends(rest: &str) -> bool {
    let mut rest = skip(rest);
    while let Some(after) = comment(rest) {
        rest = skip(after);
    }
    rest.is_empty()
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn comment(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 => escaped = true,
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if depth == 0 => return None,
            _ => {}
        }
        if depth == 0 && at > 0 && c == ')' {
            return text.get(at + 1..);
        }
    }
    None
}

/// `local@domain`; what follows it.
fn address(text: &str) -> Option<&str> {
    let rest = match text.strip_prefix('"') {
        Some(_) => quoted(text)?,
        None => dot_atom(text)?,
    };
    let rest = skip(rest).strip_prefix('@')?;
    let rest = skip(rest);
    match rest.strip_prefix('[') {
        Some(literal) => {
            let (inner, after) = literal.split_once(']')?;
            inner.parse::<std::net::IpAddr>().is_ok().then_some(after)
        }
        None => dot_atom(rest),
    }
}

fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

fn dot_atom(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !is_atom(c) && c != '.')
        .unwrap_or(text.len());
    let (atom, rest) = text.split_at(end);
    let fine = !atom.is_empty() && atom.split('.').all(|part| !part.is_empty());
    fine.then_some(rest)
}

fn quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if at > 1 => return text.get(at + 1..),
            c if c.is_control() && c != '\t' => return None,
            _ => {}
        }
    }
    None
}

/// A name before an address in angle brackets; it may be missing.
fn phrase(text: &str) -> Option<&str> {
    let mut rest = skip(text);
    loop {
        let after = match rest.chars().next()? {
            '<' => return Some(rest),
            '"' => quoted(rest)?,
            c if is_atom(c) || c == '.' => rest.trim_start_matches(|c| is_atom(c) || c == '.'),
            _ => return None,
        };
        rest = skip(after);
    }
}
