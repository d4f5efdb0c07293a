//! Reads the head of an HTTP/1 request from bytes, by nginx's rules: what it refuses is refused,
//! and what it lets through byte for byte is let through byte for byte.

use gateway::{Headers, Version};

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Number of large buffers
    pub(crate) buffers: usize,
    /// Bytes of each; no line is longer
    pub(crate) size: usize,
    /// `enable-underscores-in-headers`
    pub(crate) underscores: bool,
    /// `ignore-invalid-headers`
    pub(crate) ignore_invalid: bool,
}

/// nginx's `client_header_buffer_size`, which comes before the large ones.
const FIRST_BUFFER: usize = 1024;

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body
    None,
    /// That many bytes
    Length(u64),
    /// Chunked coding
    Chunked,
}

/// A head.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) authority: Option<Vec<u8>>,
    pub(crate) version: Version,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
    /// Bytes of the head
    pub(crate) length: usize,
}

/// Why a head is refused: the status to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u16);

const BAD: Refused = Refused(400);

/// Reads a head; `None` when more bytes are needed.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Refused> {
    let start = bytes
        .iter()
        .position(|&b| b != b'\r' && b != b'\n')
        .unwrap_or(bytes.len());
    let mut room = Room::new(limits);
    let mut at = start;
    let Some(first) = line(bytes, &mut at) else {
        let waiting = bytes.len() - start;
        return if waiting > limits.size {
            Err(Refused(414))
        } else {
            Ok(None)
        };
    };
    room.take(first.len() + 2).map_err(|_| Refused(414))?;
    let request = request_line(first)?;
    let mut headers = Headers::new();
    loop {
        let Some(next) = line(bytes, &mut at) else {
            let pending = bytes.len().saturating_sub(at);
            return room.take(pending).map(|()| None);
        };
        if next.is_empty() {
            break;
        }
        room.take(next.len() + 2)?;
        header_line(next, limits, &mut headers)?;
    }
    head(request, headers, at).map(Some)
}

/// Counts lines into buffers as nginx does: a line never straddles two.
struct Room<'l> {
    limits: &'l Limits,
    left: usize,
    used: usize,
}

impl<'l> Room<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            left: FIRST_BUFFER,
            used: 0,
        }
    }

    fn take(&mut self, length: usize) -> Result<(), Refused> {
        if length <= self.left {
            self.left -= length;
            return Ok(());
        }
        self.used += 1;
        if length > self.limits.size || self.used > self.limits.buffers {
            return Err(BAD);
        }
        self.left = self.limits.size - length;
        Ok(())
    }
}

/// The line at `at`, without its end; moves `at` behind it. CR LF and bare LF both end a line.
fn line<'b>(bytes: &'b [u8], at: &mut usize) -> Option<&'b [u8]> {
    let rest = bytes.get(*at..)?;
    let end = rest.iter().position(|&b| b == b'\n')?;
    *at += end + 1;
    let line = rest.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

struct RequestLine {
    method: String,
    target: Vec<u8>,
    authority: Option<Vec<u8>>,
    version: Version,
}

fn request_line(line: &[u8]) -> Result<RequestLine, Refused> {
    let at = line.iter().position(|&b| b == b' ').ok_or(BAD)?;
    let (method, rest) = line.split_at(at);
    let token = |b: &u8| b.is_ascii_uppercase() || *b == b'_' || *b == b'-';
    if method.is_empty() || !method.iter().all(token) {
        return Err(BAD);
    }
    let method = String::from_utf8_lossy(method).into_owned();
    if method == "CONNECT" {
        return Err(Refused(405));
    }
    let rest = rest.trim_ascii_start();
    let at = rest.iter().rposition(|&b| b == b' ').ok_or(BAD)?;
    let (uri, version) = rest.split_at(at);
    let version = version_of(version.trim_ascii())?;
    let uri = uri.trim_ascii_end();
    if uri.iter().any(|&b| b <= 0x20 || b == 0x7f) {
        return Err(BAD);
    }
    let (authority, target) = split_target(uri)?;
    Ok(RequestLine {
        method,
        target,
        authority,
        version,
    })
}

fn version_of(text: &[u8]) -> Result<Version, Refused> {
    let digits = text.strip_prefix(b"HTTP/").ok_or(BAD)?;
    let at = digits.iter().position(|&b| b == b'.').ok_or(BAD)?;
    let (major, minor) = (
        digits.get(..at).ok_or(BAD)?,
        digits.get(at + 1..).ok_or(BAD)?,
    );
    let number = |text: &[u8]| -> Result<u32, Refused> {
        if text.is_empty() || text.len() > 3 || !text.iter().all(u8::is_ascii_digit) {
            return Err(BAD);
        }
        String::from_utf8_lossy(text).parse().map_err(|_| BAD)
    };
    match (number(major)?, number(minor)?) {
        (0, _) => Err(BAD),
        (1, 0) => Ok(Version::Http10),
        (1, minor) if minor <= 99 => Ok(Version::Http11),
        (1, _) => Err(BAD),
        _ => Err(Refused(505)),
    }
}

