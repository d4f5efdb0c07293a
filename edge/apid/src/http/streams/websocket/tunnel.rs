//! `SPDY/3.1+portforward.k8s.io`: a connection's bytes in messages.

use super::{Decoder, Event, Form};
use crate::http::streams::pipe::{self, Ends, Outgoing, Sink};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;

/// Bytes on their way in each direction, at most.
const BUFFER: usize = 64 * 1024;

/// Opens the tunnel: what is written comes out at the client, and the other way round.
pub(in crate::http::streams) fn open(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
) -> DuplexStream {
    let (near, far) = tokio::io::duplex(BUFFER);
    let (from, to) = tokio::io::split(io);
    let (out_of, into) = tokio::io::split(far);
    let (outgoing, queue) = pipe::queue();
    let reader = read(from, into, outgoing.clone());
    let ends = Ends::begin(reader, write(to, queue), outgoing.clone());
    tokio::spawn(carry(out_of, Sink::new(0, outgoing), ends));
    near
}

/// From the messages of the client.
async fn read(
    mut from: impl AsyncRead + Unpin,
    mut into: WriteHalf<DuplexStream>,
    outgoing: mpsc::Sender<Outgoing>,
) {
    let mut decoder = Decoder::default();
    loop {
        loop {
            match decoder.next() {
                Ok(Some(Event::Data { bytes, .. })) => {
                    if into.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    let _ = outgoing.try_send(Outgoing::Pong(payload));
                }
                Ok(Some(Event::Pong)) => {}
                Ok(None) => break,
                Ok(Some(Event::Close(_))) | Err(_) => {
                    let _ = into.shutdown().await;
                    return;
                }
            }
        }
        if !pipe::read(&mut from, decoder.buffer()).await {
            let _ = into.shutdown().await;
            return;
        }
    }
}

/// Into messages for the client.
async fn carry(mut out_of: ReadHalf<DuplexStream>, sink: Sink, ends: Ends) {
    let mut buffer = bytes::BytesMut::new();
    loop {
        buffer.reserve(pipe::PIECE);
        let read = tokio::select! {
            read = out_of.read_buf(&mut buffer) => read,
            () = sink.gone() => return,
        };
        if !matches!(read, Ok(1..)) {
            break;
        }
        if !sink.send(buffer.split().freeze()).await {
            return;
        }
    }
    ends.close().await;
}

async fn write(mut to: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) {
    loop {
        let bytes = match pipe::next(&mut queue).await {
            Outgoing::Data { bytes, .. } => super::message(Form::Binary, &bytes),
            Outgoing::Pong(payload) => super::pong(&payload),
            Outgoing::Ping => super::ping(),
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
