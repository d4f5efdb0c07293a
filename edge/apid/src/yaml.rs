//! YAML bodies, with the words of Go's parser for the bad ones.

mod tree;

use serde_json::Value;
use serde_saphyr::options;
use tree::Tree;

/// Reads the first document.
///
/// # Errors
/// The parser's sentence.
pub(crate) fn read(text: &[u8]) -> Result<Value, String> {
    Ok(document(text)?.0)
}

/// Reads the first document. Of several keys of one name the last counts; what strict reading says
/// about the others comes with it.
///
/// # Errors
/// The parser's sentence.
pub(crate) fn document(text: &[u8]) -> Result<(Value, Vec<String>), String> {
    let text =
        std::str::from_utf8(text).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let first = first_document(text);
    if first.trim().is_empty() {
        return Ok((Value::Null, Vec::new()));
    }
    let options = options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
    };
    let tree: Option<Tree> = serde_saphyr::from_str_with_options(first, options)
        .map_err(|error| explain(first, &error))?;
    let tree = tree.unwrap_or_default();
    let repeated = tree
        .repeated
        .iter()
        .map(|(line, key)| {
            let key = model::go_quote(key);
            format!("line {line}: key {key} already set in map")
        })
        .collect();
    Ok((tree.value, repeated))
}

/// The text up to the mark that begins a second document.
fn first_document(text: &str) -> &str {
    let mut at = 0;
    let mut has_begun = false;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_end();
        let is_mark = |mark: &str| {
            trimmed == mark
                || trimmed
                    .strip_prefix(mark)
                    .is_some_and(|r| r.starts_with(' '))
        };
        if has_begun && (is_mark("---") || is_mark("...")) {
            return &text[..at];
        }
        let is_blank = trimmed.is_empty() || trimmed.starts_with(['#', '%']);
        has_begun |= !is_blank;
        at += line.len();
    }
    text
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
    let told = error.to_string();
    let told = told.lines().next().unwrap_or_default();
    let why = told.rsplit_once(": ").map_or(told, |(_, why)| why);
    if why == "alias references unknown anchor" {
        let column = error.location().map_or(1, |at| at.column());
        let name = alias_at(text, line, column);
        return format!("yaml: unknown anchor '{name}' referenced");
    }
    // The first line has no number there.
    if line == 1 {
        return format!("yaml: {why}");
    }
    format!("yaml: line {line}: {why}")
}

/// The name behind the `*` at a place, which counts from 1.
fn alias_at(text: &str, line: u64, column: u64) -> String {
    let skip = |from: u64| usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.lines().nth(skip(line)).unwrap_or_default();
    let rest = line.chars().skip(skip(column)).skip_while(|c| *c == '*');
    rest.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect()
}
