//! What is wrong with a user's object, and how to mend it.

use crate::ObjectKey;
use serde::Serialize;

/// How much a [`Problem`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something the user asked for does not work
    Error,
    /// It works, but not as the user may think
    Warning,
}

/// One mistake in one object. It becomes an event, a condition, a line of `plan` and of `explain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The object
    pub object: ObjectKey,
    /// Path of the field, e.g. `spec.rules[0].http.paths[1].backend.service.name`; may be empty
    pub field: String,
    /// Error or warning
    pub severity: Severity,
    /// UpperCamelCase, stable: usable as an event's reason
    pub reason: &'static str,
    /// What is wrong, in one sentence
    pub message: String,
    /// What to do about it, in one sentence
    pub cure: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.cure.is_empty() {
            write!(f, " Cure: {}", self.cure)?;
        }
        Ok(())
    }
}
