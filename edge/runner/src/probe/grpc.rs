//! `grpc.health.v1.Health/Check` over h2c.

use super::{drive, refused};
use crate::network::Sockets;
use crate::wire;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;

/// Most that is read of an answer, bytes.
const ANSWER_BYTES: usize = 4096;

/// Asks whether `service` is being served.
pub(super) async fn check(at: SocketAddr, service: &str, from: &Sockets) -> Result<(), String> {
    let stream = from.connect(at).await.map_err(|error| {
        let why = refused(&at.ip().to_string(), at.port(), &error);
        format!("error: failed to connect service at \"{at}\": {why}")
    })?;
    let failed = |error: hyper::Error| format!("error: health rpc probe failed: {error}");
    let io = TokioIo::new(stream);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    let request = request(at, service).map_err(|e| e.to_string())?;
    let ask = async move {
        let response = sender.send_request(request).await.map_err(failed)?;
        let head = response.headers().clone();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| format!("error: health rpc probe failed: {error}"))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let field = |name: &str| trailers.get(name).or_else(|| head.get(name)).cloned();
        let text = |name: &str| {
            let value = field(name);
            value.and_then(|value| value.to_str().ok().map(str::to_owned))
        };
        verdict(text("grpc-status"), text("grpc-message"), &body.to_bytes())
    };
    drive(connection, ask).await
}

fn request(at: SocketAddr, service: &str) -> http::Result<Request<Full<Bytes>>> {
    let message = wire::text_field(1, service);
    Request::post(format!("http://{at}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "kube-probe/1.36")
        .body(Full::new(wire::frame(&message).into()))
}

fn verdict(status: Option<String>, message: Option<String>, body: &[u8]) -> Result<(), String> {
    const UNIMPLEMENTED: &str = "12";
    let message = message.unwrap_or_default();
    match status.as_deref() {
        Some("0") => {}
        Some(UNIMPLEMENTED) => {
            return Err(format!(
                "error: this server does not implement the grpc health protocol \
                 (grpc.health.v1.Health): {message}"
            ));
        }
        other => {
            let code = other.unwrap_or("none");
            return Err(format!(
                "error: health rpc probe failed: rpc error: code = {code} desc = {message}"
            ));
        }
    }
    let state = match wire::unframe(body).map(|message| wire::number_field(message, 1)) {
        Some(Some(1)) => return Ok(()),
        Some(Some(2)) => "NOT_SERVING",
        Some(Some(3)) => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    };
    Err(format!("service unhealthy (responded with {state:?})"))
}
