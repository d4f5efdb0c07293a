//! Names of fields as expressions write them: what is no identifier is escaped.

use std::borrow::Cow;

/// Words that are fields only in escaped form.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const CODES: [(&str, &str); 4] = [
    ("__", "__underscores__"),
    (".", "__dot__"),
    ("-", "__dash__"),
    ("/", "__slash__"),
];

/// Whether a name is a word of the language, and so no identifier; as a field it may be written
/// plainly, too.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name that expressions use for the field `name`, or None when there is none.
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(Cow::Owned(format!("__{name}__")));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if !name.chars().all(allowed) {
        return None;
    }
    if !name.contains(['-', '.', '/']) && !name.contains("__") {
        return Some(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len() + 16);
    let mut rest = name;
    'next: while let Some(first) = rest.chars().next() {
        for (plain, code) in CODES {
            if let Some(after) = rest.strip_prefix(plain) {
                out.push_str(code);
                rest = after;
                continue 'next;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Some(Cow::Owned(out))
}

/// The field that expressions mean with `name`, or None when it is no escaped name.
pub fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains("__") {
        return Some(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let Some((word, after)) = code_at(rest) else {
            let end = rest.chars().next().map_or(rest.len(), char::len_utf8);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        };
        match CODES
            .iter()
            .find(|(_, code)| code[2..code.len() - 2] == *word)
        {
            Some((plain, _)) => out.push_str(plain),
            None if RESERVED.contains(&word) && word.len() + 4 == name.len() => out.push_str(word),
            None => return None,
        }
        rest = after;
    }
    Some(Cow::Owned(out))
}

/// `__word__` at the start: the word, without underscores, and what follows.
fn code_at(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("__")?;
    let end = inner.find('_')?;
    let after = inner[end..].strip_prefix("__")?;
    (end > 0).then_some((&inner[..end], after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_as_the_api_does() {
        let cases = [
            ("a", Some("a")),
            ("a.b", Some("a__dot__b")),
            ("a-b", Some("a__dash__b")),
            ("a/b", Some("a__slash__b")),
            ("a__b", Some("a__underscores__b")),
            ("a___b", Some("a__underscores___b")),
            ("namespace", Some("__namespace__")),
            ("", None),
            ("1a", None),
            ("a b", None),
        ];
        for (name, escaped) in cases {
            assert_eq!(escape(name).as_deref(), escaped, "{name}");
        }
        assert_eq!(unescape("a__bogus__"), None);
        assert_eq!(unescape("__if__x"), None);
    }

    proptest! {
        #[test]
        fn an_escaped_name_leads_back(name in "[a-z_][a-z0-9_./-]{0,12}") {
            if let Some(escaped) = escape(&name) {
                let back = unescape(&escaped);
                prop_assert_eq!(back.as_deref(), Some(name.as_str()));
            }
        }
    }
}
