//! WebSocket (RFC 6455): messages come back as they went in.

use super::Session;
use super::body::Answer;
use base64::Engine as _;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest frame that is echoed, bytes.
const FRAME_BYTES: u64 = 1 << 20;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The value of `Sec-WebSocket-Accept`, if the request asks for a WebSocket (RFC 6455 4.2.1).
pub(super) fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let upgrade = headers.get(UPGRADE)?.to_str().ok()?;
    let version = headers.get(SEC_WEBSOCKET_VERSION)?;
    if !upgrade.eq_ignore_ascii_case("websocket") || version != "13" {
        return None;
    }
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{GUID}").as_bytes(),
    );
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    accept.parse().ok()
}

pub(super) fn upgrade(
    mut request: Request<Incoming>,
    accept: &HeaderValue,
    session: Arc<Session>,
) -> Response<Answer> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else {
            return;
        };
        let mut stop = session.stop.clone();
        let mut io = TokioIo::new(upgraded);
        let stopped = tokio::select! {
            _ = echo(&mut io) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if stopped {
            const GOING_AWAY: [u8; 2] = 1001u16.to_be_bytes();
            let _ = send(&mut io, 0x80 | CLOSE, &GOING_AWAY).await;
        }
        let _ = io.shutdown().await;
    });
    let mut response = Response::new(Answer::Whole(None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
    // A client that offers protocols may insist on one of them: the first is as good as any.
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let first = offered.and_then(|offered| offered.to_str().ok()?.split(',').next());
    if let Some(Ok(protocol)) = first.map(|first| first.trim().parse()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Frames until the client closes; fragments are frames of their own here.
async fn echo<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T) -> io::Result<()> {
    const TOO_BIG: [u8; 2] = 1009u16.to_be_bytes();
    loop {
        let mut head = [0; 2];
        io.read_exact(&mut head).await?;
        let (opcode, masked) = (head[0] & 0x0f, head[1] & 0x80 != 0);
        let length = match head[1] & 0x7f {
            126 => u64::from(io.read_u16().await?),
            127 => io.read_u64().await?,
            short => u64::from(short),
        };
        if length > FRAME_BYTES {
            return send(io, 0x80 | CLOSE, &TOO_BIG).await;
        }
        let mut mask = [0; 4];
        if masked {
            io.read_exact(&mut mask).await?;
        }
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
        io.read_exact(&mut payload).await?;
        let key = mask.iter().cycle();
        payload
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        match opcode {
            CLOSE => return send(io, 0x80 | CLOSE, &payload).await,
            PING => send(io, 0x80 | PONG, &payload).await?,
            PONG => {}
            _ => send(io, head[0], &payload).await?,
        }
    }
}

async fn send<T: AsyncWrite + Unpin>(io: &mut T, first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    io.write_all(&frame).await?;
    io.flush().await
}
