//! One request to a backend and its answer, or an upgraded connection to it.

use super::links::Links;
use super::place::Place;
use super::{html, raw};
use crate::http::streams::upgrade;
use crate::http::{Answer, Body, Call, Failure, Front, Peer, reply};
use api::answer;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use model::ApiError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

/// Pages up to this size have their links rewritten; longer ones are passed on as they are.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Headers that are meant for the next machine only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of answers that speak for another origin.
const CORS: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];

/// Passes a request on and its answer back.
pub(super) async fn pass_on(
    call: Call,
    place: Place,
    uri: &str,
    links: Links,
    permit: OwnedSemaphorePermit,
) -> Result<Answer, Failure> {
    let Call { parts, body, .. } = call;
    let mut headers = forwarded(&parts);
    remove_hop_by_hop(&mut headers);
    let path = uri.split('?').next().unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&links.forwarded(path)) {
        headers.insert("x-forwarded-uri", value);
    }
    let request = request(&parts, headers, uri, body)?;
    let unreachable = |why: String| {
        let text = format!("error trying to reach service: {why}");
        ApiError::new(503, "ServiceUnavailable", text)
    };
    let mut sender = connect(&place).await.map_err(unreachable)?;
    let answered = sender.send_request(request).await;
    let response = answered.map_err(|error| unreachable(error.to_string()))?;
    let (mut head, body) = response.into_parts();
    remove_hop_by_hop(&mut head.headers);
    for name in CORS {
        head.headers.remove(name);
    }
    if !head.headers.contains_key(header::CACHE_CONTROL) {
        let value = HeaderValue::from_static("no-cache, private");
        head.headers.insert(header::CACHE_CONTROL, value);
    }
    head.version = Version::HTTP_11;
    let body = if relocate(&mut head.headers, &links) || !is_page(&head.headers) {
        passed(None, body, permit)
    } else {
        page(&mut head.headers, body, &links, permit).await
    };
    Err(raw(Response::from_parts(head, body)))
}

/// Rewrites `Location`; false when there is none.
fn relocate(headers: &mut HeaderMap, links: &Links) -> bool {
    let Some(location) = headers.get(header::LOCATION) else {
        return false;
    };
    let rewritten = location.to_str().ok().and_then(|text| links.rewrite(text));
    if let Some(value) = rewritten.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::LOCATION, value);
    }
    true
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim() == "text/html"
}

/// A page with its links rewritten, unless it is too long or packed in a way we cannot read.
async fn page(
    headers: &mut HeaderMap,
    mut body: Incoming,
    links: &Links,
    permit: OwnedSemaphorePermit,
) -> Body {
    let encoding = headers.get(header::CONTENT_ENCODING).cloned();
    let gzip = encoding.as_ref().is_some_and(|value| value == "gzip");
    if encoding.is_some() && !gzip {
        return passed(None, body, permit);
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            all.extend_from_slice(data);
        }
        if all.len() > PAGE_BYTES {
            return passed(Some(all.freeze()), body, permit);
        }
    }
    let all = all.freeze();
    let plain = if gzip {
        unpack(&all)
    } else {
        Some(all.to_vec())
    };
    let text = plain.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(text) = text else {
        return Body::Whole(Some(all));
    };
    let text = html::rewrite(&text, links).into_bytes();
    headers.remove(header::CONTENT_LENGTH);
    let bytes = if gzip { reply::gzip(&text) } else { text };
    Body::Whole(Some(bytes.into()))
}

fn passed(first: Option<Bytes>, rest: Incoming, permit: OwnedSemaphorePermit) -> Body {
    Body::Passed {
        first,
        rest: Box::pin(rest),
        _permit: permit,
    }
}

/// What is in a gzip member (RFC 1952), if it is not too long.
fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let &[0x1f, 0x8b, 8, flags, _, _, _, _, _, _, ref rest @ ..] = bytes else {
        return None;
    };
    let mut rest = rest;
    if flags & 4 != 0 {
        let length = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        rest = rest.get(2 + length..)?;
    }
    // The name and the comment end with a zero.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..)?;
    }
    miniz_oxide::inflate::decompress_to_vec_with_limit(rest, 4 * PAGE_BYTES).ok()
}

