//! Bodies as they come in, from clients and from backends.

use crate::h1::parse::Framing;
use crate::wire::Reader;
use bytes::Bytes;
use std::io;
use std::time::Duration;

/// Why a body ended early.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than allowed: 413
    TooLarge,
    /// It is not well-formed: 400
    Malformed,
    /// The peer closed, reset or stalled
    Io(io::Error),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Longest line within a chunked body, in bytes.
const LINE_LIMIT: usize = 4096;

/// State of a body in HTTP/1 framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Left(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

/// Decodes HTTP/1 framing.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    trailer_bytes: usize,
}

impl Decoder {
    /// A body in this framing.
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::ChunkSize,
        };
        Self {
            state,
            trailer_bytes: 0,
        }
    }

    /// A body that ends with the connection.
    pub(crate) fn until_close() -> Self {
        Self {
            state: State::UntilClose,
            trailer_bytes: 0,
        }
    }

    /// Whether the whole body was read.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The next piece, `None` at the end.
    pub(crate) async fn next(
        &mut self,
        from: &mut Reader,
        limit: Duration,
    ) -> Result<Option<Bytes>, BodyError> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Left(left) | State::Chunk(left) => {
                    return self.piece(from, left, limit).await.map(Some);
                }
                State::UntilClose => {
                    if from.buffer.is_empty() && from.fill_within(limit).await? == 0 {
                        self.state = State::Done;
                        return Ok(None);
                    }
                    let n = from.buffer.len();
                    return Ok(Some(from.take(n)));
                }
                State::ChunkSize | State::ChunkEnd | State::Trailers => {
                    let line = line(from, limit).await?;
                    self.advance(&line)?;
                }
            }
        }
    }

    async fn piece(
        &mut self,
        from: &mut Reader,
        left: u64,
        limit: Duration,
    ) -> Result<Bytes, BodyError> {
        if from.buffer.is_empty() && from.fill_within(limit).await? == 0 {
            return Err(BodyError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let piece = from.take(wanted);
        let left = left - piece.len() as u64;
        self.state = match (self.state, left) {
            (State::Chunk(_), 0) => State::ChunkEnd,
            (State::Chunk(_), left) => State::Chunk(left),
            (_, 0) => State::Done,
            (_, left) => State::Left(left),
        };
        Ok(piece)
    }

    fn advance(&mut self, line: &[u8]) -> Result<(), BodyError> {
        self.state = match self.state {
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkSize => match chunk_size(line).ok_or(BodyError::Malformed)? {
                0 => State::Trailers,
                size => State::Chunk(size),
            },
            State::Trailers if line.is_empty() => State::Done,
            State::Trailers => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > LINE_LIMIT * 4 {
                    return Err(BodyError::Malformed);
                }
                State::Trailers
            }
            _ => return Err(BodyError::Malformed),
        };
        Ok(())
    }
}

async fn line(from: &mut Reader, limit: Duration) -> Result<Bytes, BodyError> {
    loop {
        if let Some(at) = from.buffer.iter().position(|&b| b == b'\n') {
            let line = from.take(at + 1);
            let end = line.len() - if line.ends_with(b"\r\n") { 2 } else { 1 };
            return Ok(line.slice(..end));
        }
        if from.buffer.len() > LINE_LIMIT {
            return Err(BodyError::Malformed);
        }
        if from.fill_within(limit).await? == 0 {
            return Err(BodyError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// Hexadecimal size, with an extension that is left out.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line
        .iter()
        .position(|&b| b == b';' || b == b' ' || b == b'\t')
        .unwrap_or(line.len());
    let digits = line.get(..end)?;
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(&String::from_utf8_lossy(digits), 16).ok()
}

/// A client's body.
pub(crate) enum RequestBody<'r> {
    /// From an HTTP/1 connection
    H1 {
        /// Connection
        reader: &'r mut Reader,
        /// Framing
        decoder: &'r mut Decoder,
    },
    /// From an HTTP/2 stream
    H2(h2::RecvStream),
}

/// A client's body with its bounds.
pub(crate) struct Incoming<'r> {
    pub(crate) body: RequestBody<'r>,
    /// Bytes allowed; zero is no limit
    pub(crate) limit: u64,
    /// Bytes read
    pub(crate) received: u64,
    /// Longest wait between two pieces
    pub(crate) timeout: Duration,
    /// Content-Length, when known
    pub(crate) length: Option<u64>,
    /// Whether there is no body
    pub(crate) is_empty: bool,
}

impl Incoming<'_> {
    /// The next piece, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.is_empty {
            return Ok(None);
        }
        let piece = match &mut self.body {
            RequestBody::H1 { reader, decoder } => decoder.next(reader, self.timeout).await?,
            RequestBody::H2(stream) => next_h2(stream, self.timeout).await?,
        };
        if let Some(piece) = &piece {
            self.received += piece.len() as u64;
            if self.limit != 0 && self.received > self.limit {
                return Err(BodyError::TooLarge);
            }
        }
        Ok(piece)
    }
}

/// The next piece of an HTTP/2 body.
pub(crate) async fn next_h2(
    stream: &mut h2::RecvStream,
    limit: Duration,
) -> Result<Option<Bytes>, BodyError> {
    let broken = |error: h2::Error| BodyError::Io(io::Error::other(error));
    match tokio::time::timeout(limit, stream.data()).await {
        Err(_) => Err(BodyError::Io(io::ErrorKind::TimedOut.into())),
        Ok(None) => Ok(None),
        Ok(Some(piece)) => {
            let piece = piece.map_err(broken)?;
            let _ = stream.flow_control().release_capacity(piece.len());
            Ok(Some(piece))
        }
    }
}
