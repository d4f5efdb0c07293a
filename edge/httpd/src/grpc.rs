//! Sends a request to a gRPC backend over HTTP/2.

use crate::body::{BodyError, Incoming, next_h2};
use crate::proxy::{After, Exchange};
use crate::sink::{Length, capacity, header_map};
use crate::upstream::PoolKey;
use bytes::Bytes;
use gateway::{BackendProtocol, Forward, Headers, Policy, forward as core, respond};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// Forwards one call; endpoints that refuse are passed over.
pub(crate) async fn forward(
    exchange: &mut Exchange<'_, '_>,
    forward: &Forward,
    policy: &Policy,
    addresses: &[SocketAddr],
    turn: usize,
) -> After {
    let tls = policy.proxy.protocol == BackendProtocol::Grpcs;
    let limit = Duration::from_secs(policy.proxy.connect_timeout);
    for tried in 0..addresses.len() {
        let Some(&address) = addresses.get((turn + tried) % addresses.len()) else {
            break;
        };
        exchange.record.upstream = Some(address);
        let key = PoolKey {
            address,
            tls: tls.then(String::new),
        };
        let worker = &exchange.worker;
        let from = worker.shared.sockets.as_ref();
        let Ok(sender) = worker.pool.grpc.get(&key, limit, from).await else {
            exchange.worker.pool.grpc.forget(&key);
            continue;
        };
        return match call(exchange, forward, policy, sender).await {
            Ok(after) => after,
            Err(failed) => {
                exchange.worker.pool.grpc.forget(&key);
                give_up(exchange, failed).await
            }
        };
    }
    exchange.fail_with(502).await
}

async fn give_up(exchange: &mut Exchange<'_, '_>, error: io::Error) -> After {
    if exchange.sink.started() {
        exchange.sink.abort();
        return After::Broken;
    }
    let status = if error.kind() == io::ErrorKind::TimedOut {
        504
    } else {
        502
    };
    exchange.fail_with(status).await
}

async fn call(
    exchange: &mut Exchange<'_, '_>,
    forward: &Forward,
    policy: &Policy,
    mut sender: h2::client::SendRequest<Bytes>,
) -> io::Result<After> {
    let request = request(exchange, forward, policy)?;
    let end = exchange.incoming.is_empty;
    let (response, mut stream) = sender
        .send_request(request, end)
        .map_err(io::Error::other)?;
    let send_limit = Duration::from_secs(policy.proxy.send_timeout.max(1));
    let read_limit = Duration::from_secs(policy.proxy.read_timeout.max(1));
    let mut sent = end;
    let mut sending = pin!(send(&mut stream, exchange.incoming, send_limit));
    let mut response = pin!(response);
    let response = loop {
        tokio::select! {
            biased;
            done = &mut sending, if !sent => {
                sent = true;
                if let Err(Stopped::Client(error)) = done {
                    return Ok(exchange_failed(exchange.sink, error));
                }
            }
            done = tokio::time::timeout(read_limit, &mut response) => match done {
                Ok(Ok(response)) => break response,
                Ok(Err(error)) => return Err(io::Error::other(error)),
                Err(_) if sent => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => {}
            },
        }
    };
    let (parts, mut body) = response.into_parts();
    let mut headers: Headers = parts
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_bytes()))
        .collect();
    respond::from_backend(exchange.decision, exchange.head, &mut headers);
    respond::finish(exchange.decision, exchange.head, &mut headers);
    exchange.record.status = parts.status.as_u16();
    exchange.record.upstream_status = parts.status.as_u16();
    let length = if body.is_end_stream() {
        Length::None
    } else {
        Length::Unknown
    };
    exchange
        .sink
        .head(parts.status.as_u16(), b"", &headers, length)?;
    loop {
        let _ = exchange.sink.flush().await;
        tokio::select! {
            biased;
            _ = &mut sending, if !sent => sent = true,
            piece = next_h2(&mut body, read_limit) => match piece {
                Ok(Some(piece)) => exchange.sink.data(piece).await?,
                Ok(None) => break,
                Err(_) => {
                    exchange.sink.abort();
                    return Ok(After::Broken);
                }
            },
        }
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?;
    let trailers: Option<Headers> = trailers.map(|map| {
        map.iter()
            .map(|(n, v)| (n.as_str(), v.as_bytes()))
            .collect()
    });
    exchange.sink.end(trailers.as_ref()).await?;
    Ok(After::Answered)
}

fn exchange_failed(sink: &mut crate::sink::Sink<'_>, _error: BodyError) -> After {
    sink.abort();
    After::Broken
}

enum Stopped {
    Client(BodyError),
    Backend,
}

async fn send(
    stream: &mut h2::SendStream<Bytes>,
    incoming: &mut Incoming<'_>,
    limit: Duration,
) -> Result<(), Stopped> {
    while let Some(mut piece) = incoming.next().await.map_err(Stopped::Client)? {
        while !piece.is_empty() {
            let room = capacity(stream, piece.len(), limit).await;
            let room = room.map_err(|_| Stopped::Backend)?;
            let part = piece.split_to(room.min(piece.len()));
            stream
                .send_data(part, false)
                .map_err(|_| Stopped::Backend)?;
        }
    }
    stream
        .send_data(Bytes::new(), true)
        .map_err(|_| Stopped::Backend)
}

fn request(
    exchange: &Exchange<'_, '_>,
    forward: &Forward,
    policy: &Policy,
) -> io::Result<http::Request<()>> {
    let mut headers = core::headers(exchange.decision, forward, exchange.head);
    let authority = headers.get("host").unwrap_or_default().to_vec();
    headers.remove("host");
    if exchange
        .head
        .headers
        .get("te")
        .is_some_and(|te| te.eq_ignore_ascii_case(b"trailers"))
    {
        headers.push("te", "trailers");
    }
    let tls = policy.proxy.protocol == BackendProtocol::Grpcs;
    let uri = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(authority.as_slice())
        .path_and_query(forward.target.as_slice())
        .build()
        .map_err(io::Error::other)?;
    let mut request = http::Request::builder()
        .method(exchange.head.method.as_str())
        .uri(uri)
        .version(http::Version::HTTP_2)
        .body(())
        .map_err(io::Error::other)?;
    *request.headers_mut() = header_map(&headers);
    Ok(request)
}
