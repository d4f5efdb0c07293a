//! Responses as they go out to clients, over HTTP/1 and HTTP/2.

use crate::clock;
use crate::wire::Writer;
use bytes::Bytes;
use gateway::{Headers, reason};
use std::io;
use std::time::Duration;

/// Where a response goes.
pub(crate) enum Sink<'w> {
    /// An HTTP/1 connection
    H1(H1Sink<'w>),
    /// An HTTP/2 stream
    H2(H2Sink),
}

/// How the body of a response is delimited for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is no body
    None,
    /// That many bytes
    Known(u64),
    /// Until it ends
    Unknown,
}

/// A response over HTTP/1.
pub(crate) struct H1Sink<'w> {
    pub(crate) writer: &'w mut Writer,
    pub(crate) http10: bool,
    pub(crate) head_only: bool,
    pub(crate) keep_alive: bool,
    pub(crate) keep_alive_seconds: u64,
    /// Longest wait for the client to take bytes
    pub(crate) timeout: Duration,
    pub(crate) chunked: bool,
    pub(crate) started: bool,
    pub(crate) sent: u64,
    pending: Vec<u8>,
}

/// A response over HTTP/2.
pub(crate) struct H2Sink {
    respond: h2::server::SendResponse<Bytes>,
    stream: Option<h2::SendStream<Bytes>>,
    pub(crate) head_only: bool,
    pub(crate) started: bool,
    pub(crate) sent: u64,
    timeout: Duration,
}

impl<'w> H1Sink<'w> {
    pub(crate) fn new(writer: &'w mut Writer, timeout: Duration) -> Self {
        Self {
            writer,
            http10: false,
            head_only: false,
            keep_alive: true,
            keep_alive_seconds: 75,
            timeout,
            chunked: false,
            started: false,
            sent: 0,
            pending: Vec::new(),
        }
    }

    fn head(&mut self, status: u16, phrase: &[u8], headers: &Headers, length: Length) {
        let phrase = if phrase.is_empty() {
            reason(status).as_bytes()
        } else {
            phrase
        };
        let out = &mut self.pending;
        out.extend_from_slice(format!("HTTP/1.1 {status:03} ").as_bytes());
        out.extend_from_slice(phrase);
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(clock::http_date().as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in headers.iter() {
            let own = name.eq_ignore_ascii_case(b"content-length") && length != Length::None;
            if !own {
                field(out, name, value);
            }
        }
        match length {
            Length::Known(length) => {
                field(out, b"Content-Length", length.to_string().as_bytes());
            }
            Length::Unknown if self.http10 => self.keep_alive = false,
            Length::Unknown => {
                self.chunked = !self.head_only;
                field(out, b"Transfer-Encoding", b"chunked");
            }
            Length::None => {}
        }
        if status != 101 {
            let connection: &[u8] = if self.keep_alive {
                b"keep-alive"
            } else {
                b"close"
            };
            field(out, b"Connection", connection);
        }
        out.extend_from_slice(b"\r\n");
        self.started = true;
    }

    async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.sent += bytes.len() as u64;
        if self.chunked {
            let size = format!("{:x}\r\n", bytes.len());
            self.pending.extend_from_slice(size.as_bytes());
        }
        if self.pending.is_empty() {
            return self.writer.send_within(bytes, self.timeout).await;
        }
        self.pending.extend_from_slice(bytes);
        if self.chunked {
            self.pending.extend_from_slice(b"\r\n");
        }
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.pending);
        self.writer.send_within(&out, self.timeout).await
    }
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

impl H2Sink {
    pub(crate) fn new(respond: h2::server::SendResponse<Bytes>, timeout: Duration) -> Self {
        Self {
            respond,
            stream: None,
            head_only: false,
            started: false,
            sent: 0,
            timeout,
        }
    }

    fn head(&mut self, status: u16, headers: &Headers, length: Length) -> io::Result<()> {
        let mut response = http::Response::new(());
        *response.status_mut() =
            http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
        *response.headers_mut() = header_map(headers);
        let map = response.headers_mut();
        map.remove(http::header::CONTENT_LENGTH);
        if let Length::Known(length) = length {
            map.insert(http::header::CONTENT_LENGTH, length.into());
        }
        if let Ok(date) = http::HeaderValue::from_str(&clock::http_date()) {
            map.insert(http::header::DATE, date);
        }
        let end = length == Length::None || self.head_only || length == Length::Known(0);
        let stream = self.respond.send_response(response, end);
        let stream = stream.map_err(io::Error::other)?;
        self.stream = (!end).then_some(stream);
        self.started = true;
        Ok(())
    }

