//! `exec` and `attach`: a process' ends and the client's, whichever protocol it speaks.

use super::pipe::Sink;
use super::spdy::{Connection, Reset};
use super::target::{self, Node};
use super::upgrade::{self, Wanted};
use super::websocket::channels::{self, Channels, Dialect};
use super::{permit, raw};
use crate::http::{Answer, Call, Failure, Front};
use crate::{Outcome, PodAccess, Session, Streams, TerminalSize};
use api::{Query, ResourcePath, answer};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use model::Object;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Subprotocols of SPDY, newest first.
const SPDY_PROTOCOLS: [&str; 4] = [
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
];

/// Subprotocols of WebSocket.
const WEBSOCKET_PROTOCOLS: [&str; 5] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
];

/// How long a client may take to open the streams it wants.
const OPENING: Duration = Duration::from_secs(30);

/// A terminal's size may be written in so many bytes.
const SIZE_BYTES: usize = 1024;

/// What is to be done once the client is connected.
struct Plan {
    pods: Arc<dyn PodAccess>,
    pod: Arc<Object>,
    /// None attaches
    command: Option<Vec<String>>,
    streams: Streams,
}

/// The client's ends.
struct Client {
    stdin: Option<mpsc::Receiver<Bytes>>,
    resize: Option<mpsc::Receiver<Bytes>>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
    error: Sink,
    /// Whether the outcome is told as a Status (from version 4 on) or as a text
    as_status: bool,
}

/// Answers a request for `exec` or `attach`.
pub(super) fn serve(
    front: &Arc<Front>,
    mut call: Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let target = target::find(front, path, Some(call.query.text("container")))?;
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
    let is_exec = path.subresource == "exec";
    let plan = Plan {
        streams: streams(&call.query, &target.container)?,
        command: is_exec.then(|| call.query.all("command").map(str::to_owned).collect()),
        pod: target.pod,
        pods,
    };
    if !plan.pods.is_running(&plan.pod, &plan.streams.container) {
        let name = &plan.streams.container;
        let text = if is_exec {
            format!("container not found (\"{name}\")")
        } else {
            let meta = &plan.pod.meta;
            format!(
                "container {name} not found in pod {}_{}",
                meta.name, meta.namespace
            )
        };
        return Err(raw(upgrade::plain(StatusCode::INTERNAL_SERVER_ERROR, text)));
    }
    let permit = permit(front)?;
    let (response, protocol) = match &wanted {
        Wanted::WebSocket(asked) => {
            let newest = asked.iter().find(|name| *name == WEBSOCKET_PROTOCOLS[0]);
            let asked = newest.map_or(asked.as_slice(), std::slice::from_ref);
            let protocol =
                upgrade::subprotocol(asked, &WEBSOCKET_PROTOCOLS).map_err(Failure::Raw)?;
            let response =
                upgrade::to_websocket(&call.parts.headers, protocol).map_err(Failure::Raw)?;
            (response, protocol)
        }
        _ => {
            let headers = &call.parts.headers;
            let protocol = upgrade::negotiate(headers, &SPDY_PROTOCOLS).map_err(Failure::Raw)?;
            if wanted == Wanted::Other {
                let text = "unable to upgrade: missing upgrade headers in request";
                return Err(raw(upgrade::plain(StatusCode::BAD_REQUEST, text)));
            }
            (upgrade::to_spdy(protocol), protocol)
        }
    };
    let is_websocket = wanted != Wanted::Spdy;
    let mut stopping = front.stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = run(&mut call.parts, plan, protocol, is_websocket) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        drop(permit);
    });
    Err(raw(response))
}

/// What the query asks to connect.
fn streams(query: &Query, container: &str) -> Result<Streams, Failure> {
    let flag = |name: &str| query.flag(name).unwrap_or(false);
    let tty = flag("tty");
    let streams = Streams {
        container: container.to_owned(),
        stdin: flag("stdin"),
        stdout: flag("stdout"),
        stderr: flag("stderr") && !tty,
        tty,
    };
    if !(streams.stdin || streams.stdout || streams.stderr) {
        let text = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(raw(upgrade::plain(StatusCode::BAD_REQUEST, text)));
    }
    Ok(streams)
}

async fn run(parts: &mut Parts, plan: Plan, protocol: &'static str, is_websocket: bool) {
    let Some(io) = upgrade::upgraded(parts).await else {
        return;
    };
    if is_websocket {
        over_websocket(io, plan, protocol).await;
    } else {
        over_spdy(io, plan, protocol).await;
    }
}

async fn over_websocket(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    plan: Plan,
    protocol: &'static str,
) {
    let dialect = Dialect {
        base64: protocol.contains("base64"),
        close_signal: protocol.starts_with("v5."),
    };
    let wants = &plan.streams;
    let (input, stdin) = channels::input();
    let (sizes, resize) = channels::input();
    let mut inputs = vec![None; 5];
    inputs[0] = wants.stdin.then_some(input);
    inputs[4] = Some(sizes);
    let channels = Channels::begin(io, dialect, inputs);
    let client = Client {
        stdin: wants.stdin.then_some(stdin),
        resize: Some(resize),
        stdout: wants.stdout.then(|| channels.sink(1)),
        stderr: wants.stderr.then(|| channels.sink(2)),
        error: channels.sink(3),
        as_status: protocol.starts_with('v'),
    };
    // Tells the client that the connection is there.
    let first = client.stdout.as_ref().or(client.stderr.as_ref());
    first.unwrap_or(&client.error).send(Bytes::new()).await;
    client.serve(plan).await;
    channels.close().await;
}

