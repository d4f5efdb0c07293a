//! HTTP/2 towards clients.

use crate::body::{Incoming, RequestBody};
use crate::h1::Peer;
use crate::log::Record;
use crate::proxy::Exchange;
use crate::sink::{H2Sink, Sink};
use crate::upstream::Worker;
use crate::wire::Stream;
use bytes::Bytes;
use gateway::{Headers, RequestHead, Version, select};
use std::sync::Arc;
use std::time::Duration;

/// Streams at once on a connection (`http2-max-concurrent-streams`).
const MAX_STREAMS: u32 = 128;
/// Bytes of a request's headers.
const MAX_HEADERS: u32 = 32 * 1024;
/// Longest wait for a client to take bytes of a response.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest body that is read over after an answer that did not need it.
const SKIP_LIMIT: u64 = 64 << 20;

/// Serves a connection.
pub(crate) async fn serve(worker: Arc<Worker>, stream: Box<dyn Stream>, peer: Peer) {
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_window_size(1 << 17)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream);
    let Ok(Ok(mut connection)) = tokio::time::timeout(SEND_TIMEOUT, handshake).await else {
        return;
    };
    let mut stopping = worker.shared.stopping.subscribe();
    let mut closing = false;
    let idle = {
        let table = worker.shared.table.load();
        Duration::from_secs(table.global.keep_alive_seconds.max(1))
    };
    let active = Arc::new(());
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => {
                    let (worker, peer, active) = (worker.clone(), peer.clone(), active.clone());
                    tokio::spawn(async move {
                        stream_request(&worker, &peer, request, respond).await;
                        drop(active);
                    });
                }
                Some(Err(_)) | None => return,
            },
            _ = stopping.wait_for(|stop| *stop), if !closing => {
                closing = true;
                connection.graceful_shutdown();
            }
            () = tokio::time::sleep(idle), if !closing && Arc::strong_count(&active) == 1 => {
                closing = true;
                connection.graceful_shutdown();
            }
        }
    }
}

async fn stream_request(
    worker: &Worker,
    peer: &Peer,
    request: http::Request<h2::RecvStream>,
    respond: h2::server::SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let mut record = Record::new();
    let table = worker.shared.table.load_full();
    let head = head(&parts, peer, table.global.underscores);
    let decision = select(&table, &head);
    let length = head
        .headers
        .get("content-length")
        .and_then(|text| String::from_utf8_lossy(text).parse().ok());
    let is_empty = body.is_end_stream();
    let limit = decision.location.as_deref();
    let mut incoming = Incoming {
        limit: limit.map_or(0, |location| location.policy.proxy.body_size),
        received: 0,
        timeout: Duration::from_secs(table.global.client_body_timeout.max(1)),
        length,
        is_empty,
        body: RequestBody::H2(body),
    };
    let mut sink = H2Sink::new(respond, SEND_TIMEOUT);
    sink.head_only = head.method == "HEAD";
    let mut sink = Sink::H2(sink);
    let mut exchange = Exchange {
        worker,
        head: &head,
        decision: &decision,
        incoming: &mut incoming,
        sink: &mut sink,
        record: &mut record,
        upgradable: false,
    };
    exchange.run().await;
    // A client that is still sending would take a reset for a failure.
    incoming.limit = 0;
    while incoming.received < SKIP_LIMIT && matches!(incoming.next().await, Ok(Some(_))) {}
    record.request_length = incoming.received;
    record.finish(&worker.shared.metrics, &head, &decision, sink.sent());
}

fn head(parts: &http::request::Parts, peer: &Peer, underscores: bool) -> RequestHead {
    let mut headers = Headers::new();
    if let Some(authority) = parts.uri.authority() {
        headers.push("host", authority.as_str());
    }
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        if name == http::header::COOKIE {
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
            continue;
        }
        let hidden = name == http::header::HOST && parts.uri.authority().is_some();
        let odd = !underscores && name.as_str().contains('_');
        let plain = name
            .as_str()
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !hidden && !odd && plain {
            headers.push(name.as_str(), value.as_bytes());
        }
    }
    if !cookies.is_empty() {
        headers.push("cookie", cookies);
    }
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    RequestHead {
        method: parts.method.as_str().to_owned(),
        target: target.as_bytes().to_vec(),
        authority: None,
        version: Version::Http2,
        headers,
        https: peer.https,
        peer: peer.address,
        server_port: peer.server_port,
        id: crate::id::request_id(),
        sni: peer.sni.clone(),
        client_certificate: peer.certificate.clone(),
    }
}
