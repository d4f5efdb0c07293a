//! Checks that a text is JSON, without recursion, and says in Go's words where it is not.

use crate::DecodeError;
use model::go_quote;

/// Go's limit of nesting.
const MAX_DEPTH: usize = 10_000;

type Check = Result<(), DecodeError>;

/// Checks the whole text.
///
/// # Errors
/// Go's text: `invalid character '}' looking for beginning of object key string`, `unexpected end
/// of JSON input`, `exceeded max depth`.
pub fn check(text: &[u8]) -> Result<(), DecodeError> {
    let mut scan = Scan {
        text,
        at: 0,
        open: Vec::new(),
    };
    scan.value()?;
    while let Some(container) = scan.open.last().copied() {
        scan.after_value(container)?;
    }
    match scan.blank() {
        None => Ok(()),
        Some(byte) => Err(invalid(byte, "after top-level value")),
    }
}

#[derive(Clone, Copy)]
enum Container {
    Object,
    Array,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Container>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips blanks; the byte after them.
    fn blank(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn next(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek().ok_or_else(end)?;
        self.at += 1;
        Ok(byte)
    }

    /// A value, or the beginning of a container that is not empty up to its first value.
    fn value(&mut self) -> Check {
        loop {
            let byte = self.blank().ok_or_else(end)?;
            self.at += 1;
            match byte {
                b'{' => {
                    self.open(Container::Object)?;
                    if self.closes(b'}')? {
                        return Ok(());
                    }
                    self.key()?;
                }
                b'[' => {
                    self.open(Container::Array)?;
                    if self.closes(b']')? {
                        return Ok(());
                    }
                }
                _ => return self.scalar(byte),
            }
        }
    }

    fn open(&mut self, container: Container) -> Check {
        self.open.push(container);
        if self.open.len() > MAX_DEPTH {
            return Err(DecodeError::new("exceeded max depth"));
        }
        Ok(())
    }

    /// Whether the container that was just opened ends at once.
    fn closes(&mut self, mark: u8) -> Result<bool, DecodeError> {
        let closes = self.blank().ok_or_else(end)? == mark;
        if closes {
            self.at += 1;
            self.open.pop();
        }
        Ok(closes)
    }

    /// What follows a value inside a container: the end of it, or the next value.
    fn after_value(&mut self, container: Container) -> Check {
        let byte = self.blank().ok_or_else(end)?;
        self.at += 1;
        match (container, byte) {
            (Container::Object, b'}') | (Container::Array, b']') => {
                self.open.pop();
                Ok(())
            }
            (Container::Object, b',') => {
                self.key()?;
                self.value()
            }
            (Container::Array, b',') => self.value(),
            (Container::Object, _) => Err(invalid(byte, "after object key:value pair")),
            (Container::Array, _) => Err(invalid(byte, "after array element")),
        }
    }

    fn key(&mut self) -> Check {
        let byte = self.blank().ok_or_else(end)?;
        if byte != b'"' {
            return Err(invalid(byte, "looking for beginning of object key string"));
        }
        self.at += 1;
        self.string()?;
        let byte = self.blank().ok_or_else(end)?;
        self.at += 1;
        if byte == b':' {
            Ok(())
        } else {
            Err(invalid(byte, "after object key"))
        }
    }

    fn scalar(&mut self, first: u8) -> Check {
        match first {
            b'"' => self.string(),
            b'-' => match self.next()? {
                byte @ b'0'..=b'9' => self.number(byte),
                byte => Err(invalid(byte, "in numeric literal")),
            },
            b'0'..=b'9' => self.number(first),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(invalid(first, "looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str) -> Check {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting {})", quote(expected));
                return Err(invalid(byte, &context));
            }
        }
        Ok(())
    }

    /// The rest of a string, after its first quote.
    fn string(&mut self) -> Check {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Check {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.next()?;
                    if !byte.is_ascii_hexdigit() {
                        return Err(invalid(byte, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            byte => Err(invalid(byte, "in string escape code")),
        }
    }

    /// The rest of a number, after its first digit.
    fn number(&mut self, first: u8) -> Check {
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digit(&mut self, context: &str) -> Check {
        match self.next()? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            byte => Err(invalid(byte, context)),
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }
}

fn end() -> DecodeError {
    DecodeError::new("unexpected end of JSON input")
}

fn invalid(byte: u8, context: &str) -> DecodeError {
    DecodeError::new(format!("invalid character {} {context}", quote(byte)))
}

/// Go quotes the byte as the character of that number.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => {
            let quoted = go_quote(char::from(byte).encode_utf8(&mut [0; 4]));
            format!("'{}'", quoted.trim_matches('"'))
        }
    }
}
