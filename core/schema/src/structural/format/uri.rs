//! URIs, as Go's `url.ParseRequestURI` takes them: absolute, or an absolute path.

/// `uri`
pub(super) fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|c| c < 0x20 || c == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = scheme(text) else {
        return false;
    };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        // What has a scheme and no slash is opaque.
        return scheme;
    }
    match rest.strip_prefix("//").filter(|_| scheme) {
        Some(after) => {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            is_authority(authority) && is_escaped(path)
        }
        None => is_escaped(rest),
    }
}

/// Whether there is a scheme, and what follows it; `None` when it is missing before a colon.
fn scheme(text: &str) -> Option<(bool, &str)> {
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((true, &text[at + 1..])),
            _ => return Some((false, text)),
        }
    }
    Some((false, text))
}

fn is_authority(text: &str) -> bool {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    let in_user = |c: u8| c.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&c);
    user.is_none_or(|user| user.bytes().all(in_user) && is_escaped(user)) && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return literal
            .rsplit_once(']')
            .is_some_and(|(inner, port)| is_port(port) && is_escaped(inner));
    }
    let (name, port) = match host.rfind(':') {
        Some(at) => host.split_at(at),
        None => (host, ""),
    };
    let in_host = |c: u8| {
        c.is_ascii_alphanumeric() || !c.is_ascii() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&c)
    };
    is_port(port) && name.bytes().all(in_host) && is_escaped_host(name)
}

fn is_port(port: &str) -> bool {
    port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_digit()))
}

/// Every `%` begins two hexadecimal digits.
fn is_escaped(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| {
        let digits = part.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// In a host only bytes beyond ASCII may be escaped.
fn is_escaped_host(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    is_escaped(text) && parts.all(|part| part.as_bytes()[0] >= b'8')
}
