//! Walks over text that [`super::check`] accepted.

use crate::DecodeError;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// Stored objects are read back by a parser that allows 128 levels.
const MAX_LEVELS: usize = 120;

/// More levels than can be stored.
#[derive(Debug, PartialEq)]
pub(crate) struct TooDeep;

impl From<TooDeep> for DecodeError {
    fn from(_: TooDeep) -> Self {
        Self::new("exceeded max depth")
    }
}

/// A place in a JSON text. Where text that was not checked would be a mistake, it reads as null.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    levels: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            levels: 0,
        }
    }

    /// The first byte of the next value or mark; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Skips `mark` if it is next.
    fn take(&mut self, mark: u8) -> bool {
        let found = self.peek() == mark;
        if found {
            self.at += 1;
        }
        found
    }

    /// Enters an object or array; call `next_key` or `next_item` until they end it.
    pub(crate) fn enter(&mut self) -> Result<(), TooDeep> {
        self.peek();
        self.at += 1;
        self.levels += 1;
        if self.levels > MAX_LEVELS {
            Err(TooDeep)
        } else {
            Ok(())
        }
    }

    /// Steps to the next key of an object; `None` leaves the object.
    pub(crate) fn next_key(&mut self) -> Option<Cow<'a, str>> {
        self.take(b',');
        if self.peek() != b'"' {
            self.at += 1;
            self.levels = self.levels.saturating_sub(1);
            return None;
        }
        let key = self.string();
        self.take(b':');
        Some(key)
    }

    /// Steps to the next element of an array; false leaves the array.
    pub(crate) fn next_item(&mut self) -> bool {
        self.take(b',');
        let byte = self.peek();
        if byte == b']' || byte == 0 {
            self.at += 1;
            self.levels = self.levels.saturating_sub(1);
            return false;
        }
        true
    }

    /// Skips one value and gives its text.
    pub(crate) fn raw(&mut self) -> &'a [u8] {
        self.peek();
        let start = self.at;
        self.skip();
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip(&mut self) {
        let mut open = 0usize;
        loop {
            match self.peek() {
                0 => return,
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open = open.saturating_sub(1);
                    self.at += 1;
                }
                b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                b'"' => {
                    self.string_end();
                }
                _ => {
                    self.scalar();
                }
            }
            if open == 0 {
                return;
            }
        }
    }

    /// The text of a number, `true`, `false` or `null`.
    pub(crate) fn scalar(&mut self) -> &'a str {
        self.peek();
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') =
            self.text.get(self.at)
        {
            self.at += 1;
        }
        if self.at == start {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// Moves behind a string; its text without quotes, and whether it has escapes.
    fn string_end(&mut self) -> (&'a [u8], bool) {
        self.peek();
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        (text, escaped)
    }

    /// A string, unescaped.
    pub(crate) fn string(&mut self) -> Cow<'a, str> {
        let (text, escaped) = self.string_end();
        if escaped {
            Cow::Owned(unescape(text))
        } else {
            repaired(text)
        }
    }

    /// Any value.
    pub(crate) fn value(&mut self) -> Result<Value, TooDeep> {
        Ok(match self.peek() {
            b'{' => {
                self.enter()?;
                let mut object = Map::new();
                while let Some(key) = self.next_key() {
                    let value = self.value()?;
                    object.insert(key.into_owned(), value);
                }
                Value::Object(object)
            }
            b'[' => {
                self.enter()?;
                let mut array = Vec::new();
                while self.next_item() {
                    array.push(self.value()?);
                }
                Value::Array(array)
            }
            b'"' => Value::String(self.string().into_owned()),
            _ => match self.scalar() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                text => number(text).map_or(Value::Null, Value::Number),
            },
        })
    }
}

/// Whole numbers stay whole when they fit; anything beyond a float's range is none.
pub(crate) fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// Go puts U+FFFD for every byte that is no UTF-8.
fn repaired(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut out = String::with_capacity(text.len());
            for chunk in text.utf8_chunks() {
                out.push_str(chunk.valid());
                out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            Cow::Owned(out)
        }
    }
}

fn unescape(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, after) = rest.split_at(at);
        out.push_str(&repaired(before));
        let (c, used) = escape(after);
        out.push(c);
        rest = after.get(used..).unwrap_or_default();
    }
    out.push_str(&repaired(rest));
    out
}

/// The character of the escape at the beginning of `text`, and how long it is written.
fn escape(text: &[u8]) -> (char, usize) {
    match text.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => unicode(text),
        Some(other) => (char::from(*other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// `\u` escapes; two that are a surrogate pair are one character.
fn unicode(text: &[u8]) -> (char, usize) {
    let Some(first) = hex(text) else {
        return (char::REPLACEMENT_CHARACTER, text.len());
    };
    if let Some(c) = char::from_u32(first) {
        return (c, 6);
    }
    let second = text.get(6..).and_then(hex).unwrap_or(0);
    if (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second) {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            12,
        );
    }
    (char::REPLACEMENT_CHARACTER, 6)
}

/// The number in `\uXXXX`.
fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
