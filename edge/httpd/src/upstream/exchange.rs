//! One request and its response on one HTTP/1 connection to a backend.

use crate::body::{BodyError, Decoder, Incoming};
use crate::h1::parse::{Framing, ResponseHead, parse_response};
use crate::wire::Reader;
use bytes::Bytes;
use gateway::Headers;
use std::io;
use std::time::Duration;

/// Bytes of a request body that are held, so that it can be sent again to another endpoint and
/// with its length (`proxy-request-buffering`); longer ones are streamed.
pub(crate) const HELD: u64 = 1 << 20;

/// A request body, ready to be sent.
pub(crate) enum Outgoing {
    /// All of it
    Held {
        /// The bytes
        bytes: Bytes,
        /// Whether the request has a body at all
        present: bool,
    },
    /// Its beginning; the rest comes from the client
    Streamed {
        /// What was read so far
        start: Bytes,
        /// Length of the whole, when known
        length: Option<u64>,
    },
}

impl Outgoing {
    /// Whether it can be sent a second time.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// Reads as much of a body as is held.
pub(crate) async fn collect(
    incoming: &mut Incoming<'_>,
    buffering: bool,
) -> Result<Outgoing, BodyError> {
    if incoming.is_empty {
        return Ok(Outgoing::Held {
            bytes: Bytes::new(),
            present: incoming.length == Some(0),
        });
    }
    let mut held = Vec::new();
    if incoming.length.is_some_and(|length| length > HELD) {
        return Ok(streamed(held, incoming.length));
    }
    loop {
        let piece = if buffering {
            incoming.next().await?
        } else {
            // Without buffering only what is here already is taken.
            tokio::select! {
                biased;
                piece = incoming.next() => piece?,
                () = std::future::ready(()) => return Ok(streamed(held, incoming.length)),
            }
        };
        match piece {
            None => {
                return Ok(Outgoing::Held {
                    bytes: held.into(),
                    present: true,
                });
            }
            Some(piece) => held.extend_from_slice(&piece),
        }
        if held.len() as u64 > HELD {
            return Ok(streamed(held, incoming.length));
        }
    }
}

fn streamed(held: Vec<u8>, length: Option<u64>) -> Outgoing {
    Outgoing::Streamed {
        start: held.into(),
        length,
    }
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The backend closed or reset the connection
    Error(io::Error),
    /// It took too long
    Timeout,
    /// What it sent is no HTTP
    Malformed,
    /// The client's body broke off
    Client(BodyError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            Self::Timeout
        } else {
            Self::Error(error)
        }
    }
}

/// The request line and headers, with the framing of the body.
pub(crate) fn request_head(
    method: &str,
    target: &[u8],
    headers: &Headers,
    body: &Outgoing,
    http10: bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(if http10 {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    });
    for (name, value) in headers.iter() {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let length = match body {
        Outgoing::Held { bytes, present } => present.then_some(bytes.len() as u64),
        Outgoing::Streamed { length, .. } => *length,
    };
    match (length, body) {
        (Some(length), _) => {
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        (None, Outgoing::Streamed { .. }) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        (None, Outgoing::Held { .. }) => {}
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Sends head and body.
pub(crate) async fn send(
    writer: &mut crate::wire::Writer,
    mut head: Vec<u8>,
    body: &Outgoing,
    incoming: &mut Incoming<'_>,
    limit: Duration,
) -> Result<(), Failure> {
    let (start, chunked) = match body {
        Outgoing::Held { bytes, .. } => {
            head.extend_from_slice(bytes);
            writer.send_within(&head, limit).await?;
            return Ok(());
        }
        Outgoing::Streamed { start, length } => (start, length.is_none()),
    };
    writer.send_within(&head, limit).await?;
    if !start.is_empty() {
        write_piece(writer, start, chunked, limit).await?;
    }
    while let Some(piece) = incoming.next().await.map_err(Failure::Client)? {
        write_piece(writer, &piece, chunked, limit).await?;
    }
    if chunked {
        writer.send_within(b"0\r\n\r\n", limit).await?;
    }
    Ok(())
}

async fn write_piece(
    writer: &mut crate::wire::Writer,
    piece: &[u8],
    chunked: bool,
    limit: Duration,
) -> Result<(), Failure> {
    if !chunked {
        return Ok(writer.send_within(piece, limit).await?);
    }
    let mut framed = format!("{:x}\r\n", piece.len()).into_bytes();
    framed.extend_from_slice(piece);
    framed.extend_from_slice(b"\r\n");
    Ok(writer.send_within(&framed, limit).await?)
}

/// Reads a response head. Nothing limits the wait; the caller knows when the request was sent.
pub(crate) async fn receive(
    reader: &mut crate::wire::Reader,
    limit: usize,
) -> Result<ResponseHead, Failure> {
    loop {
        match parse_response(&reader.buffer, limit) {
            Err(_) => return Err(Failure::Malformed),
            Ok(Some(head)) => {
                let _ = reader.take(head.length);
                return Ok(head);
            }
            Ok(None) => {}
        }
        if reader.fill().await? == 0 {
            return Err(Failure::Error(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// How the body of a response is delimited.
pub(crate) fn response_body(head: &ResponseHead, no_body: bool) -> Result<Decoder, Failure> {
    if no_body || matches!(head.status, 204 | 304) || head.status < 200 {
        return Ok(Decoder::new(Framing::None));
    }
    let chunked = head
        .headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    match content_length(&head.headers)? {
        Some(_) if chunked => Err(Failure::Malformed),
        Some(length) => Ok(Decoder::new(Framing::Length(length))),
        None if chunked => Ok(Decoder::new(Framing::Chunked)),
        None => Ok(Decoder::until_close()),
    }
}

/// Content-Length of a response.
pub(crate) fn content_length(headers: &Headers) -> Result<Option<u64>, Failure> {
    match (
        headers.count("content-length"),
        headers.get("content-length"),
    ) {
        (0, _) => Ok(None),
        (1, Some(text)) if text.iter().all(u8::is_ascii_digit) => {
            let length = String::from_utf8_lossy(text).parse();
            length.map(Some).map_err(|_| Failure::Malformed)
        }
        _ => Err(Failure::Malformed),
    }
}

/// Whether the connection may carry another request.
pub(crate) fn keeps(head: &ResponseHead, reader: &Reader, body: &Decoder) -> bool {
    let connection = head.headers.joined("connection").unwrap_or_default();
    let has = |word: &[u8]| {
        connection
            .windows(word.len())
            .any(|w| w.eq_ignore_ascii_case(word))
    };
    let open = if head.http10 {
        has(b"keep-alive")
    } else {
        !has(b"close")
    };
    open && body.is_done() && reader.buffer.is_empty()
}