    async fn data(&mut self, mut bytes: Bytes) -> io::Result<()> {
        self.sent += bytes.len() as u64;
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let room = capacity(stream, bytes.len(), self.timeout).await?;
            let piece = bytes.split_to(room.min(bytes.len()));
            stream.send_data(piece, false).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&Headers>) -> io::Result<()> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let done = match trailers {
            Some(trailers) => stream.send_trailers(header_map(trailers)),
            None => stream.send_data(Bytes::new(), true),
        };
        done.map_err(io::Error::other)
    }

    fn abort(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    }
}

/// Waits until an HTTP/2 stream takes bytes.
pub(crate) async fn capacity(
    stream: &mut h2::SendStream<Bytes>,
    wanted: usize,
    limit: Duration,
) -> io::Result<usize> {
    stream.reserve_capacity(wanted);
    let granted = std::future::poll_fn(|cx| stream.poll_capacity(cx));
    match tokio::time::timeout(limit, granted).await {
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
        Ok(Some(Ok(room))) => Ok(room),
        Ok(Some(Err(error))) => Err(io::Error::other(error)),
        Ok(None) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Headers for HTTP/2: no fields about the connection, nor any that HTTP/2 cannot carry.
pub(crate) fn header_map(headers: &Headers) -> http::HeaderMap {
    let connection = [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "proxy-connection",
    ];
    let mut map = http::HeaderMap::new();
    for (name, value) in headers.iter() {
        let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        if connection.iter().any(is) {
            continue;
        }
        let name = http::HeaderName::from_bytes(name);
        let value = http::HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

impl Sink<'_> {
    /// Sends an interim response.
    pub(crate) async fn interim(&mut self, status: u16, headers: &Headers) -> io::Result<()> {
        let Self::H1(sink) = self else {
            return Ok(());
        };
        if sink.http10 || sink.started {
            return Ok(());
        }
        let mut out = format!("HTTP/1.1 {status} {}\r\n", phrase(status)).into_bytes();
        for (name, value) in headers.iter() {
            field(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        sink.writer.send_within(&out, sink.timeout).await
    }

    /// Starts the response.
    pub(crate) fn head(
        &mut self,
        status: u16,
        phrase: &[u8],
        headers: &Headers,
        length: Length,
    ) -> io::Result<()> {
        match self {
            Self::H1(sink) => {
                sink.head(status, phrase, headers, length);
                Ok(())
            }
            Self::H2(sink) => sink.head(status, headers, length),
        }
    }

    /// Sends a piece of the body.
    pub(crate) async fn data(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::H1(sink) => sink.data(&bytes).await,
            Self::H2(sink) => sink.data(bytes).await,
        }
    }

    /// Sends what is held back.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::H1(sink) => sink.flush().await,
            Self::H2(_) => Ok(()),
        }
    }

    /// Ends the response.
    pub(crate) async fn end(&mut self, trailers: Option<&Headers>) -> io::Result<()> {
        match self {
            Self::H1(sink) => {
                if sink.chunked {
                    sink.pending.extend_from_slice(b"0\r\n\r\n");
                }
                sink.flush().await
            }
            Self::H2(sink) => sink.end(trailers),
        }
    }

    /// Ends the connection or stream, because the response cannot be completed.
    pub(crate) fn abort(&mut self) {
        match self {
            Self::H1(sink) => sink.keep_alive = false,
            Self::H2(sink) => sink.abort(),
        }
    }

    /// Whether the head was sent.
    pub(crate) fn started(&self) -> bool {
        match self {
            Self::H1(sink) => sink.started,
            Self::H2(sink) => sink.started,
        }
    }

    /// Whether the request was HEAD.
    pub(crate) fn head_only(&self) -> bool {
        match self {
            Self::H1(sink) => sink.head_only,
            Self::H2(sink) => sink.head_only,
        }
    }

    /// Body bytes sent.
    pub(crate) fn sent(&self) -> u64 {
        match self {
            Self::H1(sink) => sink.sent,
            Self::H2(sink) => sink.sent,
        }
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        103 => "Early Hints",
        other => reason(other),
    }
}