/// Splits an absolute-form target into authority and path.
fn split_target(uri: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Refused> {
    if uri.starts_with(b"/") {
        return Ok((None, uri.to_vec()));
    }
    let at = uri.windows(3).position(|w| w == b"://").ok_or(BAD)?;
    let (scheme, rest) = (uri.get(..at).ok_or(BAD)?, uri.get(at + 3..).ok_or(BAD)?);
    let scheme_char = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(scheme_char) {
        return Err(BAD);
    }
    let end = rest
        .iter()
        .position(|b| b"/?#".contains(b))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host_char = |b: &u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(b);
    if authority.is_empty() || !authority.iter().all(host_char) {
        return Err(BAD);
    }
    let mut target = Vec::with_capacity(path.len() + 1);
    if !path.starts_with(b"/") {
        target.push(b'/');
    }
    target.extend_from_slice(path);
    Ok((Some(authority.to_vec()), target))
}

fn header_line(line: &[u8], limits: &Limits, headers: &mut Headers) -> Result<(), Refused> {
    let at = line.iter().position(|&b| b == b':').unwrap_or(line.len());
    let (name, rest) = line.split_at(at);
    if name.is_empty() || name.iter().any(|&b| b <= 0x20 || b == 0x7f) {
        return Err(BAD);
    }
    let value = rest.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|&b| b == 0 || b == b'\r') {
        return Err(BAD);
    }
    let usable =
        |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_' && limits.underscores;
    if name.iter().all(usable) || !limits.ignore_invalid {
        headers.push(name, value);
    }
    Ok(())
}

fn head(request: RequestLine, headers: Headers, length: usize) -> Result<Head, Refused> {
    let framing = framing(&headers, request.version)?;
    let connection = headers.joined("connection").unwrap_or_default();
    let has = |word: &[u8]| {
        connection
            .windows(word.len())
            .any(|w| w.eq_ignore_ascii_case(word))
    };
    let keep_alive = match request.version {
        Version::Http10 => has(b"keep-alive"),
        _ => !has(b"close"),
    };
    let expect = headers.get("expect").unwrap_or_default();
    Ok(Head {
        method: request.method,
        target: request.target,
        authority: request.authority,
        version: request.version,
        framing,
        keep_alive,
        expect_continue: request.version == Version::Http11
            && expect.eq_ignore_ascii_case(b"100-continue"),
        headers,
        length,
    })
}

fn framing(headers: &Headers, version: Version) -> Result<Framing, Refused> {
    let lengths = headers.count("content-length");
    if let Some(coding) = headers.get("transfer-encoding") {
        if version == Version::Http10 || lengths > 0 || headers.count("transfer-encoding") > 1 {
            return Err(BAD);
        }
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Refused(501));
        }
        return Ok(Framing::Chunked);
    }
    match (lengths, headers.get("content-length")) {
        (0, _) => Ok(Framing::None),
        (1, Some(text)) if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
            let number = String::from_utf8_lossy(text).parse::<u64>();
            match number.map_err(|_| BAD)? {
                0 => Ok(Framing::None),
                length if length > i64::MAX as u64 => Err(BAD),
                length => Ok(Framing::Length(length)),
            }
        }
        _ => Err(BAD),
    }
}

/// The head of a backend's response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    pub(crate) http10: bool,
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) length: usize,
}

