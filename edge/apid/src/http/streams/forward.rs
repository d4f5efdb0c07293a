//! `portforward`: pairs of streams, one for data and one for errors, each pair a connection to a
//! port of the Pod.

use super::pipe::Sink;
use super::spdy::{Connection, Reset, Stream};
use super::target::{self, Node};
use super::upgrade::{self, Wanted};
use super::websocket::channels::{self, Channels, Dialect};
use super::websocket::tunnel;
use super::{permit, pipe, raw};
use crate::PodAccess;
use crate::http::{Answer, Call, Failure, Front};
use api::{ResourcePath, answer};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::request::Parts;
use model::{ApiError, Object};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

const SPDY_PROTOCOLS: [&str; 1] = ["portforward.k8s.io"];

/// SPDY within messages.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Subprotocols with two channels for each port of the query.
const WEBSOCKET_PROTOCOLS: [&str; 2] = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"];

/// How long one stream of a pair waits for the other.
const PAIRING: Duration = Duration::from_secs(30);

/// Ports in a query, at most.
const PORTS: usize = 64;

/// Which Pod the ports are of.
#[derive(Clone)]
struct Goal {
    pods: Arc<dyn PodAccess>,
    pod: Arc<Object>,
}

/// How the client speaks.
enum Manner {
    Spdy,
    Tunnel,
    Channels(Dialect, Vec<u16>),
}

/// Answers a request for `portforward`.
pub(super) fn serve(
    front: &Arc<Front>,
    mut call: Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let ports = ports(call.query.all("ports"))?;
    let target = target::find(front, path, None)?;
    let wanted = upgrade::wanted(&call.parts.headers);
    let pods = match target.node {
        Node::None => {
            let text = format!("pod {} does not have a host assigned", path.name);
            return Err(answer::bad_request(text).into());
        }
        _ if wanted == Wanted::None => {
            return Err(answer::bad_request("Upgrade request required").into());
        }
        Node::Elsewhere { why, .. } => {
            return Err(answer::plain_500(format!("error dialing backend: {why}")).into());
        }
        Node::Here(pods) => pods,
    };
    let headers = &call.parts.headers;
    let (response, manner) = match &wanted {
        Wanted::WebSocket(asked) if asked.iter().any(|name| name.starts_with("SPDY/3.1+")) => {
            let protocol = upgrade::subprotocol(asked, &[TUNNEL]).map_err(Failure::Raw)?;
            let response = upgrade::to_websocket(headers, protocol).map_err(Failure::Raw)?;
            (response, Manner::Tunnel)
        }
        Wanted::WebSocket(asked) => {
            if ports.is_empty() {
                let text = "query parameter \"port\" is required";
                return Err(raw(upgrade::plain(StatusCode::BAD_REQUEST, text)));
            }
            let protocol =
                upgrade::subprotocol(asked, &WEBSOCKET_PROTOCOLS).map_err(Failure::Raw)?;
            let response = upgrade::to_websocket(headers, protocol).map_err(Failure::Raw)?;
            let dialect = Dialect {
                base64: protocol.contains("base64"),
                close_signal: false,
            };
            (response, Manner::Channels(dialect, ports))
        }
        _ => {
            let protocol = upgrade::negotiate(headers, &SPDY_PROTOCOLS).map_err(Failure::Raw)?;
            if wanted == Wanted::Other {
                let text = "unable to upgrade: missing upgrade headers in request";
                return Err(raw(upgrade::plain(StatusCode::BAD_REQUEST, text)));
            }
            (upgrade::to_spdy(protocol), Manner::Spdy)
        }
    };
    let permit = permit(front)?;
    let goal = Goal {
        pods,
        pod: target.pod,
    };
    let mut stopping = front.stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = run(&mut call.parts, manner, goal) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        drop(permit);
    });
    Err(raw(response))
}

/// `ports`, in the words of Go's conversion.
fn ports<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<u16>, ApiError> {
    let mut ports = Vec::new();
    for text in texts.flat_map(|text| text.split(',')).map(str::trim) {
        let port = text.parse::<u16>().map_err(|error| {
            let why = match error.kind() {
                std::num::IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let quoted = model::go_quote(text);
            answer::bad_request(format!(
                "cannot convert to []int32: strconv.ParseUint: parsing {quoted}: {why}"
            ))
        })?;
        if port == 0 || ports.len() >= PORTS {
            return Err(answer::bad_request(format!("port {text:?} must be > 0")));
        }
        ports.push(port);
    }
    Ok(ports)
}

async fn run(parts: &mut Parts, manner: Manner, goal: Goal) {
    let Some(io) = upgrade::upgraded(parts).await else {
        return;
    };
    match manner {
        Manner::Spdy => over_spdy(io, goal).await,
        Manner::Tunnel => over_spdy(tunnel::open(io), goal).await,
        Manner::Channels(dialect, ports) => over_channels(io, dialect, ports, goal).await,
    }
}

/// The half of a pair that came first.
struct Half {
    stream: Stream,
    is_error: bool,
    since: Instant,
}

async fn over_spdy(io: impl AsyncRead + AsyncWrite + Send + 'static, goal: Goal) {
    let mut connection = Connection::begin(io);
    let mut halves: BTreeMap<String, Half> = BTreeMap::new();
    let mut pairs = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = connection.streams.recv() => stream,
            Some(_) = pairs.join_next() => continue,
            () = tokio::time::sleep(PAIRING), if !halves.is_empty() => {
                expire(&mut halves).await;
                continue;
            }
        };
        let Some(stream) = stream else { break };
        let Some((port, is_error)) = purpose(&stream) else {
            stream.refuse(Reset::ProtocolError).await;
            continue;
        };
        stream.accept().await;
        let id = request_id(&stream, is_error);
        let half = Half {
            stream,
            is_error,
            since: Instant::now(),
        };
        match halves.remove(&id) {
            None => {
                halves.insert(id, half);
            }
            Some(other) if other.is_error == is_error => {
                let kind = if is_error { "error" } else { "data" };
                let text = format!(
                    "error processing stream for request {id}: {kind} stream already assigned"
                );
                let errors = if is_error {
                    &other.stream
                } else {
                    &half.stream
                };
                errors.output.send(text.into()).await;
                halves.insert(id, other);
            }
            Some(other) => {
                let (data, error) = if is_error {
                    (other.stream, half.stream)
                } else {
                    (half.stream, other.stream)
                };
                pairs.spawn(pair(goal.clone(), port, data, error));
            }
        }
    }
    // The client is gone: what still goes on ends here.
    drop(pairs);
}

