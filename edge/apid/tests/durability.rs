//! What was acknowledged survives `kill -9`, again and again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use apid::{Server, Settings};
use model::{Resource, View, Write};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CHILD: &str = "APID_DURABILITY_CHILD";
const KILLS: usize = 20;
const WRITERS: usize = 8;

fn settings(dir: &Path) -> Settings {
    Settings::new(
        dir,
        "127.0.0.1:0".parse().unwrap(),
        vec!["10.96.0.0/16".parse().unwrap()],
    )
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Tells what is there, then writes without end and tells what was acknowledged.
async fn child(dir: &Path) {
    let server = Server::start(settings(dir)).await.unwrap();
    let client = server.client();
    for object in client.list(Resource::CONFIG_MAPS, Some("default")) {
        say(&format!(
            "have {} {}",
            object.meta.name, object.meta.resource_version
        ));
    }
    say("ready 0 0");
    let run = std::process::id();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let client = client.clone();
        writers.push(tokio::spawn(async move {
            for n in 0.. {
                let name = format!("{run}-{writer}-{n}");
                let object = json!({"metadata": {"name": name, "namespace": "default"}});
                let write = Write::Create {
                    resource: Resource::CONFIG_MAPS,
                    object,
                };
                let stored = client.submit(write).await.unwrap().unwrap();
                say(&format!("ack {name} {}", stored.meta.resource_version));
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[test]
fn acknowledged_writes_survive_kill() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(child(Path::new(&dir)));
        return;
    }
    let dir = std::env::temp_dir().join(format!("portolan-durability-{}", std::process::id()));
    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        let seen = run_and_kill(&dir, 5 + kill, &acknowledged);
        acknowledged.extend(seen);
    }
    assert!(acknowledged.len() >= KILLS * 5, "{}", acknowledged.len());
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Runs a child until it has acknowledged `wanted` writes; checks what earlier ones acknowledged.
fn run_and_kill(
    dir: &PathBuf,
    wanted: usize,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "acknowledged_writes_survive_kill", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut have, mut new) = (BTreeMap::new(), BTreeMap::new());
    let newest = before.values().max().copied().unwrap_or(0);
    for line in lines {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let [word, name, version] = words[..] else {
            continue;
        };
        let Ok(version) = version.parse::<u64>() else {
            continue;
        };
        match word {
            "have" => {
                have.insert(name.to_owned(), version);
            }
            "ready" => {
                for (name, version) in before {
                    assert_eq!(
                        have.get(name),
                        Some(version),
                        "{name} was acknowledged and is lost"
                    );
                }
            }
            "ack" => {
                assert!(
                    version > newest,
                    "resourceVersion {version} was given out before"
                );
                new.insert(name.to_owned(), version);
            }
            _ => {}
        }
        if new.len() >= wanted {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    new
}
