//! `fieldSelector`: `metadata.name=a,status.phase!=Running`.

/// A parsed field selector; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Parses the text of a query parameter.
    ///
    /// # Errors
    /// The sentence that the API answers with 400.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let (field, equal, value) = split_term(part)
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            terms.push(Term {
                field: field.to_owned(),
                equal,
                value: unescape(value)?,
            });
        }
        Ok(Self { terms })
    }

    /// Selects one name, as the old `/watch/…/NAME` paths do.
    pub fn name(name: &str) -> Self {
        Self {
            terms: vec![Term {
                field: "metadata.name".to_owned(),
                equal: true,
                value: name.to_owned(),
            }],
        }
    }

    /// Both selectors at once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The fields that are asked for, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.field.as_str())
    }

    /// Rewrites field names, e.g. from one version of a kind to the stored one.
    pub fn rename(&mut self, rename: impl Fn(&str) -> Option<&'static str>) {
        for term in &mut self.terms {
            if let Some(new) = rename(&term.field) {
                term.field = new.to_owned();
            }
        }
    }

    /// The name that is asked for, when it is asked for exactly.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let found = self.terms.iter().find(|t| t.field == field && t.equal);
        found.map(|term| term.value.as_str())
    }

    /// Whether an object is selected; `value` looks up its fields.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> std::borrow::Cow<'a, str>) -> bool {
        self.terms
            .iter()
            .all(|term| (value(&term.field) == term.value.as_str()) == term.equal)
    }
}

/// Splits at commas that no backslash guards.
fn split_terms(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term
        .char_indices()
        .map(|(i, _)| i)
        .find(|i| term[*i..].starts_with("!=") || term[*i..].starts_with('='))?;
    let (field, rest) = term.split_at(at);
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((field, equal, value));
        }
    }
    None
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{c}"
                    ));
                }
                None => {
                    return Err("invalid field selector: invalid escape sequence: \\".to_owned());
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    c as u32
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn value(field: &str) -> Cow<'static, str> {
        Cow::Borrowed(match field {
            "metadata.name" => "a",
            "x" => "1,2",
            _ => "",
        })
    }

    #[test]
    fn terms_are_all_to_hold() {
        for (text, want) in [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name==a,spec.nodeName=", true),
            ("metadata.name!=a", false),
            ("x=1\\,2", true),
            ("metadata.name=a,metadata.name=b", false),
        ] {
            let got = FieldSelector::parse(text).map(|s| s.matches(value));
            assert_eq!(got, Ok(want), "{text}");
        }
    }

    #[test]
    fn bad_ones_answer_as_the_original() {
        for (text, want) in [
            (
                "a in (b)",
                "invalid selector: 'a in (b)'; can't understand 'a in (b)'",
            ),
            (
                "a=b=c",
                "invalid field selector: unescaped character in value: 61",
            ),
            (
                "a=\\z",
                "invalid field selector: invalid escape sequence: \\z",
            ),
        ] {
            assert_eq!(FieldSelector::parse(text), Err(want.to_owned()), "{text}");
        }
    }
}
