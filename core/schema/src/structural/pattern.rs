//! Patterns: Go's regular expressions, compiled at first use.

use regex::Regex;
use std::sync::OnceLock;

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
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.text).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// Whether it can be compiled.
    ///
    /// # Errors
    /// What Go says about it: `error parsing regexp: missing closing ): …`.
    pub(super) fn check(&self) -> Result<(), String> {
        match Regex::new(&self.text) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("error parsing regexp: `{}`", self.text)),
        }
    }
}
