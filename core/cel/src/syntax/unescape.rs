//! What a string or bytes literal means.

/// The octets of a literal as written, without the `b`; for strings they are UTF-8.
///
/// # Errors
/// The text for the user.
pub(super) fn unescape(literal: &str, bytes: bool) -> Result<Vec<u8>, &'static str> {
    let text = literal.replace("\r\n", "\n").replace('\r', "\n");
    let body = text.trim_start_matches(['r', 'R']);
    let raw = body.len() != text.len();
    let inner = unquote(body).ok_or("unable to unescape string")?;
    if raw || !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\\' {
            rest = one(rest, bytes, &mut out)?;
        } else {
            push(c, &mut out);
        }
    }
    Ok(out)
}

fn unquote(body: &str) -> Option<&str> {
    for quote in ["'''", "\"\"\"", "'", "\""] {
        if body.len() >= 2 * quote.len()
            && let Some(inner) = body.strip_prefix(quote)
        {
            return inner.strip_suffix(quote);
        }
    }
    None
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// One escape after its backslash; returns what follows it.
fn one<'t>(rest: &'t str, bytes: bool, out: &mut Vec<u8>) -> Result<&'t str, &'static str> {
    const BAD: &str = "unable to unescape string";
    let kind = rest.chars().next().ok_or(BAD)?;
    let after = &rest[kind.len_utf8()..];
    let plain = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '\'' | '"' | '`' | '?' => kind as u8,
        _ => 0,
    };
    if plain != 0 {
        out.push(plain);
        return Ok(after);
    }
    let (digits, radix) = match kind {
        'x' | 'X' => (after.get(..2), 16),
        'u' if !bytes => (after.get(..4), 16),
        'U' if !bytes => (after.get(..8), 16),
        '0'..='3' => (rest.get(..3), 8),
        _ => return Err(BAD),
    };
    let digits = digits.ok_or(BAD)?;
    let value = u32::from_str_radix(digits, radix).map_err(|_| BAD)?;
    if bytes {
        out.push(u8::try_from(value).map_err(|_| BAD)?);
    } else {
        push(
            char::from_u32(value).ok_or("invalid unicode code point")?,
            out,
        );
    }
    let skipped = if radix == 8 { 3 } else { 1 + digits.len() };
    Ok(&rest[skipped..])
}
