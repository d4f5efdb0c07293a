//! The peer: etcd, over its HTTP gateway.

use crate::client::{Connection, Protocol, Target};
use crate::process::Process;
use anyhow::{Result, bail};
use base64::Engine;
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A running etcd.
pub(crate) struct Etcd {
    pub(crate) process: Process,
    pub(crate) target: Target,
}

fn encode(text: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Body of a put.
pub(crate) fn put(key: &str, value: &str) -> Bytes {
    json!({"key": encode(key), "value": encode(value)})
        .to_string()
        .into()
}

/// Body of a watch of all keys with a prefix.
pub(crate) fn watch(prefix: &str) -> Bytes {
    json!({"create_request": {"key": encode(prefix), "range_end": encode(end(prefix))}})
        .to_string()
        .into()
}

/// Body of a read of all keys with a prefix.
pub(crate) fn range(prefix: &str) -> Bytes {
    json!({"key": encode(prefix), "range_end": encode(end(prefix))})
        .to_string()
        .into()
}

fn end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

impl Etcd {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let ports: Vec<u16> = [
            TcpListener::bind("127.0.0.1:0")?,
            TcpListener::bind("127.0.0.1:0")?,
        ]
        .iter()
        .map(|socket| socket.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()?;
        let (client, peer) = (
            format!("http://127.0.0.1:{}", ports[0]),
            format!("http://127.0.0.1:{}", ports[1]),
        );
        let mut process = Process::start("etcd", |dir| {
            let mut command = Command::new(binary);
            command.arg("--data-dir").arg(dir.join("data"));
            command.args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ]);
            command.args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ]);
            command.args([
                "--initial-cluster",
                &format!("default={peer}"),
                "--log-level",
                "error",
            ]);
            command
        })?;
        let target = Target {
            address: client.trim_start_matches("http://").to_owned(),
            tls: None,
        };
        for _ in 0..600 {
            process.check()?;
            if let Ok(mut connection) = Connection::open(&target, Protocol::Http1).await {
                let asked = connection
                    .send(Method::POST, "/v3/kv/put", put("ready", "1"))
                    .await;
                if asked.is_ok() {
                    return Ok(Self { process, target });
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("etcd does not start")
    }
}
