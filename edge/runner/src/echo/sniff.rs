//! What a client speaks, from its first bytes.

use std::time::Duration;
use tokio::net::TcpStream;

/// A beginning that could still become HTTP is waited for so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    Other,
}

/// Looks without taking; `None` when the client closes without a word.
pub(super) async fn sniff(stream: &TcpStream) -> Option<Spoken> {
    let mut buffer = [0u8; 32];
    // For the first byte there is no hurry: the client may be a pool's spare connection.
    let mut length = stream
        .peek(&mut buffer)
        .await
        .ok()
        .filter(|length| *length > 0)?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(spoken) = judge(&buffer[..length]) {
            return Some(spoken);
        }
        if tokio::time::Instant::now() >= deadline {
            return Some(Spoken::Other);
        }
        // Readiness has been consumed already: look again at short intervals.
        tokio::time::sleep(Duration::from_millis(5)).await;
        length = stream.peek(&mut buffer).await.ok()?;
    }
}

/// `None` while both are possible.
fn judge(bytes: &[u8]) -> Option<Spoken> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0";
    if bytes.starts_with(PREFACE) {
        return Some(Spoken::Http2);
    }
    if PREFACE.starts_with(bytes) {
        return None;
    }
    let method = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-')
        .count();
    if method > 16 {
        return Some(Spoken::Other);
    }
    match (method, bytes.get(method), bytes.get(method + 1)) {
        (_, None, _) => None,
        (1.., Some(b' '), None) => None,
        (1.., Some(b' '), Some(b'/' | b'*' | b'h' | b'H')) => Some(Spoken::Http1),
        (1.., Some(b' '), Some(_)) if bytes.starts_with(b"CONNECT ") => Some(Spoken::Http1),
        _ => Some(Spoken::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_told_from_other_words() {
        for (bytes, want) in [
            ("GET / HTTP/1.1", Some(Spoken::Http1)),
            ("M-SEARCH * HTTP/1.1", Some(Spoken::Http1)),
            ("CONNECT a:1", Some(Spoken::Http1)),
            ("PRI * HTTP/2.0\r\n", Some(Spoken::Http2)),
            ("PRI", None),
            ("GE", None),
            ("GET ", None),
            ("HELLO world", Some(Spoken::Other)),
            ("HELLO\n", Some(Spoken::Other)),
            ("hello", Some(Spoken::Other)),
            ("\u{16}\u{3}\u{1}", Some(Spoken::Other)),
            ("ABCDEFGHIJKLMNOPQRST", Some(Spoken::Other)),
        ] {
            assert_eq!(judge(bytes.as_bytes()), want, "{bytes:?}");
        }
    }
}
