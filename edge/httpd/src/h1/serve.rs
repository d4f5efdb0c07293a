//! One client connection: request after request, until one side has enough.

use super::parse::{Framing, Head, Limits, Refused, parse};
use crate::body::{Decoder, Incoming, RequestBody};
use crate::log::Record;
use crate::proxy::{After, Exchange};
use crate::sink::{H1Sink, Length, Sink};
use crate::upstream::Worker;
use crate::wire::{Reader, Stream, Writer, split};
use bytes::Bytes;
use gateway::{Action, Answer, ClientCertificate, Decision, Headers, RequestHead, select};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for a client to take bytes of a response.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes and time spent on reading what a client still sends after the last response.
const LINGER_BYTES: usize = 64 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);
/// Longest unread body that is skipped to keep a connection.
const SKIP_LIMIT: u64 = 1 << 20;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) server_port: u16,
    pub(crate) https: bool,
    pub(crate) sni: Option<String>,
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

/// Serves a connection; `first` was read from it already.
pub(crate) async fn serve(worker: Arc<Worker>, stream: Box<dyn Stream>, peer: Peer, first: &[u8]) {
    let (mut reader, mut writer) = split(stream);
    reader.buffer.extend_from_slice(first);
    let mut stopping = worker.shared.stopping.subscribe();
    let mut served = 0u64;
    loop {
        let limits = limits(&worker);
        let head = tokio::select! {
            head = next_head(&worker, &mut reader, &limits, served) => head,
            _ = stopping.wait_for(|stop| *stop), if reader.buffer.is_empty() => break,
        };
        let head = match head {
            Next::Head(head) => head,
            Next::Refused(status) => {
                refuse(&worker, &mut writer, status).await;
                linger(&mut reader, &mut writer, false).await;
                return;
            }
            Next::Closed => break,
        };
        served += 1;
        let last = served >= worker.shared.table.load().global.keep_alive_requests.max(1)
            || *stopping.borrow();
        match request(&worker, &peer, &mut reader, &mut writer, head, last).await {
            Turn::Next => reader.release(),
            Turn::Linger { unread } => {
                linger(&mut reader, &mut writer, unread).await;
                return;
            }
            Turn::Close => break,
        }
    }
    writer.close().await;
}

fn limits(worker: &Worker) -> Limits {
    let table = worker.shared.table.load();
    let (buffers, size) = table.global.header_buffers;
    Limits {
        buffers: usize::try_from(buffers).unwrap_or(4),
        size: usize::try_from(size).unwrap_or(8192),
        underscores: table.global.underscores,
        ignore_invalid: table.global.ignore_invalid_headers,
    }
}

enum Next {
    Head(Box<Head>),
    Refused(u16),
    Closed,
}

async fn next_head(worker: &Worker, reader: &mut Reader, limits: &Limits, served: u64) -> Next {
    let (idle, whole) = {
        let global = &worker.shared.table.load().global;
        let whole = Duration::from_secs(global.client_header_timeout.max(1));
        let idle = Duration::from_secs(global.keep_alive_seconds);
        (if served == 0 { whole } else { idle }, whole)
    };
    let mut started: Option<Instant> = (!reader.buffer.is_empty()).then(Instant::now);
    loop {
        match parse(&reader.buffer, limits) {
            Ok(Some(head)) => {
                let _ = reader.take(head.length);
                return Next::Head(Box::new(head));
            }
            Ok(None) => {}
            Err(Refused(status)) => return Next::Refused(status),
        }
        let left = started.map_or(idle, |start| whole.saturating_sub(start.elapsed()));
        match reader.fill_within(left).await {
            Ok(0) | Err(_) => return Next::Closed,
            Ok(_) => {
                started.get_or_insert_with(Instant::now);
            }
        }
    }
}

async fn refuse(worker: &Worker, writer: &mut Writer, status: u16) {
    let answer = Answer::status(status);
    let mut headers = answer.headers;
    for (name, value) in &worker.shared.table.load().global.add_headers {
        headers.set(name, value);
    }
    let mut sink = H1Sink::new(writer, SEND_TIMEOUT);
    sink.keep_alive = false;
    let mut sink = Sink::H1(sink);
    let length = Length::Known(answer.body.len() as u64);
    let _ = sink.head(status, b"", &headers, length);
    let _ = sink.data(Bytes::from(answer.body)).await;
}