/// The request's headers for a backend: without what this server was told only, and with where
/// the request comes from.
fn forwarded(parts: &Parts) -> HeaderMap {
    let mut headers = parts.headers.clone();
    headers.remove(header::AUTHORIZATION);
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
    if !headers.contains_key(header::HOST)
        && let Some(host) = parts.uri.authority()
        && let Ok(value) = HeaderValue::from_str(host.as_str())
    {
        headers.insert(header::HOST, value);
    }
    if let Some(Peer(peer)) = parts.extensions.get::<Peer>() {
        let earlier = headers.get_all("x-forwarded-for").iter();
        let mut chain: Vec<String> = earlier
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect();
        chain.push(peer.ip().to_string());
        if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
            headers.insert("x-forwarded-for", value);
        }
    }
    headers
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_lowercase())
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn request(
    parts: &Parts,
    headers: HeaderMap,
    uri: &str,
    body: Incoming,
) -> Result<Request<Incoming>, ApiError> {
    let uri: Uri = uri
        .parse()
        .map_err(|error| answer::bad_request(format!("{uri:?}: {error}")))?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Carries an upgraded connection between the client and a backend.
pub(super) async fn upgrade(
    front: &Arc<Front>,
    call: Call,
    place: Place,
    uri: &str,
    permit: OwnedSemaphorePermit,
) -> Result<Answer, Failure> {
    let Call {
        mut parts, body, ..
    } = call;
    let headers = forwarded(&parts);
    let request = request(&parts, headers, uri, body)?;
    let failed = |why: String| answer::plain_500(format!("error dialing backend: {why}"));
    let mut sender = connect(&place).await.map_err(failed)?;
    let answered = sender.send_request(request).await;
    let mut response = answered.map_err(|error| answer::plain_500(error.to_string()))?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if status.as_u16() < 400 {
            let text = format!("invalid upgrade response: status code {}", status.as_u16());
            return Err(answer::plain_500(text).into());
        }
        let (mut head, body) = response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        let body = passed(None, body, permit);
        return Err(raw(Response::from_parts(head, body)));
    }
    let backend = hyper::upgrade::on(&mut response);
    let mut stopping = front.stopping.clone();
    tokio::spawn(async move {
        let carried = async {
            let client = upgrade::upgraded(&mut parts).await?;
            let backend = TokioIo::new(backend.await.ok()?);
            carry(client, backend).await;
            Some(())
        };
        tokio::select! {
            _ = carried => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        drop(permit);
    });
    let (head, _) = response.into_parts();
    Err(raw(Response::from_parts(head, Body::Whole(None))))
}

/// Until either side closes.
async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    backend: impl AsyncRead + AsyncWrite + Unpin,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    let ended = tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_backend) => ended,
        ended = tokio::io::copy(&mut from_backend, &mut to_client) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a proxied connection broke");
    }
    use tokio::io::AsyncWriteExt as _;
    let _ = tokio::join!(to_client.shutdown(), to_backend.shutdown());
}

/// A connection that takes a request.
async fn connect(place: &Place) -> Result<SendRequest<Incoming>, String> {
    let stream = place.dial().await?;
    let _ = stream.set_nodelay(true);
    if !place.https {
        return handshake(stream).await;
    }
    let name = ServerName::IpAddress(place.ip().into());
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls()?));
    let stream = connector.connect(name, stream).await;
    handshake(stream.map_err(|error| error.to_string())?).await
}

async fn handshake(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Incoming>, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(io))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a proxied request broke");
        }
    });
    Ok(sender)
}

/// Backends are Pods of the cluster, whose certificates nobody can check: the API server does not
/// either.
fn tls() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Trusting(provider.clone()));
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

#[derive(Debug)]
struct Trusting(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_unpacked_with_all_its_fields() {
        let packed = reply::gzip(b"hello");
        assert_eq!(unpack(&packed).unwrap(), b"hello");
        let mut named = packed[..10].to_vec();
        named[3] = 8;
        named.extend(b"name\0");
        named.extend(&packed[10..]);
        assert_eq!(unpack(&named).unwrap(), b"hello");
        assert_eq!(unpack(b"hello"), None);
    }

    #[test]
    fn what_is_meant_for_this_server_stays_here() {
        let request = Request::builder()
            .uri("/x")
            .header("authorization", "Bearer secret")
            .header("impersonate-user", "jane")
            .header("x-forwarded-for", "192.0.2.1")
            .header("connection", "close, x-private")
            .header("x-private", "1")
            .header("accept", "text/html")
            .extension(Peer(([127, 0, 0, 1], 1).into()));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut headers = forwarded(&parts);
        remove_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-forwarded-for"]);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1, 127.0.0.1");
    }
}