async fn over_spdy(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    plan: Plan,
    protocol: &'static str,
) {
    let mut connection = Connection::begin(io);
    let resizes = plan.streams.tty && matches!(protocol.as_bytes()[1], b'3' | b'4');
    let opening = opened(&mut connection, &plan.streams, resizes);
    let client = match tokio::time::timeout(OPENING, opening).await {
        Ok(Some(mut client)) => {
            client.as_status = protocol.starts_with("v4");
            client
        }
        _ => {
            tracing::debug!("a client did not open its streams");
            return connection.close().await;
        }
    };
    client.serve(plan).await;
    connection.close().await;
}

/// The streams that a client of SPDY opens, named by their `streamType`.
async fn opened(connection: &mut Connection, wants: &Streams, resizes: bool) -> Option<Client> {
    let (mut stdin, mut resize) = (None, None);
    let (mut stdout, mut stderr, mut error) = (None, None, None);
    loop {
        let missing = error.is_none()
            || wants.stdin && stdin.is_none()
            || wants.stdout && stdout.is_none()
            || wants.stderr && stderr.is_none()
            || resizes && resize.is_none();
        if !missing {
            break;
        }
        let stream = connection.streams.recv().await?;
        stream.accept().await;
        match stream.header("streamtype") {
            "stdin" => stdin = Some(stream.input),
            "resize" => resize = Some(stream.input),
            "stdout" => stdout = Some(stream.output),
            "stderr" => stderr = Some(stream.output),
            "error" => error = Some(stream.output),
            _ => stream.refuse(Reset::ProtocolError).await,
        }
    }
    Some(Client {
        stdin,
        resize,
        stdout,
        stderr,
        error: error?,
        as_status: true,
    })
}

impl Client {
    /// Runs the session to its end, or until the client is gone.
    async fn serve(self, plan: Plan) {
        let what = if plan.command.is_some() {
            "executing command in"
        } else {
            "attaching to"
        };
        let session = match plan.command {
            Some(command) => plan.pods.exec(plan.pod, command, plan.streams),
            None => plan.pods.attach(plan.pod, plan.streams),
        };
        let (error, as_status) = (self.error.clone(), self.as_status);
        let outcome = tokio::select! {
            outcome = self.carry(session) => outcome,
            () = error.gone() => return,
        };
        let status = match outcome {
            Outcome::Failed(why) => failure(&format!("error {what} container: {why}")),
            Outcome::Exited(0) => json!({"metadata": {}, "status": "Success"}),
            Outcome::Exited(code) => non_zero(code),
        };
        let bytes = match (as_status, status["message"].as_str()) {
            (true, _) => status.to_string().into(),
            (false, Some(text)) => text.to_owned().into(),
            (false, None) => Bytes::new(),
        };
        error.finish(bytes).await;
    }

    /// Carries everything in both directions until the process has ended.
    async fn carry(self, session: Session) -> Outcome {
        let Session {
            stdin,
            stdout,
            stderr,
            resize,
            outcome,
        } = session;
        let (from, sizes) = (self.stdin, self.resize);
        // These own what they read from, so that nothing waits for a process that reads no more.
        let inward = async move {
            if let (Some(mut from), Some(to)) = (from, stdin) {
                while let Some(bytes) = from.recv().await {
                    if to.send(bytes).await.is_err() {
                        break;
                    }
                }
            }
        };
        let resizing = async move {
            if let (Some(mut from), Some(to)) = (sizes, resize) {
                resize_all(&mut from, &to).await;
            }
        };
        let outward = async {
            tokio::join!(copy(stdout, self.stdout), copy(stderr, self.stderr));
            outcome.await
        };
        tokio::pin!(inward, resizing, outward);
        let (mut fed, mut sized) = (false, false);
        loop {
            tokio::select! {
                outcome = &mut outward => {
                    return outcome.unwrap_or_else(|_| Outcome::Failed("the process is lost".to_owned()));
                }
                () = &mut inward, if !fed => fed = true,
                () = &mut resizing, if !sized => sized = true,
            }
        }
    }
}

/// Copies what is printed; the stream ends with it.
async fn copy(from: Option<mpsc::Receiver<Bytes>>, to: Option<Sink>) {
    let Some(mut from) = from else { return };
    while let Some(bytes) = from.recv().await {
        if let Some(to) = &to
            && !to.send(bytes).await
        {
            return;
        }
    }
    if let Some(to) = to {
        to.finish(Bytes::new()).await;
    }
}

/// Reads `{"Width":80,"Height":24}`, one after the other.
async fn resize_all(from: &mut mpsc::Receiver<Bytes>, to: &mpsc::Sender<TerminalSize>) {
    #[derive(Deserialize)]
    struct Written {
        #[serde(rename = "Width", alias = "width", default)]
        width: u16,
        #[serde(rename = "Height", alias = "height", default)]
        height: u16,
    }
    let mut text: Vec<u8> = Vec::new();
    while let Some(bytes) = from.recv().await {
        text.extend_from_slice(&bytes);
        let mut sizes = serde_json::Deserializer::from_slice(&text).into_iter::<Written>();
        let mut newest = None;
        for size in sizes.by_ref() {
            match size {
                Ok(Written { width, height }) => newest = Some(TerminalSize { width, height }),
                Err(error) if error.is_eof() => break,
                Err(_) => return,
            }
        }
        let read = sizes.byte_offset();
        text.drain(..read);
        if text.len() > SIZE_BYTES {
            return;
        }
        if let Some(size) = newest
            && to.send(size).await.is_err()
        {
            return;
        }
    }
}

fn failure(message: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    })
}

fn non_zero(code: i32) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!(
            "command terminated with non-zero exit code: command terminated with exit code {code}"
        ),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

#[cfg(test)]
mod tests;