/// A backend's response that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a response head; `None` when more bytes are needed.
pub(crate) fn parse_response(
    bytes: &[u8],
    limit: usize,
) -> Result<Option<ResponseHead>, Malformed> {
    let mut at = 0;
    let Some(first) = line(bytes, &mut at) else {
        let prefix = bytes.get(..bytes.len().min(5)).unwrap_or_default();
        return if bytes.len() > limit || !b"HTTP/".starts_with(prefix) {
            Err(Malformed)
        } else {
            Ok(None)
        };
    };
    let rest = first.strip_prefix(b"HTTP/1.").ok_or(Malformed)?;
    let minor = rest.first().ok_or(Malformed)?;
    let rest = rest.get(1..).unwrap_or_default().trim_ascii_start();
    let code = rest.get(..3).ok_or(Malformed)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let status = String::from_utf8_lossy(code)
        .parse()
        .map_err(|_| Malformed)?;
    let reason = rest.get(3..).unwrap_or_default().trim_ascii().to_vec();
    let mut headers = Headers::new();
    loop {
        let Some(next) = line(bytes, &mut at) else {
            return if bytes.len() > limit {
                Err(Malformed)
            } else {
                Ok(None)
            };
        };
        if next.is_empty() {
            break;
        }
        let colon = next.iter().position(|&b| b == b':').ok_or(Malformed)?;
        let (name, value) = next.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.is_empty() || value.contains(&0) || name.iter().any(|&b| b <= 0x20) {
            return Err(Malformed);
        }
        headers.push(name, value);
    }
    if at > limit {
        return Err(Malformed);
    }
    Ok(Some(ResponseHead {
        http10: *minor == b'0',
        status,
        reason,
        headers,
        length: at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        buffers: 4,
        size: 8192,
        underscores: false,
        ignore_invalid: true,
    };

    fn read(text: &str) -> Result<Head, Refused> {
        parse(text.as_bytes(), &LIMITS).map(|head| head.expect("a whole head"))
    }

    fn with(header: &str) -> Result<Head, Refused> {
        read(&format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"))
    }

    #[test]
    fn targets_stay_as_they_are() {
        for target in ["/foo%2Fbar", "/a\"x<>|^`{}", "/q?x#frag", "//x", "/é"] {
            let head = read(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            assert_eq!(head.target, target.as_bytes());
        }
        let head = read("GET HTTP://a.test:99?x HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(head.authority.as_deref(), Some(&b"a.test:99"[..]));
        assert_eq!(head.target, b"/?x");
        assert!(!head.keep_alive);
    }

    #[test]
    fn malformed_requests_are_refused() {
        for (line, status) in [
            ("get / HTTP/1.1", 400),
            ("GET /", 400),
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/0.9", 400),
            ("GET / HTTP/x", 400),
            ("GET x HTTP/1.1", 400),
            ("GET * HTTP/1.1", 400),
            ("GET /a b HTTP/1.1", 400),
            ("GET http://u@a/ HTTP/1.1", 400),
            ("CONNECT a:1 HTTP/1.1", 405),
        ] {
            let got = read(&format!("{line}\r\nHost: a\r\n\r\n"));
            assert_eq!(got.err(), Some(Refused(status)), "{line}");
        }
        for header in [
            "X-A : 1",
            " X: 1",
            ": x",
            "X-N: a\0b",
            "X-R: a\rb",
            "Content-Length: x",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(with(header).err(), Some(BAD), "{header:?}");
        }
        assert_eq!(with("Transfer-Encoding: gzip").err(), Some(Refused(501)));
    }

    #[test]
    fn odd_headers_pass_or_are_left_out() {
        let head = with("NoColon\r\nX(): 1\r\nunder_score: 1\r\nX-C: a\u{1}b").unwrap();
        assert_eq!(head.headers.get("nocolon"), Some(&b""[..]));
        assert_eq!(head.headers.get("x-c"), Some(&b"a\x01b"[..]));
        assert_eq!(head.headers.len(), 3);
    }

    #[test]
    fn large_heads_fill_four_buffers() {
        let header = |n: usize| format!("X: {}", "v".repeat(n));
        let many = |n: usize| vec![header(7000); n].join("\r\n");
        assert!(with(&header(8000)).is_ok());
        assert_eq!(with(&header(9000)).err(), Some(BAD));
        assert!(with(&many(4)).is_ok());
        assert_eq!(with(&many(5)).err(), Some(BAD));
        let target = format!("GET /{} HTTP/1.1\r\n", "p".repeat(9000));
        assert_eq!(parse(target.as_bytes(), &LIMITS).err(), Some(Refused(414)));
        let endless = "GET / HTTP/1.1\r\nX: ".to_owned() + &"v".repeat(9000);
        assert_eq!(parse(endless.as_bytes(), &LIMITS).err(), Some(BAD));
    }

    #[test]
    fn responses_are_read() {
        let text = b"HTTP/1.1 299 Odd\r\nX: 1\r\n\r\nbody";
        let head = parse_response(text, 65536).unwrap().unwrap();
        assert_eq!((head.status, head.length), (299, text.len() - 4));
        assert!(parse_response(b"HTTP/1.1 20", 65536).unwrap().is_none());
        assert_eq!(
            parse_response(b"garbage\r\n\r\n", 65536).err(),
            Some(Malformed)
        );
        assert_eq!(parse_response(b"garb", 65536).err(), Some(Malformed));
    }
}
