//! Starts `portolan up` in an empty directory of its own.

use crate::client::Target;
use anyhow::{Context, Result, bail};
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A process with a directory; both go when it is dropped.
pub(crate) struct Process {
    child: Child,
    dir: PathBuf,
}

impl Process {
    /// Makes an empty directory and starts what `command` makes of it.
    pub(crate) fn start(name: &str, command: impl FnOnce(&Path) -> Command) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("bench-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let child = command(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, dir })
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it has ended, and what it said.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            bail!("{status}: {log}");
        }
        Ok(())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| {
            line.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        });
        Ok(kib.context("no VmRSS")? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A running `portolan up` with its API.
pub(crate) struct Portolan {
    pub(crate) process: Process,
    pub(crate) target: Target,
}

impl Portolan {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let mut process = Process::start("portolan", |dir| {
            let mut command = Command::new(binary);
            command
                .args(["up", "--no-runner", "--data-dir"])
                .arg(dir.join("data"));
            command.args(["--service-cidr", "10.96.0.0/16"]);
            for listen in ["api", "dns", "http", "https"] {
                command.args([&format!("--{listen}-listen"), "127.0.0.1:0"]);
            }
            command
        })?;
        let kubeconfig = process.dir().join("data/kubeconfig");
        for _ in 0..600 {
            process.check()?;
            if let Ok(target) = read_kubeconfig(&kubeconfig) {
                return Ok(Self { process, target });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("portolan does not start")
    }
}

fn read_kubeconfig(path: &Path) -> Result<Target> {
    let config: Value = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    let cluster = &config["clusters"][0]["cluster"];
    let user = &config["users"][0]["user"];
    let decode = |value: &Value| {
        let text = value
            .as_str()
            .context("a field of the kubeconfig is missing")?;
        Ok::<_, anyhow::Error>(base64::engine::general_purpose::STANDARD.decode(text)?)
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&decode(
        &cluster["certificate-authority-data"],
    )?)?)?;
    let chain = vec![CertificateDer::from_pem_slice(&decode(
        &user["client-certificate-data"],
    )?)?];
    let key = PrivateKeyDer::from_pem_slice(&decode(&user["client-key-data"])?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    let address = cluster["server"].as_str().unwrap_or_default();
    Ok(Target {
        address: address
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .to_owned(),
        tls: Some(Arc::new(tls)),
    })
}