/// Port and kind of a stream; nothing for one that has none.
fn purpose(stream: &Stream) -> Option<(u16, bool)> {
    let port = stream
        .header("port")
        .parse()
        .ok()
        .filter(|port| *port > 0)?;
    match stream.header("streamtype") {
        "error" => Some((port, true)),
        "data" => Some((port, false)),
        _ => None,
    }
}

/// What both streams of a pair have in common. Old clients say nothing, but open the stream for
/// data right after that for errors.
fn request_id(stream: &Stream, is_error: bool) -> String {
    match stream.header("requestid") {
        "" if is_error => stream.id.to_string(),
        "" => stream.id.saturating_sub(2).to_string(),
        id => id.to_owned(),
    }
}

async fn expire(halves: &mut BTreeMap<String, Half>) {
    let late: Vec<String> = halves
        .iter()
        .filter(|(_, half)| half.since.elapsed() >= PAIRING)
        .map(|(id, _)| id.clone())
        .collect();
    for half in late.iter().filter_map(|id| halves.remove(id)) {
        half.stream.refuse(Reset::Cancel).await;
    }
}

/// One connection to a port.
async fn pair(goal: Goal, port: u16, data: Stream, error: Stream) {
    let why = match goal.dial(port).await {
        Ok(stream) => {
            let Stream {
                input,
                output,
                mut reset,
                ..
            } = data;
            let carried = tokio::select! {
                carried = carry(stream, input, &output) => carried,
                _ = reset.wait_for(|reset| *reset) => Ok(()),
            };
            output.finish(Bytes::new()).await;
            carried.err()
        }
        Err(why) => {
            data.output.finish(Bytes::new()).await;
            Some(why)
        }
    };
    let text = why
        .map(|why| goal.complaint(port, &why))
        .unwrap_or_default();
    error.output.finish(text.into()).await;
}

impl Goal {
    async fn dial(&self, port: u16) -> Result<TcpStream, String> {
        self.pods.dial(self.pod.clone(), port).await
    }

    fn complaint(&self, port: u16, why: &str) -> String {
        let meta = &self.pod.meta;
        format!(
            "error forwarding port {port} to pod {}, uid {}: {why}",
            meta.name, meta.uid
        )
    }
}

/// Carries bytes in both directions until the Pod closes.
async fn carry(
    stream: TcpStream,
    mut input: mpsc::Receiver<Bytes>,
    output: &Sink,
) -> Result<(), String> {
    let _ = stream.set_nodelay(true);
    let (mut from, mut to) = stream.into_split();
    let inward = async move {
        while let Some(bytes) = input.recv().await {
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    let outward = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(pipe::PIECE);
            match from.read_buf(&mut buffer).await {
                Ok(0) => return Ok(()),
                Err(error) => return Err(error.to_string()),
                Ok(_) if output.send(buffer.split().freeze()).await => {}
                Ok(_) => return Ok(()),
            }
        }
    };
    tokio::pin!(inward, outward);
    let mut fed = false;
    loop {
        tokio::select! {
            done = &mut outward => return done,
            () = &mut inward, if !fed => fed = true,
        }
    }
}

/// Two channels for each port; both begin with its number, low byte first.
async fn over_channels(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    dialect: Dialect,
    ports: Vec<u16>,
    goal: Goal,
) {
    let mut inputs = Vec::new();
    let mut receivers = Vec::new();
    for _ in &ports {
        let (sender, receiver) = channels::input();
        inputs.extend([Some(sender), None]);
        receivers.push(receiver);
    }
    let channels = Channels::begin(io, dialect, inputs);
    let mut forwards = JoinSet::new();
    for (index, (port, input)) in (0u32..).zip(ports.into_iter().zip(receivers)) {
        let (data, error) = (channels.sink(2 * index), channels.sink(2 * index + 1));
        let number = Bytes::copy_from_slice(&port.to_le_bytes());
        data.send(number.clone()).await;
        error.send(number).await;
        let goal = goal.clone();
        forwards.spawn(async move {
            let carried = match goal.dial(port).await {
                Ok(stream) => carry(stream, input, &data).await,
                Err(why) => Err(why),
            };
            if let Err(why) = carried {
                error.send(goal.complaint(port, &why).into()).await;
            }
        });
    }
    while forwards.join_next().await.is_some() {}
    channels.close().await;
}

#[cfg(test)]
mod tests;
