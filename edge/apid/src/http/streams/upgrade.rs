//! Which protocol a client wants its connection to become, and the answer to that.

use super::websocket;
use crate::http::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// An answer in place of 101.
pub(super) type Refusal = Box<Response<Body>>;

const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";
const ACCEPTED_PROTOCOLS: &str = "x-accepted-stream-protocol-versions";

/// How the client wants to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No upgrade at all
    None,
    /// SPDY/3.1
    Spdy,
    /// WebSocket with these subprotocols
    WebSocket(Vec<String>),
    /// Something else
    Other,
}

/// What the headers ask for.
pub(super) fn wanted(headers: &HeaderMap) -> Wanted {
    let connection = all(headers, "connection").to_lowercase();
    if !connection.contains("upgrade") {
        return Wanted::None;
    }
    let upgrade = all(headers, "upgrade").to_lowercase();
    if upgrade == "websocket" {
        return Wanted::WebSocket(list(headers, "sec-websocket-protocol"));
    }
    if upgrade.contains("spdy/3.1") {
        return Wanted::Spdy;
    }
    Wanted::Other
}

fn all(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    texts.join(",")
}

/// The words of a header that is a list.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let all = all(headers, name);
    let words = all.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The first of the client's stream protocols that the server has (`X-Stream-Protocol-Version`).
pub(super) fn negotiate(
    headers: &HeaderMap,
    supported: &[&'static str],
) -> Result<&'static str, Refusal> {
    if !headers.contains_key(STREAM_PROTOCOL) {
        let text = format!(
            "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with {} headers",
            headers.keys_len()
        );
        return Err(plain(StatusCode::BAD_REQUEST, text).into());
    }
    let asked = list(headers, STREAM_PROTOCOL);
    let known = |name: &String| supported.iter().find(|known| **known == name.as_str());
    if let Some(name) = asked.iter().find_map(known) {
        return Ok(name);
    }
    let text = format!(
        "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
        asked.join(" "),
        supported.join(" ")
    );
    let mut response = plain(StatusCode::FORBIDDEN, text);
    for name in supported {
        let value = HeaderValue::from_static(name);
        response.headers_mut().append(ACCEPTED_PROTOCOLS, value);
    }
    Err(response.into())
}

/// The subprotocol of a WebSocket: the first of the client's that the server has; a client that
/// names none gets the oldest.
pub(super) fn subprotocol(
    asked: &[String],
    supported: &[&'static str],
) -> Result<&'static str, Refusal> {
    if asked.is_empty() {
        return Ok("");
    }
    let known = |name: &String| supported.iter().find(|known| **known == name.as_str());
    asked.iter().find_map(known).copied().ok_or_else(|| {
        let text = format!(
            "requested protocol(s) are not supported: [{}]; supports [{}]",
            asked.join(" "),
            supported.join(" ")
        );
        plain(StatusCode::FORBIDDEN, text).into()
    })
}

/// 101 to SPDY.
pub(super) fn to_spdy(protocol: &'static str) -> Response<Body> {
    let mut response = switching(HeaderValue::from_static(SPDY));
    let value = HeaderValue::from_static(protocol);
    response.headers_mut().insert(STREAM_PROTOCOL, value);
    response
}

/// 101 to WebSocket.
pub(super) fn to_websocket(
    headers: &HeaderMap,
    protocol: &'static str,
) -> Result<Response<Body>, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-websocket-version") != Some("13") {
        let mut response = plain(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
        let version = HeaderValue::from_static("13");
        response
            .headers_mut()
            .insert("sec-websocket-version", version);
        return Err(response.into());
    }
    let key = text("sec-websocket-key").filter(|key| !key.is_empty() && key.len() <= 64);
    let refused = || Refusal::new(plain(StatusCode::BAD_REQUEST, "challenge/response error"));
    let key = key.ok_or_else(refused)?;
    let accept = HeaderValue::from_str(&websocket::accept(key)).map_err(|_| refused())?;
    let mut response = switching(HeaderValue::from_static("websocket"));
    response
        .headers_mut()
        .insert("sec-websocket-accept", accept);
    if !protocol.is_empty() {
        let value = HeaderValue::from_static(protocol);
        response
            .headers_mut()
            .insert("sec-websocket-protocol", value);
    }
    Ok(response)
}

fn switching(protocol: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, protocol);
    response
}

/// A sentence, as whoever runs the Pods answers.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let text = text.into() + "\n";
    let mut response = Response::new(Body::Whole(Some(Bytes::from(text))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// The connection of a request that was answered with 101, once it is free.
pub(super) async fn upgraded(
    parts: &mut Parts,
) -> Option<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>> {
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>()?;
    upgrade.await.ok().map(hyper_util::rt::TokioIo::new)
}
