//! Probes and hooks: HTTP, TCP, gRPC and commands, with kubelet's messages.

mod grpc;
mod http;
mod tls;

use crate::machine::ProbeKind;
use crate::network::Sockets;
use crate::process::{Launch, signal};
use crate::spec::{Container, ExecAction, Hook, HttpGet, TcpSocket};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// Most that is read of a command's output, bytes.
const OUTPUT_BYTES: u64 = 10 * 1024;

/// Longest that a hook may take when nothing else bounds it.
const HOOK: Duration = Duration::from_secs(600);

/// What is probed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) ip: IpAddr,
    /// Where probes come from: the Node
    pub(crate) sockets: Sockets,
    pub(crate) container: Arc<Container>,
}

/// Probes once. A container that runs no process (`launch` is `None`) passes every command: there
/// is nothing to run it in.
///
/// # Errors
/// kubelet's message of the failure.
pub(crate) async fn probe(
    kind: ProbeKind,
    target: &Target,
    launch: Option<&Launch>,
) -> Result<(), String> {
    let Some(probe) = kind.of(&target.container) else {
        return Ok(());
    };
    let limit = probe.timeout();
    if let Some(action) = &probe.exec {
        return match launch {
            Some(launch) => exec(action, launch, limit).await,
            None => Ok(()),
        };
    }
    if let Some(action) = &probe.http_get {
        return http_get(action, target, limit).await;
    }
    if let Some(action) = &probe.tcp_socket {
        return tcp(action, target, limit).await;
    }
    if let Some(action) = &probe.grpc {
        let at = SocketAddr::new(target.ip, action.port);
        let checked = timeout(limit, grpc::check(at, &action.service, &target.sockets)).await;
        return checked.unwrap_or_else(|_| {
            let limit = limit.as_secs();
            Err(format!(
                "timeout: failed to connect service \"{at}\" within {limit}s"
            ))
        });
    }
    Err("missing probe handler".to_owned())
}

/// Runs a lifecycle hook.
///
/// # Errors
/// What failed.
pub(crate) async fn hook(
    hook: &Hook,
    target: &Target,
    launch: Option<&Launch>,
) -> Result<(), String> {
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds)).await;
    } else if let Some(action) = &hook.http_get {
        return http_get(action, target, HOOK).await;
    } else if let (Some(action), Some(launch)) = (&hook.exec, launch) {
        return exec(action, launch, HOOK).await;
    }
    Ok(())
}

async fn http_get(action: &HttpGet, target: &Target, limit: Duration) -> Result<(), String> {
    let port = action.port.resolve(&target.container)?;
    let host = match action.host.as_str() {
        "" => target.ip.to_string(),
        host => host.to_owned(),
    };
    let get = http::get(action, &host, port, &target.sockets);
    timeout(limit, get).await.unwrap_or_else(|_| {
        let url = http::url(action, &host, port);
        Err(format!(
            "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        ))
    })
}

async fn tcp(action: &TcpSocket, target: &Target, limit: Duration) -> Result<(), String> {
    let port = action.port.resolve(&target.container)?;
    let host = match action.host.as_str() {
        "" => target.ip.to_string(),
        host => host.to_owned(),
    };
    match timeout(limit, target.sockets.connect_host(&host, port)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(&host, port, &error)),
        Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

/// Drives a connection until `answer` is there. A server may close at once after its answer, and
/// the answer is what counts then; should there be none, `answer` itself comes to know.
async fn drive<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    let connection = async {
        connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = connection => never,
    }
}

/// As Go's net package words it.
pub(crate) fn refused(host: &str, port: u16, error: &std::io::Error) -> String {
    let why = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        _ => format!("connect: {error}"),
    };
    format!("dial tcp {host}:{port}: {why}")
}

async fn exec(action: &ExecAction, launch: &Launch, limit: Duration) -> Result<(), String> {
    let mut command = launch.command(&action.command)?;
    let mut child = command.spawn().map_err(|error| {
        let program = action.command.first().map_or("", String::as_str);
        format!("exec: {program:?}: {error}")
    })?;
    let group = child.id().unwrap_or_default();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let collect = async {
        let mut text = Vec::new();
        if let Some(out) = out {
            let _ = out.take(OUTPUT_BYTES).read_to_end(&mut text).await;
        }
        if let Some(err) = err {
            let _ = err.take(OUTPUT_BYTES).read_to_end(&mut text).await;
        }
        (child.wait().await, text)
    };
    let result = timeout(limit, collect).await;
    // A command that hangs, and whatever a finished one left running.
    signal(group, rustix::process::Signal::KILL);
    match result {
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((_, text)) => Err(String::from_utf8_lossy(&text).into_owned()),
        Err(_) => {
            let words = action.command.join(" ");
            let limit = limit.as_secs();
            Err(format!(
                "command timed out: {words:?} timed out after {limit}s"
            ))
        }
    }
}

#[cfg(test)]
mod tests;
