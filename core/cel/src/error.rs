//! What can go wrong, in the texts that users of the API know.

use std::fmt;
use std::sync::Arc;

/// Why an expression is not accepted. Shown as every mistake with its place and the line it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    pub(crate) text: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CompileError {}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalError {
    /// The expression failed.
    Failed(Arc<str>),
    /// It cost more than it may.
    Limit,
}

impl EvalError {
    pub(crate) fn new(text: impl Into<String>) -> EvalError {
        EvalError::Failed(Arc::from(text.into()))
    }

    pub(crate) fn no_overload() -> EvalError {
        EvalError::new("no such overload")
    }
}

impl From<String> for EvalError {
    fn from(text: String) -> EvalError {
        EvalError::new(text)
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Failed(text) => f.write_str(text),
            EvalError::Limit => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}

impl std::error::Error for EvalError {}
