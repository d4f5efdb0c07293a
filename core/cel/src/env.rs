//! What expressions may name.

use crate::error::CompileError;
use crate::program::Program;
use crate::types::Type;
use std::collections::BTreeMap;

/// The variables that expressions may name; the libraries are always those of the API server.
#[derive(Clone, Debug, Default)]
pub struct Env {
    pub(crate) variables: BTreeMap<String, Type>,
}

impl Env {
    /// The libraries alone.
    pub fn new() -> Env {
        Env::default()
    }

    /// With a variable.
    pub fn variable(mut self, name: &str, of: Type) -> Env {
        self.variables.insert(name.to_owned(), of);
        self
    }

    /// Parses and checks `text`.
    ///
    /// # Errors
    /// Every mistake, with its place: `ERROR: <input>:1:6: undeclared reference to 'x' …`.
    pub fn compile(&self, text: &str) -> Result<Program, CompileError> {
        Program::compile(text, self)
    }
}
