//! From text to an expression.
//!
//! The parser tells mistakes in the words of the generated parser that the API server uses, and
//! recovers from them in the same way, because users see the texts.

mod lexer;
mod macros;
mod node;
mod parser;
mod primary;
mod recover;
mod token;
mod unescape;

use crate::ast::Ast;
use crate::source::{Issues, Place};

/// The longest expression, in characters.
const LONGEST: usize = 100_000;

/// Parses `text`; what is wrong goes to `issues`.
pub(crate) fn parse(text: &str, issues: &mut Issues<'_>) -> Option<Ast> {
    let size = text.chars().count();
    if size > LONGEST {
        issues.report(
            Place::None,
            format!("expression code point size exceeds limit: size: {size}, limit {LONGEST}"),
        );
        return None;
    }
    let tokens = lexer::lex(text, issues);
    let ast = parser::Parser::new(text, tokens, issues).parse()?;
    issues.is_empty().then_some(ast)
}