enum Turn {
    Next,
    Linger { unread: bool },
    Close,
}

async fn request(
    worker: &Worker,
    peer: &Peer,
    reader: &mut Reader,
    writer: &mut Writer,
    head: Box<Head>,
    last: bool,
) -> Turn {
    let mut record = Record::new();
    record.request_length = head.length as u64;
    let framing = head.framing;
    let (keep_alive, expect) = (head.keep_alive, head.expect_continue);
    let request = into_request(*head, peer);
    let table = worker.shared.table.load_full();
    let decision = select(&table, &request);
    let mut decoder = Decoder::new(framing);
    let mut sink = H1Sink::new(writer, SEND_TIMEOUT);
    sink.http10 = request.version == gateway::Version::Http10;
    sink.head_only = request.method == "HEAD";
    sink.keep_alive = keep_alive && !last;
    sink.keep_alive_seconds = table.global.keep_alive_seconds;
    let mut sink = Sink::H1(sink);
    if expect && !refuses_body(&decision) {
        let _ = sink.interim(100, &Headers::new()).await;
    }
    let after = {
        let mut incoming = Incoming {
            body: RequestBody::H1 {
                reader: &mut *reader,
                decoder: &mut decoder,
            },
            limit: body_limit(&decision),
            received: 0,
            timeout: Duration::from_secs(table.global.client_body_timeout.max(1)),
            length: length(&request, framing),
            is_empty: framing == Framing::None,
        };
        let mut exchange = Exchange {
            worker,
            head: &request,
            decision: &decision,
            incoming: &mut incoming,
            sink: &mut sink,
            record: &mut record,
            upgradable: true,
        };
        let after = exchange.run().await;
        record.request_length += incoming.received;
        after
    };
    record.finish(&worker.shared.metrics, &request, &decision, sink.sent());
    let Sink::H1(sink) = sink else {
        return Turn::Close;
    };
    match after {
        After::Spliced | After::Broken => Turn::Close,
        After::Answered if !sink.keep_alive => Turn::Linger {
            unread: !decoder.is_done(),
        },
        After::Answered if skip(&mut decoder, reader).await => Turn::Next,
        After::Answered => Turn::Linger { unread: true },
    }
}

fn refuses_body(decision: &Decision) -> bool {
    matches!(&decision.action, Action::Answer(answer) if answer.status == 413)
}

fn body_limit(decision: &Decision) -> u64 {
    let location = decision.location.as_deref();
    location.map_or(0, |location| location.policy.proxy.body_size)
}

fn length(request: &RequestHead, framing: Framing) -> Option<u64> {
    match framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
        Framing::None => request.headers.get("content-length").map(|_| 0),
    }
}

fn into_request(head: Head, peer: &Peer) -> RequestHead {
    RequestHead {
        method: head.method,
        target: head.target,
        authority: head.authority,
        version: head.version,
        headers: head.headers,
        https: peer.https,
        peer: peer.address,
        server_port: peer.server_port,
        id: crate::id::request_id(),
        sni: peer.sni.clone(),
        client_certificate: peer.certificate.clone(),
    }
}

/// Reads over what is left of a body; false when it is too long for that.
async fn skip(decoder: &mut Decoder, reader: &mut Reader) -> bool {
    let mut skipped = 0u64;
    while !decoder.is_done() {
        match decoder.next(reader, LINGER_TIME).await {
            Ok(Some(piece)) => skipped += piece.len() as u64,
            Ok(None) => return true,
            Err(_) => return false,
        }
        if skipped > SKIP_LIMIT {
            return false;
        }
    }
    true
}

/// Reads what the client still sends after the last response, so that a reset does not take the
/// response away from it.
async fn linger(reader: &mut Reader, writer: &mut Writer, unread: bool) {
    if !unread {
        writer.close().await;
    }
    let until = tokio::time::Instant::now() + LINGER_TIME * 2;
    let mut total = 0;
    while total < LINGER_BYTES {
        reader.buffer.clear();
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        match reader.fill_within(left.min(LINGER_TIME)).await {
            Ok(0) | Err(_) => return,
            Ok(n) => total += n,
        }
    }
}
