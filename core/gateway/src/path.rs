//! The path that rules are matched against: decoded and with dot segments and slashes merged.

/// Why a target cannot be served: nginx answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

/// Splits a raw target into path and query (without `?`); a fragment ends both.
pub(crate) fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = target
        .iter()
        .position(|&b| b == b'#')
        .unwrap_or(target.len());
    let target = target.get(..end).unwrap_or_default();
    match target.iter().position(|&b| b == b'?') {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..)),
        None => (target, None),
    }
}

/// The path of a raw target, percent-decoded, with `.` and `..` resolved and slashes merged.
///
/// # Errors
/// On a broken escape, a NUL, or a `..` that leaves the root.
pub(crate) fn normalise(target: &[u8]) -> Result<Vec<u8>, BadPath> {
    let (path, _) = split_query(target);
    merge(&decode(path)?)
}

fn decode(path: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = rest.next().and_then(|&b| hex(b)).ok_or(BadPath)?;
        let low = rest.next().and_then(|&b| hex(b)).ok_or(BadPath)?;
        match high << 4 | low {
            0 => return Err(BadPath),
            decoded => out.push(decoded),
        }
    }
    Ok(out)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

fn merge(path: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut open = true;
    for segment in path.split(|&b| b == b'/') {
        open = false;
        match segment {
            b"" | b"." => open = true,
            b".." => {
                open = true;
                kept.pop().ok_or(BadPath)?;
            }
            name => kept.push(name),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if open || out.is_empty() {
        out.push(b'/');
    }
    Ok(out)
}

/// Escapes a decoded path for a request line: controls, blanks, `#`, `%`, `?` and non-ASCII bytes.
pub(crate) fn escape(path: &[u8], out: &mut Vec<u8>) {
    for &byte in path {
        match byte {
            0..=0x20 | b'#' | b'%' | b'?' | 0x7f..=0xff => percent(byte, out),
            _ => out.push(byte),
        }
    }
}

/// Escapes a component of a query string: all but letters, digits and `-._~`.
pub(crate) fn escape_component(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            percent(byte, out);
        }
    }
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'%');
    out.extend(DIGITS.get(usize::from(byte >> 4)));
    out.extend(DIGITS.get(usize::from(byte & 15)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_merged() {
        for (raw, want) in [
            ("/", "/"),
            ("//", "/"),
            ("/foo%2Fbar", "/foo/bar"),
            ("/foo//bar", "/foo/bar"),
            ("/foo/bar//", "/foo/bar/"),
            ("/foo/../bar", "/bar"),
            ("/foo/%2e%2e/bar", "/bar"),
            ("/foo/..%2fbar", "/bar"),
            ("/foo/..", "/"),
            ("/foo/.", "/foo/"),
            ("/foo/...", "/foo/..."),
            ("/a?x=/../y", "/a"),
            ("/q#frag", "/q"),
            ("/a%3Fx%23", "/a?x#"),
        ] {
            let got = normalise(raw.as_bytes()).map(|p| String::from_utf8_lossy(&p).into_owned());
            assert_eq!(got.as_deref(), Ok(want), "{raw}");
        }
    }

    #[test]
    fn what_leaves_the_root_or_is_broken_is_refused() {
        for raw in ["/..", "/../x", "/foo/../../bar", "/%00", "/%zz", "/%4"] {
            assert_eq!(normalise(raw.as_bytes()), Err(BadPath), "{raw}");
        }
    }

    #[test]
    fn escaping_keeps_reserved_characters() {
        let mut out = Vec::new();
        escape("/a b;c?d#%é".as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "/a%20b;c%3Fd%23%25%C3%A9");
    }
}
