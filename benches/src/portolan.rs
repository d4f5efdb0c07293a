//! Starts `portolan up` in an empty directory of its own.

use crate::client::Target;
use crate::process::Process;
use anyhow::{Context, Result, bail};
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A running `portolan up` with its API.
pub(crate) struct Portolan {
    pub(crate) process: Process,
    pub(crate) target: Target,
}

impl Portolan {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let arguments = ["--api-listen=127.0.0.1:0", "--service-cidr=10.96.0.0/16"];
        Self::ready(Self::spawn(binary, &arguments)?).await
    }

    /// Starts it, in the network namespace of the calling thread.
    pub(crate) fn spawn(binary: &Path, arguments: &[&str]) -> Result<Process> {
        Process::start("portolan", |dir| {
            let mut command = Command::new(binary);
            command.args(["up", "--no-runner", "--data-dir"]);
            command.arg(dir.join("data")).args(arguments);
            for listen in ["dns", "http", "https"] {
                command.arg(format!("--{listen}-listen=127.0.0.1:0"));
            }
            command
        })
    }

    /// Its kubeconfig.
    pub(crate) fn kubeconfig(process: &Process) -> PathBuf {
        process.dir().join("data/kubeconfig")
    }

    /// Waits until it answers.
    pub(crate) async fn ready(mut process: Process) -> Result<Self> {
        let kubeconfig = Self::kubeconfig(&process);
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
