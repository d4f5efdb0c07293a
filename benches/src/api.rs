//! The embedded API server beside etcd.

use crate::Options;
use crate::client::{Protocol, Target};
use crate::etcd::{self, Etcd};
use crate::load::{self, Dialect};
use crate::portolan::Portolan;
use crate::table::{self, Row};
use anyhow::Result;
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const WATCHERS: usize = 20;
const RATE: u32 = 1000;
const LISTED: usize = 10_000;
const HELD: usize = 50_000;

const OURS: Dialect = Dialect {
    write: CONFIG_MAPS,
    body: config_map,
    watch: || {
        let path = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0";
        (Method::GET, path, Bytes::new())
    },
    texts: |bytes, found| lines(bytes, found, |line| line["object"]["data"]["v"].clone()),
};

const THEIRS: Dialect = Dialect {
    write: "/v3/kv/put",
    body: etcd_put,
    watch: || (Method::POST, "/v3/watch", etcd::watch("/bench/")),
    texts: |bytes, found| lines(bytes, found, |line| line["result"]["events"].clone()),
};

fn config_map(name: &str, text: &str) -> Bytes {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": text}})
        .to_string()
        .into()
}

fn service(name: &str, _: &str) -> Bytes {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
    .to_string()
    .into()
}

fn etcd_put(name: &str, text: &str) -> Bytes {
    etcd::put(&format!("/bench/{name}"), text)
}

/// Calls `found` with the texts in whole lines; says how many bytes those lines have.
fn lines(bytes: &[u8], found: &mut dyn FnMut(&str), pick: fn(Value) -> Value) -> usize {
    use base64::Engine;
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    for line in bytes[..end].split(|byte| *byte == b'\n') {
        match pick(serde_json::from_slice(line).unwrap_or_default()) {
            Value::String(text) => found(&text),
            Value::Array(events) => events.iter().for_each(|event| {
                let value = event["kv"]["value"].as_str().unwrap_or_default();
                let text = base64::engine::general_purpose::STANDARD.decode(value);
                found(&String::from_utf8_lossy(&text.unwrap_or_default()));
            }),
            _ => {}
        }
    }
    end
}

/// Runs all measures and prints them.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let wanted = |name: &str| name.contains(&options.only);
    let mut rows = Vec::new();
    if wanted("creates") {
        creates(options, &mut rows).await?;
    }
    if wanted("watch") {
        watch(options, &mut rows).await?;
    }
    if wanted("list") {
        list(options, &mut rows).await?;
    }
    if wanted("memory") {
        memory(options, &mut rows).await?;
    }
    table::print(&rows, "etcd");
    Ok(())
}

fn say(what: &str) {
    eprintln!("measuring {what}...");
}

async fn peer(options: &Options) -> Result<Option<Etcd>> {
    match &options.etcd {
        None => Ok(None),
        Some(binary) => Etcd::start(binary).await.map(Some),
    }
}

async fn creates(options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    say("acknowledged creates");
    let measure = async |target: &Target, dialect, protocol| {
        let mut found = Vec::new();
        for clients in [1, 64] {
            found.push(load::writes(target, protocol, dialect, clients, options.length).await?);
        }
        Ok::<_, anyhow::Error>(found)
    };
    let theirs = match peer(options).await? {
        Some(etcd) => Some(measure(&etcd.target, THEIRS, Protocol::Http1).await?),
        None => None,
    };
    for (protocol, name) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")] {
        let server = Portolan::start(&options.portolan).await?;
        let ours = measure(&server.target, OURS, protocol).await?;
        for (index, clients) in ["1 client", "64 clients"].iter().enumerate() {
            rows.push(Row {
                what: format!("creates, {clients}, {name}"),
                unit: "1/s",
                ours: ours[index],
                peer: theirs.as_ref().map(|all| all[index]),
                more: true,
            });
        }
    }
    Ok(())
}

async fn watch(options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    say("watch delivery");
    let measure = async |target: &Target, dialect| {
        load::delivery(target, dialect, WATCHERS, RATE, options.length).await
    };
    let theirs = match peer(options).await? {
        Some(etcd) => Some(measure(&etcd.target, THEIRS).await?),
        None => None,
    };
    let server = Portolan::start(&options.portolan).await?;
    let ours = measure(&server.target, OURS).await?;
    for (name, percent) in [("p50", 50), ("p99", 99)] {
        let of = |all: &Vec<Duration>| {
            let index = all.len() * percent / 100;
            all.get(index)
                .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
        };
        rows.push(Row {
            what: format!("sent to delivered, {name}, {WATCHERS} watchers at {RATE}/s"),
            unit: "ms",
            ours: of(&ours),
            peer: theirs.as_ref().map(of),
            more: false,
        });
    }
    Ok(())
}

async fn list(options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    say("a long list");
    let theirs = match peer(options).await? {
        None => None,
        Some(etcd) => {
            load::fill(&etcd.target, THEIRS, THEIRS.write, LISTED, 1000).await?;
            let body = etcd::range("/bench/");
            let (took, _) = load::read(&etcd.target, Method::POST, "/v3/kv/range", body, 7).await?;
            Some(took.as_secs_f64() * 1000.0)
        }
    };
    let server = Portolan::start(&options.portolan).await?;
    let dialect = Dialect {
        body: service,
        ..OURS
    };
    load::fill(&server.target, dialect, SERVICES, LISTED, 0).await?;
    // The controllers' work for the new Services is no part of a list.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (took, size) = load::read(
        &server.target,
        Method::GET,
        "/api/v1/services",
        Bytes::new(),
        7,
    )
    .await?;
    eprintln!("{} bytes in one list", size);
    rows.push(Row {
        what: format!("list of {LISTED} Services (etcd: range of as many keys)"),
        unit: "ms",
        ours: took.as_secs_f64() * 1000.0,
        peer: theirs,
        more: false,
    });
    rows.push(Row {
        what: format!("resident with {LISTED} Services and their EndpointSlices"),
        unit: "MB",
        ours: server.process.resident()? as f64 / 1e6,
        peer: None,
        more: false,
    });
    Ok(())
}

async fn memory(options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    say("memory");
    let theirs = match peer(options).await? {
        None => None,
        Some(etcd) => {
            load::fill(&etcd.target, THEIRS, THEIRS.write, HELD, 1000).await?;
            Some(etcd.process.resident()? as f64 / 1e6)
        }
    };
    let server = Portolan::start(&options.portolan).await?;
    load::fill(&server.target, OURS, CONFIG_MAPS, HELD, 1000).await?;
    rows.push(Row {
        what: format!("resident with {HELD} ConfigMaps of 1 kB (etcd: keys)"),
        unit: "MB",
        ours: server.process.resident()? as f64 / 1e6,
        peer: theirs,
        more: false,
    });
    Ok(())
}
