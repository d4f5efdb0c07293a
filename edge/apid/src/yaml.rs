//! YAML bodies, with the words of Go's parser for the bad ones.

use serde_json::Value;

/// Reads the first document.
///
/// # Errors
/// The parser's sentence.
pub(crate) fn read(text: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(text).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    serde_saphyr::from_str(text).map_err(|error| explain(text, &error))
}

/// The sentence of libyaml for the mistakes that people make.
fn explain(text: &str, error: &serde_saphyr::Error) -> String {
    let line = error.location().map_or(1, |at| at.line());
    if let Some(at) = text.lines().position(|line| line.starts_with('\t')) {
        return format!(
            "yaml: line {}: found character that cannot start any token",
            at + 1
        );
    }
    let (open, close) = (
        text.matches(['[', '{']).count(),
        text.matches([']', '}']).count(),
    );
    if open > close {
        let last = text.trim_end().lines().count().max(1);
        return format!("yaml: line {last}: did not find expected node content");
    }
    format!("yaml: line {line}: {error}")
}
