//! What all kinds of upgraded connections share: a bounded queue to the client, and an end in
//! good order.

use super::spdy::Reset;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes that are read and handed on at a time.
pub(super) const PIECE: usize = 32 * 1024;

/// Pieces that may wait for a client; with more its counterpart has to wait.
const QUEUE: usize = 16;

/// A client that is told nothing for so long is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A connection on which nothing is received for so long is closed, as kubelet does.
const IDLE: Duration = Duration::from_secs(4 * 3600);

/// How long a client may take to read the rest and close.
const GOODBYE: Duration = Duration::from_secs(5);

/// Something for the client.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Bytes of a channel or stream; `last` ends it
    Data {
        channel: u32,
        bytes: Bytes,
        last: bool,
    },
    /// A stream is accepted (SPDY)
    Reply { channel: u32 },
    /// A stream ends at once (SPDY)
    Reset { channel: u32, why: Reset },
    /// The answer to a ping
    Pong(Bytes),
    /// A question whether the client is there
    Ping,
    /// Nothing more: say goodbye
    End,
}

/// A queue to the client.
pub(super) fn queue() -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>) {
    mpsc::channel(QUEUE)
}

/// The next thing to write; a ping when there has been nothing for a while.
pub(super) async fn next(queue: &mut mpsc::Receiver<Outgoing>) -> Outgoing {
    match timeout(PING_EVERY, queue.recv()).await {
        Ok(outgoing) => outgoing.unwrap_or(Outgoing::End),
        Err(_) => Outgoing::Ping,
    }
}

/// Writes one piece; false when the client is gone.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    to.write_all(bytes).await.is_ok() && to.flush().await.is_ok()
}

/// Reads more into the buffer; false at the end, after an error and after a long silence.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> bool {
    buffer.reserve(PIECE);
    matches!(timeout(IDLE, from.read_buf(buffer)).await, Ok(Ok(1..)))
}

/// One channel to the client.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    channel: u32,
    to: mpsc::Sender<Outgoing>,
}

impl Sink {
    pub(super) fn new(channel: u32, to: mpsc::Sender<Outgoing>) -> Self {
        Self { channel, to }
    }

    /// Sends; false when the client is gone.
    pub(super) async fn send(&self, bytes: Bytes) -> bool {
        self.data(bytes, false).await
    }

    /// Sends the last bytes.
    pub(super) async fn finish(&self, bytes: Bytes) -> bool {
        self.data(bytes, true).await
    }

    async fn data(&self, bytes: Bytes, last: bool) -> bool {
        let channel = self.channel;
        self.put(Outgoing::Data {
            channel,
            bytes,
            last,
        })
        .await
    }

    pub(super) async fn put(&self, outgoing: Outgoing) -> bool {
        self.to.send(outgoing).await.is_ok()
    }

    /// Waits until the client takes nothing any more.
    pub(super) async fn gone(&self) {
        self.to.closed().await;
    }
}

/// The two tasks of a connection. Dropping this ends both at once.
pub(super) struct Ends {
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Ends {
    pub(super) fn begin(
        reader: impl Future<Output = ()> + Send + 'static,
        writer: impl Future<Output = ()> + Send + 'static,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Self {
        let writer = tokio::spawn(writer);
        let abort = writer.abort_handle();
        let reader = tokio::spawn(async move {
            reader.await;
            // Who sends nothing any more does not read either; all sinks learn of it.
            abort.abort();
        });
        Self {
            reader,
            writer,
            outgoing,
        }
    }

    /// Lets the client read what is on its way, and close.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            let _ = self.outgoing.send(Outgoing::End).await;
            let _ = (&mut self.writer).await;
            let _ = (&mut self.reader).await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}
