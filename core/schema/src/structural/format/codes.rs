//! Identifiers, colours, numbers with check digits, base64.

/// Only hexadecimal digits.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// `uuid`, `uuid3`, `uuid4`, `uuid5`: groups of hexadecimal digits, with or without dashes between.
pub(super) fn is_uuid(text: &str, version: Option<char>) -> bool {
    let mut rest = text;
    for (at, size) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((group, after)) = rest.split_at_checked(size) else {
            return false;
        };
        let first = group.chars().next().unwrap_or(' ');
        let fits = match (at, version) {
            (2, Some(version)) => first == version,
            (3, Some('4' | '5')) => matches!(first, '8' | '9' | 'a' | 'b' | 'A' | 'B'),
            _ => true,
        };
        if !fits || !is_hex(group) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn without_blanks_and_dashes(text: &str) -> Vec<u8> {
    let keep = |c: &char| !matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c' | '-');
    text.chars().filter(keep).collect::<String>().into_bytes()
}

/// `isbn10`
pub(super) fn is_isbn10(text: &str) -> bool {
    let digits = without_blanks_and_dashes(text);
    let Some((last, first)) = digits.split_last() else {
        return false;
    };
    if digits.len() != 10 || !first.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let check = match last {
        b'X' => 10,
        c if c.is_ascii_digit() => u32::from(c - b'0'),
        _ => return false,
    };
    let sum: u32 = (1..)
        .zip(first)
        .map(|(at, c)| at * u32::from(c - b'0'))
        .sum();
    (sum + 10 * check).is_multiple_of(11)
}

/// `isbn13`
pub(super) fn is_isbn13(text: &str) -> bool {
    let digits = without_blanks_and_dashes(text);
    if digits.len() != 13 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = [1, 3].into_iter().cycle();
    let sum: u32 = digits
        .iter()
        .zip(weights)
        .map(|(c, weight)| weight * u32::from(c - b'0'))
        .sum();
    sum.is_multiple_of(10)
}

/// `creditcard`: the prefixes and lengths of the issuers, and the check digit.
pub(super) fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let starts = |words: &[&str]| words.iter().any(|word| digits.starts_with(word));
    let known = match digits.len() {
        13 => starts(&["4"]),
        14 => starts(&["36", "38", "300", "301", "302", "303", "304", "305"]),
        15 => starts(&["34", "37", "2131", "1800"]),
        16 => starts(&["4", "51", "52", "53", "54", "55", "6011", "65", "35"]),
        _ => false,
    };
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, c)| {
            let digit = u32::from(c - b'0');
            match (at % 2, digit * 2) {
                (0, _) => digit,
                (_, twice) if twice >= 10 => twice % 10 + 1,
                (_, twice) => twice,
            }
        })
        .sum();
    known && sum.is_multiple_of(10)
}

/// `ssn`: eleven characters, digits in groups of 3, 2 and 4.
pub(super) fn is_ssn(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 11
        && bytes.iter().enumerate().all(|(at, c)| match at {
            3 | 6 => matches!(c, b'-' | b' '),
            _ => c.is_ascii_digit(),
        })
}

/// `hexcolor`
pub(super) fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && is_hex(digits)
}

/// `rgbcolor`
pub(super) fn is_rgb_color(text: &str) -> bool {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
    let inner = text.strip_prefix("rgb(").and_then(|t| t.strip_suffix(')'));
    let Some(inner) = inner else { return false };
    let parts: Vec<&str> = inner
        .split(',')
        .map(|part| part.trim_matches(blank))
        .collect();
    let byte = |part: &&str| {
        part.bytes().all(|c| c.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
            && part.parse::<u8>().is_ok()
    };
    parts.len() == 3 && parts.iter().all(byte)
}

/// `byte`: standard base64 with padding, and not empty.
pub(super) fn is_base64(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) {
        return false;
    }
    let padding = bytes.iter().rev().take_while(|c| **c == b'=').count();
    let digit = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    padding <= 2 && bytes[..bytes.len() - padding].iter().all(digit)
}
