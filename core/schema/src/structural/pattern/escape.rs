//! Escapes of single characters.

use super::go::Wrong;

/// A character that stands for itself.
pub(super) fn literal(c: char) -> String {
    match c {
        c if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() => c.to_string(),
        c => format!("\\x{{{:x}}}", c as u32),
    }
}

/// The character that an escape at the start of `text` means.
///
/// # Errors
/// `invalid escape sequence` and what Go shows of it.
pub(super) fn read(text: &str) -> Result<(char, &str), Wrong<'_>> {
    let Some(c) = text[1..].chars().next() else {
        return Err(("trailing backslash at end of expression", ""));
    };
    let rest = &text[1 + c.len_utf8()..];
    let octal = |c: Option<char>| c.filter(|c| ('0'..='7').contains(c));
    match c {
        '0' => Ok(octal_digits(&text[1..])),
        '1'..='7' if octal(rest.chars().next()).is_some() => Ok(octal_digits(&text[1..])),
        'x' => hexadecimal(text, rest),
        'a' => Ok(('\u{7}', rest)),
        'f' => Ok(('\u{c}', rest)),
        'n' => Ok(('\n', rest)),
        'r' => Ok(('\r', rest)),
        't' => Ok(('\t', rest)),
        'v' => Ok(('\u{b}', rest)),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((c, rest)),
        _ => Err(wrong(text, rest)),
    }
}

fn wrong<'a>(text: &'a str, rest: &str) -> Wrong<'a> {
    ("invalid escape sequence", &text[..text.len() - rest.len()])
}

fn octal_digits(text: &str) -> (char, &str) {
    let digits = text
        .bytes()
        .take(3)
        .take_while(|c| (b'0'..=b'7').contains(c));
    let (count, value) = digits.fold((0, 0u32), |(count, value), c| {
        (count + 1, value * 8 + u32::from(c - b'0'))
    });
    (char::from_u32(value).unwrap_or('\0'), &text[count..])
}

fn hexadecimal<'a>(text: &'a str, rest: &'a str) -> Result<(char, &'a str), Wrong<'a>> {
    let Some(inside) = rest.strip_prefix('{') else {
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let after = chars.as_str();
        let digit = |c: Option<char>| c.and_then(|c| c.to_digit(16));
        return match (digit(first), digit(second)) {
            (Some(high), Some(low)) => {
                let value = char::from_u32(high * 16 + low);
                Ok((value.unwrap_or('\0'), after))
            }
            _ => Err(wrong(text, after)),
        };
    };
    let mut value = 0u32;
    for (at, c) in inside.char_indices() {
        let after = &inside[at + c.len_utf8()..];
        match (c, c.to_digit(16)) {
            ('}', _) if at > 0 => {
                let c = char::from_u32(value);
                return c.map(|c| (c, after)).ok_or(wrong(text, after));
            }
            (_, Some(digit)) if value * 16 + digit <= 0x0010_ffff => value = value * 16 + digit,
            _ => return Err(wrong(text, after)),
        }
    }
    Err(wrong(text, ""))
}
