//! HTTP/1.1 and h2c: an answer that describes the request.

use super::body::{Answer, GrpcEcho};
use super::{Session, websocket};
use crate::wire;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Most of a request's body that is told back, bytes; the rest is only counted.
const BODY_BYTES: usize = 64 * 1024;

/// A client has so long for the head of a request once the last one is answered.
const HEAD: Duration = Duration::from_secs(300);

pub(super) async fn serve1(stream: TcpStream, session: Session) {
    let mut stop = session.stop.clone();
    let session = Arc::new(session);
    let service = service_fn(|request| answer(request, session.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let stopped = tokio::select! {
        _ = connection.as_mut() => false,
        _ = stop.wait_for(|stop| *stop) => true,
    };
    if stopped {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

pub(super) async fn serve2(stream: TcpStream, session: Session) {
    let mut stop = session.stop.clone();
    let session = Arc::new(session);
    let service = service_fn(|request| answer(request, session.clone()));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let stopped = tokio::select! {
        _ = connection.as_mut() => false,
        _ = stop.wait_for(|stop| *stop) => true,
    };
    if stopped {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn answer(
    request: Request<Incoming>,
    session: Arc<Session>,
) -> Result<Response<Answer>, Infallible> {
    let line = format!(
        "{} {} {:?}",
        request.method(),
        request.uri(),
        request.version()
    );
    let response = if let Some(accept) = websocket::accept(request.headers()) {
        websocket::upgrade(request, &accept, session.clone())
    } else if is_grpc(&request) {
        grpc(request)
    } else {
        describe(request, &session).await
    };
    let status = response.status().as_u16();
    session
        .identity
        .say(&format!("{} \"{line}\" {status}", session.peer));
    Ok(response)
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    request.version() == Version::HTTP_2
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Health checks are answered with SERVING; messages of any other method come back.
fn grpc(request: Request<Incoming>) -> Response<Answer> {
    const SERVING: [u8; 2] = [0x08, 1];
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let echo = match request.uri().path() {
        "/grpc.health.v1.Health/Check" => GrpcEcho::message(wire::frame(&SERVING)),
        _ => GrpcEcho::new(request.into_body()),
    };
    let mut response = Response::new(Answer::Grpc(echo));
    let kind = kind.unwrap_or(HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn describe(request: Request<Incoming>, session: &Session) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().map(ToString::to_string);
    let header = head.headers.get(HOST).map(text);
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("method", head.method.as_str().into());
    put("path", head.uri.path().into());
    if let Some(query) = head.uri.query() {
        put("query", query.into());
    }
    put("host", header.or(authority).unwrap_or_default().into());
    put("headers", headers(&head.headers));
    put("protocol", format!("{:?}", head.version).into());
    put("pod", session.identity.pod.as_str().into());
    put("namespace", session.identity.namespace.as_str().into());
    put("port", session.local.port().into());
    put("client", session.peer.to_string().into());
    let (kept, length) = read(body).await;
    if length > 0 {
        put("body", String::from_utf8_lossy(&kept).into());
        put("bodyBytes", length.into());
    }
    let mut text = Value::Object(map).to_string();
    text.push('\n');
    let mut response = Response::new(Answer::Whole(Some(text.into())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    *response.status_mut() = StatusCode::OK;
    response
}

/// The beginning of a body and its whole length.
async fn read(mut body: Incoming) -> (Bytes, u64) {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            length += data.len() as u64;
            let room = BODY_BYTES - kept.len();
            kept.extend_from_slice(&data[..room.min(data.len())]);
        }
    }
    (kept.into(), length)
}

/// Header values by name in lower case; those that came twice are joined by a comma.
fn headers(headers: &HeaderMap) -> Value {
    let names = headers.keys();
    names
        .map(|name| {
            let values: Vec<String> = headers.get_all(name).iter().map(text).collect();
            (name.as_str().to_owned(), values.join(", ").into())
        })
        .collect::<Map<String, Value>>()
        .into()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
