//! `channel.k8s.io`: messages whose first byte names a channel, as kubectl's `exec` and `attach`
//! speak it; and its form with base64.

use super::{Decoder, Event, Form};
use crate::http::streams::pipe::{self, Ends, Outgoing, Sink};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Comes before the number of a channel that the client has finished (`v5.channel.k8s.io`).
const CLOSE_SIGNAL: u8 = 255;

/// Pieces of a channel that may wait.
const QUEUE: usize = 16;

/// A client whose input has to wait hears from us so often; client-go gives up after 60 s.
const REASSURE: Duration = Duration::from_secs(10);

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::streams) struct Dialect {
    /// `base64.…`: text, the channel as a digit
    pub(in crate::http::streams) base64: bool,
    /// `v5.…`: the client can finish a channel
    pub(in crate::http::streams) close_signal: bool,
}

/// The server's side of a connection with channels.
pub(in crate::http::streams) struct Channels {
    outgoing: mpsc::Sender<Outgoing>,
    ends: Ends,
}

impl Channels {
    /// Begins to read and write. What comes in for a channel goes to the sender in its place.
    pub(in crate::http::streams) fn begin(
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        dialect: Dialect,
        inputs: Vec<Option<mpsc::Sender<Bytes>>>,
    ) -> Self {
        let (from, to) = tokio::io::split(io);
        let (outgoing, queue) = pipe::queue();
        let reader = Reader {
            decoder: Decoder::default(),
            dialect,
            inputs,
            outgoing: outgoing.clone(),
            message: Message::default(),
            beat: Bytes::new(),
        };
        let ends = Ends::begin(
            reader.run(from),
            write(to, dialect, queue),
            outgoing.clone(),
        );
        Self { outgoing, ends }
    }

    /// The way to the client on this channel.
    pub(in crate::http::streams) fn sink(&self, channel: u32) -> Sink {
        Sink::new(channel, self.outgoing.clone())
    }

    /// Lets the client read what it was sent, and closes.
    pub(in crate::http::streams) async fn close(self) {
        self.ends.close().await;
    }
}

/// A queue for what comes in on a channel.
pub(in crate::http::streams) fn input() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(QUEUE)
}

/// The message that is being received.
#[derive(Default)]
struct Message {
    channel: Option<u8>,
    /// Base64 of which a whole group has not come
    rest: Vec<u8>,
    /// The message is a close signal
    closes: bool,
}

struct Reader {
    decoder: Decoder,
    dialect: Dialect,
    inputs: Vec<Option<mpsc::Sender<Bytes>>>,
    outgoing: mpsc::Sender<Outgoing>,
    message: Message,
    /// What the client's last ping held
    beat: Bytes,
}

impl Reader {
    async fn run(mut self, mut from: impl AsyncRead + Unpin) {
        loop {
            loop {
                match self.decoder.next() {
                    Ok(Some(event)) => {
                        if !self.take(event).await {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(violation) => {
                        tracing::debug!(%violation, "a WebSocket client is cut off");
                        return;
                    }
                }
            }
            if !pipe::read(&mut from, self.decoder.buffer()).await {
                return;
            }
        }
    }

    /// False when the client is done.
    async fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Data { first, last, bytes } => {
                if first {
                    self.message = Message::default();
                }
                self.data(bytes, last).await
            }
            Event::Ping(payload) => {
                self.beat = payload.clone();
                // One that finds no room is a client that does not read.
                let _ = self.outgoing.try_send(Outgoing::Pong(payload));
                true
            }
            Event::Pong => true,
            Event::Close(_) => {
                let _ = self.outgoing.try_send(Outgoing::End);
                false
            }
        }
    }

    async fn data(&mut self, mut bytes: Bytes, last: bool) -> bool {
        if bytes.is_empty() {
            return true;
        }
        if self.message.closes {
            return self.finish(bytes[0]);
        }
        let Some(channel) = self.message.channel else {
            let channel = bytes.split_to(1)[0];
            if self.dialect.close_signal && channel == CLOSE_SIGNAL {
                self.message.closes = true;
                return match bytes.first() {
                    Some(closed) => self.finish(*closed),
                    None => !last,
                };
            }
            let digit = if self.dialect.base64 { b'0' } else { 0 };
            self.message.channel = Some(channel.wrapping_sub(digit));
            return Box::pin(self.data(bytes, last)).await;
        };
        let bytes = if self.dialect.base64 {
            match self.decoded(&bytes, last) {
                Some(bytes) => bytes,
                None => return false,
            }
        } else {
            bytes
        };
        self.deliver(channel, bytes).await;
        true
    }

    /// Ends the input of a channel; false when there is no such channel.
    fn finish(&mut self, channel: u8) -> bool {
        match self.inputs.get_mut(usize::from(channel)) {
            Some(input) => {
                *input = None;
                true
            }
            None => false,
        }
    }

    fn decoded(&mut self, text: &[u8], last: bool) -> Option<Bytes> {
        let rest = &mut self.message.rest;
        rest.extend_from_slice(text);
        let whole = if last { rest.len() } else { rest.len() / 4 * 4 };
        let tail = rest.split_off(whole);
        let decoded = STANDARD.decode(&rest).ok()?;
        *rest = tail;
        Some(decoded.into())
    }

    async fn deliver(&self, channel: u8, bytes: Bytes) {
        let input = self.inputs.get(usize::from(channel));
        let Some(Some(input)) = input else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        let sending = input.send(bytes);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                _ = &mut sending => return,
                () = self.outgoing.closed() => return,
                () = tokio::time::sleep(REASSURE) => {
                    let _ = self.outgoing.try_send(Outgoing::Pong(self.beat.clone()));
                }
            }
        }
    }
}

/// Writes until the end, and says goodbye.
async fn write(
    mut to: impl AsyncWrite + Unpin,
    dialect: Dialect,
    mut queue: mpsc::Receiver<Outgoing>,
) {
    loop {
        let bytes = match pipe::next(&mut queue).await {
            Outgoing::Data { channel, bytes, .. } => encode(dialect, channel, &bytes),
            Outgoing::Pong(payload) => super::pong(&payload),
            Outgoing::Ping => super::ping(),
            // Channels are neither accepted nor refused one by one.
            Outgoing::Reply { .. } | Outgoing::Reset { .. } => continue,
            Outgoing::End => {
                let _ = pipe::write(&mut to, &super::close(1000)).await;
                let _ = to.shutdown().await;
                return;
            }
        };
        if !pipe::write(&mut to, &bytes).await {
            return;
        }
    }
}

fn encode(dialect: Dialect, channel: u32, bytes: &[u8]) -> Bytes {
    let channel = u8::try_from(channel).unwrap_or(u8::MAX);
    if dialect.base64 {
        let text = format!("{}{}", char::from(b'0' + channel), STANDARD.encode(bytes));
        return super::message(Form::Text, text.as_bytes());
    }
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(channel);
    message.put_slice(bytes);
    super::message(Form::Binary, &message)
}

#[cfg(test)]
mod tests;
