//! A connection with a read buffer, split so that both directions run at once.

use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// A byte stream: TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Bytes asked for at once.
const READ_SIZE: usize = 16 * 1024;

/// The reading side.
pub(crate) struct Reader {
    half: ReadHalf<Box<dyn Stream>>,
    pub(crate) buffer: BytesMut,
}

/// The writing side.
pub(crate) struct Writer {
    half: WriteHalf<Box<dyn Stream>>,
}

/// Splits a stream.
pub(crate) fn split(stream: Box<dyn Stream>) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    let reader = Reader {
        half: read,
        buffer: BytesMut::new(),
    };
    (reader, Writer { half: write })
}

impl Reader {
    /// Reads more into the buffer; zero at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        self.half.read_buf(&mut self.buffer).await
    }

    /// [`Reader::fill`] within `limit`.
    pub(crate) async fn fill_within(&mut self, limit: Duration) -> io::Result<usize> {
        match tokio::time::timeout(limit, self.fill()).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Takes `n` buffered bytes.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        self.buffer.split_to(n.min(self.buffer.len())).freeze()
    }

    /// Gives the buffer's memory back while the connection is idle.
    pub(crate) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Whether the peer closed or sent something unasked, looked at without waiting.
    pub(crate) async fn is_stale(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        // A read that is not ready at once means that nothing came: the connection is alive.
        tokio::select! {
            biased;
            _ = self.fill() => true,
            () = std::future::ready(()) => false,
        }
    }
}

impl Writer {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.half.write_all(bytes).await?;
        self.half.flush().await
    }

    /// [`Writer::send`], giving up after `limit`.
    pub(crate) async fn send_within(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        match tokio::time::timeout(limit, self.send(bytes)).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    pub(crate) async fn close(&mut self) {
        let _ = self.half.shutdown().await;
    }
}
