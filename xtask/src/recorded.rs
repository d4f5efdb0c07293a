//! Comparing a build with what the real systems answered: kube-apiserver, CoreDNS, ingress-nginx.
//!
//! A case that differs must be named, as `area/case` in backquotes, in docs/differences.md; any
//! other difference fails the run.

use crate::{root, tools};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Areas of the API recordings whose every case has to agree, or be listed.
const API_AREAS: &str = "services,endpointslices,ingress,workloads,meta,other,crd,ssa,kubectl";

/// Areas of the DNS recordings; `cache` is another matter.
const DNS_SKIPPED: [&str; 1] = ["cache"];

/// Areas of the Ingress recordings.
const INGRESS_AREAS: &str = "core,rewrite,tls";

/// Runs the replays of `dir` that `only` names (`api`, `dns`, `ingress`), or all three.
pub(crate) fn run(dir: &Path, only: &[&str]) -> Result<()> {
    let dir = dir
        .canonicalize()
        .with_context(|| format!("no folder {}", dir.display()))?;
    let binary = build()?;
    let known = listed_differences()?;
    let mut failed = BTreeSet::new();
    for (name, replay) in REPLAYS {
        if only.is_empty() || only.contains(&name) {
            failed.extend(replay(&binary, &dir)?);
        }
    }
    let new: Vec<&String> = failed.difference(&known).collect();
    ensure!(
        new.is_empty(),
        "differ and are not in docs/differences.md: {new:#?}"
    );
    println!(
        "recorded answers: {} listed differences, no other",
        failed.len()
    );
    Ok(())
}

type Replay = fn(&Path, &Path) -> Result<BTreeSet<String>>;

const REPLAYS: [(&str, Replay); 3] = [("api", api), ("dns", dns), ("ingress", ingress)];

fn api(binary: &Path, dir: &Path) -> Result<BTreeSet<String>> {
    let server = Server::start(binary, &["--service-cidr", "10.96.0.0/16"])?;
    let mut replay = Command::new(dir.join("replay"));
    replay.args([
        "check",
        "-q",
        "-j",
        "4",
        "--area",
        API_AREAS,
        "--kubeconfig",
    ]);
    failures(replay.arg(&server.kubeconfig), "")
}

fn dns(binary: &Path, dir: &Path) -> Result<BTreeSet<String>> {
    let cidrs = "10.98.0.0/16,fd00:98::/112";
    let upstream = ["--service-cidr", cidrs, "--dns-upstream", "127.0.0.1:15353"];
    let server = Server::start(binary, &upstream)?;
    let mut replay = Command::new(dir.join("dns-replay"));
    replay.args(["check", "--server", &server.address("dns")?, "--kubeconfig"]);
    let failed = failures(replay.arg(&server.kubeconfig), "")?;
    let judged = |case: &String| !DNS_SKIPPED.iter().any(|area| case.starts_with(area));
    Ok(failed.into_iter().filter(judged).collect())
}

fn ingress(binary: &Path, dir: &Path) -> Result<BTreeSet<String>> {
    let server = Server::start(binary, &["--https-redirect-port", "443"])?;
    let mut replay = Command::new(dir.join("ingress-replay"));
    replay.args([
        "check",
        "--start-backends",
        "--area",
        INGRESS_AREAS,
        "-j",
        "8",
    ]);
    replay.args([
        "--http",
        &server.address("http")?,
        "--https",
        &server.address("https")?,
    ]);
    failures(replay.arg("--kubeconfig").arg(&server.kubeconfig), "nginx/")
}

/// Runs a replay, shows what it prints and returns the cases that failed, under `prefix`.
fn failures(replay: &mut Command, prefix: &str) -> Result<BTreeSet<String>> {
    eprintln!("$ {replay:?}");
    replay.env("PATH", tools::path_then(&tools::install()?));
    let mut child = replay
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the replay")?;
    let output = child.stdout.take().context("no output")?;
    let mut failed = BTreeSet::new();
    let mut summary = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(rest) = line.strip_prefix("FAIL") {
            let name = rest.split_whitespace().next();
            failed.extend(name.map(|name| format!("{prefix}{name}")));
        }
        if line.contains(" passed, ") {
            summary = Some(line);
        }
    }
    child.wait()?;
    let summary = summary.context("the replay did not come to its end")?;
    ensure!(
        !summary.starts_with("0 passed"),
        "nothing passed: {summary}"
    );
    Ok(failed)
}

/// Every `area/case` that docs/differences.md has in backquotes.
fn listed_differences() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/differences.md"))?;
    let quoted = text.split('`').skip(1).step_by(2);
    Ok(quoted
        .filter(|name| name.contains('/'))
        .map(str::to_owned)
        .collect())
}

fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "-q",
        "--package",
        "app",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let output = cargo
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the build failed");
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut binaries = messages.filter_map(|m| Some(PathBuf::from(m["executable"].as_str()?)));
    binaries.next_back().context("cargo named no executable")
}

/// A running `portolan up`, ended when dropped.
struct Server {
    child: Child,
    dir: PathBuf,
    kubeconfig: PathBuf,
}

impl Server {
    fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("portolan-recorded-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let kubeconfig = dir.join("kubeconfig");
        let mut up = Command::new(binary);
        up.args(["up", "--log-level", "error", "--no-runner", "--data-dir"])
            .arg(&dir)
            .args(arguments);
        for flag in [
            "--api-listen",
            "--dns-listen",
            "--http-listen",
            "--https-listen",
        ] {
            up.args([flag, "127.0.0.1:0"]);
        }
        let child = up
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start portolan up")?;
        let mut server = Self {
            child,
            dir,
            kubeconfig,
        };
        let begin = Instant::now();
        while server.marker()["ready"] != Value::Bool(true) {
            if let Some(status) = server.child.try_wait()? {
                bail!("portolan up ended with {status}");
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(30),
                "portolan up is not ready"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// What `up` says about itself.
    fn marker(&self) -> Value {
        let text = std::fs::read(self.dir.join("portolan.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn address(&self, listener: &str) -> Result<String> {
        let marker = self.marker();
        let address = marker["listen"][listener].as_str();
        Ok(address
            .with_context(|| format!("no {listener} listener"))?
            .to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
