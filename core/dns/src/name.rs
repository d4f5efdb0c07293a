//! Domain names in wire form (RFC 1035 section 3.1).

use std::fmt;

/// Longest name in wire form, the root's zero octet included.
pub(crate) const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;
/// Pointers followed in one name: each must point further back, so that real names need few.
const MAX_POINTERS: usize = 64;

/// An absolute domain name, in wire form without compression.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Two dots in a row, or one at the beginning
    EmptyLabel,
    /// A label of more than 63 octets
    LongLabel,
    /// More than 255 octets
    LongName,
    /// A backslash that begins no escape
    BadEscape,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "a label is empty",
            Self::LongLabel => "a label is longer than 63 octets",
            Self::LongName => "the name is longer than 255 octets",
            Self::BadEscape => "a backslash is not followed by a character or three digits",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads presentation form; a missing final dot is added. Letter case is kept.
    ///
    /// # Errors
    /// When the text is no domain name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::new();
        let mut bytes = text.bytes().peekable();
        if text == "." || text.is_empty() {
            return Ok(Self::root());
        }
        while let Some(byte) = bytes.next() {
            match byte {
                b'.' => push_label(&mut wire, &mut label)?,
                b'\\' => label.push(escaped(&mut bytes)?),
                _ => label.push(byte),
            }
        }
        if !label.is_empty() {
            push_label(&mut wire, &mut label)?;
        }
        wire.push(0);
        if wire.len() > MAX_NAME {
            return Err(NameError::LongName);
        }
        Ok(Self(wire.into()))
    }

    /// A name out of its labels, the leftmost first.
    ///
    /// # Errors
    /// When a label is empty or anything is too long.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            push_label(&mut wire, &mut label.to_vec())?;
        }
        wire.push(0);
        if wire.len() > MAX_NAME {
            return Err(NameError::LongName);
        }
        Ok(Self(wire.into()))
    }

    /// Takes octets that were checked to be a whole uncompressed name.
    pub(crate) fn from_checked(wire: &[u8]) -> Self {
        Self(wire.into())
    }

    /// The name with one more label on the left.
    pub(crate) fn below(&self, label: &[u8]) -> Result<Self, NameError> {
        Self::from_labels(std::iter::once(label).chain(labels(&self.0)))
    }

    /// The octets, the root's zero included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The name in lower case, as names are compared.
    pub fn to_lower(&self) -> Self {
        // Length octets are below 64 and therefore no letters.
        Self(self.0.to_ascii_lowercase().into())
    }

    /// The labels from left to right, without the root's empty one.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(&self.0)
    }

    /// Reads a name that begins at `at` of a message and follows compression pointers. Gives also
    /// the offset behind it. `None` for anything malformed, a pointer forward among it.
    pub(crate) fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut wire = Vec::with_capacity(64);
        let (mut at, mut end, mut barrier) = (at, None, at);
        for _ in 0..=MAX_POINTERS {
            loop {
                let length = usize::from(*message.get(at)?);
                if length & 0xC0 == 0xC0 {
                    break;
                }
                if length > MAX_LABEL {
                    return None;
                }
                wire.extend_from_slice(message.get(at..=at + length)?);
                if wire.len() > MAX_NAME {
                    return None;
                }
                at += length + 1;
                if length == 0 {
                    return Some((Self(wire.into()), end.unwrap_or(at)));
                }
            }
            let pointer = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]) & 0x3FFF;
            end.get_or_insert(at + 2);
            at = usize::from(pointer);
            if at >= barrier {
                return None;
            }
            barrier = at;
        }
        None
    }
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
    if length == 0 {
        return Err(NameError::EmptyLabel);
    }
    if usize::from(length) > MAX_LABEL {
        return Err(NameError::LongLabel);
    }
    wire.push(length);
    wire.append(label);
    Ok(())
}

fn escaped(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit);
        value = value * 10 + u32::from(digit.ok_or(NameError::BadEscape)? - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

/// The labels of a well-formed uncompressed name.
pub(crate) fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, tail) = tail.split_at_checked(usize::from(length))?;
        rest = tail;
        Some(label)
    })
}

/// Whether a well-formed name is `zone` or lies below it; both in lower case.
pub(crate) fn is_below(name: &[u8], zone: &[u8]) -> bool {
    if !name.ends_with(zone) {
        return false;
    }
    // The same octets inside of a label would be no such thing.
    let (mut at, start) = (0, name.len() - zone.len());
    while at < start {
        at += usize::from(name[at]) + 1;
    }
    at == start
}

/// Length of the uncompressed name at the beginning of `wire`; `None` when it is malformed, holds
/// a pointer or runs past the end.
pub(crate) fn uncompressed_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*wire.get(at)?);
        at += length + 1;
        if length > MAX_LABEL || at > MAX_NAME {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'"' | b'\\' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7E => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_presentation_form() {
        for (text, printed) in [
            ("web.shop", "web.shop."),
            ("Web.Shop.", "Web.Shop."),
            (".", "."),
            (r"w\.eb\032\\.x", r"w\.eb\032\\.x."),
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Name::parse("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::parse(".a"), Err(NameError::EmptyLabel));
        assert_eq!(Name::parse(r"a\9"), Err(NameError::BadEscape));
        assert_eq!(Name::parse(&"x".repeat(64)), Err(NameError::LongLabel));
        let long = [
            "x".repeat(63),
            "y".repeat(63),
            "z".repeat(63),
            "w".repeat(63),
        ]
        .join(".");
        assert_eq!(Name::parse(&long), Err(NameError::LongName));
    }

    #[test]
    fn follows_pointers_backwards_only() {
        let message = b"\x03com\x00\x03foo\xC0\x00\xC0\x05\xC0\x0D";
        assert_eq!(Name::read(message, 5).unwrap().0.to_string(), "foo.com.");
        assert_eq!(
            Name::read(message, 11),
            Some((Name::parse("foo.com").unwrap(), 13))
        );
        assert_eq!(Name::read(message, 13), None, "a pointer to itself");
        assert_eq!(Name::read(b"\x03fo", 0), None);
        assert_eq!(Name::read(b"\x80fo", 0), None);
    }
}
