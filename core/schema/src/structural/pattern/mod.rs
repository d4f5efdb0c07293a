//! Patterns: Go's regular expressions, checked with Go's words, compiled at first use.

mod class;
mod escape;
mod go;

use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;

/// Most memory that a compiled pattern may take, in bytes.
const COMPILED_SIZE: usize = 32 << 20;

/// A regular expression of a schema.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Takes the text; it is compiled when first asked.
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found in the text; one that does not compile is found nowhere.
    pub(super) fn found_in(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| compile(&self.text));
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// Whether it is a regular expression.
    ///
    /// # Errors
    /// What Go says about it: `error parsing regexp: missing closing ): …`.
    pub(super) fn check(&self) -> Result<(), String> {
        go::translate(&self.text).map(|_| ())
    }
}

fn compile(text: &str) -> Option<Regex> {
    let translated = go::translate(text).ok()?;
    let mut builder = RegexBuilder::new(&translated);
    builder.size_limit(COMPILED_SIZE).nest_limit(1000);
    builder.build().ok()
}

#[cfg(test)]
mod tests;
