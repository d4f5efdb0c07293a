//! The text of an expression, and mistakes shown in it.

use crate::error::CompileError;
use std::fmt::Write;

/// No more mistakes than this are shown.
const MOST_ERRORS: usize = 100;

/// Lines longer than this are not shown.
const LONGEST_SNIPPET: usize = 16_384;

/// Where a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Nowhere: the expression as a whole.
    None,
    /// At an offset in characters.
    Offset(u32),
}

/// Collects the mistakes in one text.
#[derive(Debug)]
pub(crate) struct Issues<'t> {
    text: &'t str,
    found: Vec<(Place, String)>,
    total: usize,
}

impl<'t> Issues<'t> {
    pub(crate) fn new(text: &'t str) -> Issues<'t> {
        Issues {
            text,
            found: Vec::new(),
            total: 0,
        }
    }

    pub(crate) fn report(&mut self, place: Place, message: impl Into<String>) {
        self.total += 1;
        if self.total <= MOST_ERRORS {
            self.found.push((place, message.into()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// All mistakes, in the order of their places.
    pub(crate) fn into_error(mut self) -> CompileError {
        self.found.sort_by_key(|(place, _)| *place);
        let mut out = String::new();
        for (place, message) in &self.found {
            if !out.is_empty() {
                out.push('\n');
            }
            self.show(&mut out, *place, message);
        }
        if self.total > MOST_ERRORS {
            let more = self.total - MOST_ERRORS;
            let _ = write!(out, "\n{more} more errors were truncated");
        }
        CompileError { text: out }
    }

    fn show(&self, out: &mut String, place: Place, message: &str) {
        let Place::Offset(offset) = place else {
            let _ = write!(out, "ERROR: <input>:-1:0: {message}");
            return;
        };
        let (line, column, snippet) = self.locate(offset as usize);
        let _ = write!(out, "ERROR: <input>:{line}:{}: {message}", column + 1);
        if snippet.len() > LONGEST_SNIPPET {
            return;
        }
        let _ = write!(out, "\n | {}\n | ", snippet.replace('\t', " "));
        let wide = |c: char| c.len_utf8() > 1;
        for c in snippet.chars().take(column) {
            out.push(if wide(c) { '\u{ff0e}' } else { '.' });
        }
        let under = snippet.chars().nth(column);
        out.push(if under.is_some_and(wide) {
            '\u{ff3e}'
        } else {
            '^'
        });
    }

    /// The line (from 1), the column in characters (from 0), and the text of the line.
    fn locate(&self, offset: usize) -> (usize, usize, &'t str) {
        let mut start = 0;
        let lines = self.text.split('\n');
        let mut last = (1, 0, "");
        for (index, line) in lines.enumerate() {
            let length = line.chars().count();
            last = (index + 1, offset.saturating_sub(start), line);
            if offset <= start + length {
                break;
            }
            start += length + 1;
        }
        last
    }
}
