//! SPDY/3.1 as Kubernetes clients speak it after an upgrade: streams in one connection, with no
//! flow control.
//!
//! A reader and a writer share the connection. What a stream receives waits in a queue of its
//! own; when that is full nothing more is read, so that the client has to wait.

mod frames;
mod headers;

pub(super) use frames::Reset;
pub(super) use headers::Headers;

use super::pipe::{self, Ends, Outgoing, Sink};
use bytes::Bytes;
use frames::{Decoder, Encoder, Event};
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

/// Streams open at once in a connection; a further one is refused.
const STREAMS: usize = 256;

/// Pieces of a stream that may wait.
const QUEUE: usize = 16;

/// What a client must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(&'static str);

/// A stream that the client opened.
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) headers: Headers,
    /// What the client sends; closes at its end
    pub(super) input: mpsc::Receiver<Bytes>,
    /// What the client gets
    pub(super) output: Sink,
    /// True once the client has reset the stream
    pub(super) reset: watch::Receiver<bool>,
}

impl Stream {
    /// A header of the stream, by its lower-case name.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Tells the client that the stream is taken; a client sends nothing before.
    pub(super) async fn accept(&self) {
        self.output.put(Outgoing::Reply { channel: self.id }).await;
    }

    /// Ends the stream at once.
    pub(super) async fn refuse(self, why: Reset) {
        let channel = self.id;
        self.output.put(Outgoing::Reset { channel, why }).await;
    }
}

/// The server's side of a connection.
pub(super) struct Connection {
    /// Streams as the client opens them; closes when the client is gone
    pub(super) streams: mpsc::Receiver<Stream>,
    ends: Ends,
}

impl Connection {
    /// Begins to speak SPDY on an upgraded connection.
    pub(super) fn begin(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (from, to) = tokio::io::split(io);
        let (outgoing, queue) = pipe::queue();
        let (opened, streams) = mpsc::channel(QUEUE);
        let reader = Reader {
            decoder: Decoder::new(),
            streams: BTreeMap::new(),
            opened,
            outgoing: outgoing.clone(),
            last: 0,
        };
        let ends = Ends::begin(reader.run(from), write(to, queue), outgoing);
        Self { streams, ends }
    }

    /// Lets the client read what it was sent, and closes.
    pub(super) async fn close(self) {
        drop(self.streams);
        self.ends.close().await;
    }
}

/// A stream as the reader knows it.
struct Open {
    /// None after the client's last word
    input: Option<mpsc::Sender<Bytes>>,
    reset: watch::Sender<bool>,
}

impl Open {
    /// Whether anyone waits for what comes in.
    fn is_used(&self) -> bool {
        let listens = self.input.as_ref().is_some_and(|input| !input.is_closed());
        listens || !self.reset.is_closed()
    }
}

struct Reader {
    decoder: Decoder,
    streams: BTreeMap<u32, Open>,
    opened: mpsc::Sender<Stream>,
    outgoing: mpsc::Sender<Outgoing>,
    last: u32,
}

/// Nobody is left to read for.
struct Done;

impl Reader {
    async fn run(mut self, mut from: impl AsyncRead + Unpin) {
        loop {
            loop {
                match self.decoder.next() {
                    Ok(Some(event)) => {
                        if self.take(event).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(broken) => {
                        tracing::debug!(%broken, "a SPDY client is cut off");
                        return;
                    }
                }
            }
            if !pipe::read(&mut from, self.decoder.buffer()).await {
                return;
            }
        }
    }

    async fn take(&mut self, event: Event) -> Result<(), Done> {
        match event {
            Event::Stream { id, fin, headers } => self.open(id, fin, headers).await,
            Event::Data { id, fin, bytes } => {
                self.data(id, fin, bytes).await;
                Ok(())
            }
            Event::Reset { id } => {
                if let Some(open) = self.streams.remove(&id) {
                    open.reset.send_replace(true);
                }
                Ok(())
            }
            Event::Ping(id) => {
                if id % 2 == 1 {
                    // One that finds no room is a client that does not read.
                    let _ = self
                        .outgoing
                        .try_send(Outgoing::Pong(id.to_be_bytes().to_vec().into()));
                }
                Ok(())
            }
            Event::GoAway => Ok(()),
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> Result<(), Done> {
        self.streams.retain(|_, open| open.is_used());
        let known = id.is_multiple_of(2) || id <= self.last;
        if known || self.streams.len() >= STREAMS {
            let why = if known {
                Reset::ProtocolError
            } else {
                Reset::RefusedStream
            };
            let refusal = Outgoing::Reset { channel: id, why };
            return self.outgoing.send(refusal).await.map_err(|_| Done);
        }
        self.last = id;
        let (sender, input) = mpsc::channel(QUEUE);
        let (reset, resetted) = watch::channel(false);
        let input_sender = (!fin).then_some(sender);
        self.streams.insert(
            id,
            Open {
                input: input_sender,
                reset,
            },
        );
        let stream = Stream {
            id,
            headers,
            input,
            output: Sink::new(id, self.outgoing.clone()),
            reset: resetted,
        };
        self.opened.send(stream).await.map_err(|_| Done)
    }

    async fn data(&mut self, id: u32, fin: bool, bytes: Bytes) {
        let Some(open) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(input) = &open.input
            && !bytes.is_empty()
        {
            // Nobody may want it any more.
            let _ = input.send(bytes).await;
        }
        if fin {
            open.input = None;
        }
    }
}

/// Writes until the end, and says goodbye.
async fn write(mut to: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) {
    let mut encoder = Encoder::default();
    let (mut newest, mut pings) = (0, 0);
    loop {
        let bytes = match pipe::next(&mut queue).await {
            Outgoing::Data {
                channel,
                bytes,
                last,
            } => frames::data(channel, last, &bytes),
            Outgoing::Reply { channel } => {
                newest = newest.max(channel);
                encoder.reply(channel)
            }
            Outgoing::Reset { channel, why } => frames::reset(channel, why),
            Outgoing::Pong(id) => {
                let id = id.first_chunk().copied().map_or(1, u32::from_be_bytes);
                frames::ping(id)
            }
            Outgoing::Ping => {
                pings += 2;
                frames::ping(pings)
            }
            Outgoing::End => {
                let _ = pipe::write(&mut to, &frames::go_away(newest)).await;
                let _ = to.shutdown().await;
                return;
            }
        };
        if !pipe::write(&mut to, &bytes).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
