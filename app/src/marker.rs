//! What a running `up` says about itself, in a file of its data directory.

use crate::datapath::{Chosen, DataPath};
use model::Cidr;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// File in a data directory; by it `reset` knows that the directory is ours.
pub(crate) const FILE: &str = "portolan.json";

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Marker {
    /// Version of the program
    pub(crate) version: String,
    /// Process that runs on the directory, or ran last
    pub(crate) pid: u32,
    /// Everything listens
    pub(crate) ready: bool,
    /// The kubeconfig it wrote
    pub(crate) kubeconfig: PathBuf,
    /// Certificate authority of HTTPS, if there is one
    pub(crate) ca: Option<PathBuf>,
    /// Where things listen
    pub(crate) listen: Listen,
    /// Name of the Node; `None` without a runner
    pub(crate) node: Option<String>,
    /// Who carries traffic to Pods; `None` in a directory of a version that knew but one way
    pub(crate) data_path: Option<DataPath>,
    /// Why traffic does not go through the kernel, when nobody has chosen
    pub(crate) fallback: Option<String>,
    /// Addresses of the Node in its network namespace, with the kernel data path
    pub(crate) node_addresses: Vec<String>,
    /// File that stands for the Node's network namespace while the process runs
    pub(crate) network: Option<PathBuf>,
    /// Ranges of Service addresses
    pub(crate) service_cidrs: Vec<String>,
    /// Ranges of Pod addresses
    pub(crate) pod_cidrs: Vec<String>,
}

/// Where things listen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listen {
    pub(crate) api: Option<SocketAddr>,
    pub(crate) dns: Option<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) https: Option<SocketAddr>,
}

impl Marker {
    /// Reads the marker of a data directory.
    pub(crate) fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let bytes = std::fs::read(&path).map_err(|error| {
            anyhow::anyhow!(
                "no `portolan up` has run on {} ({error}); name its directory with --data-dir",
                data_dir.display()
            )
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| anyhow::anyhow!("{} is damaged: {error}", path.display()))
    }

    /// Takes a choice up, so that later starts keep to it.
    pub(crate) fn keep(&mut self, chosen: &Chosen) {
        let texts = |ranges: &[Cidr]| ranges.iter().map(ToString::to_string).collect();
        self.data_path = Some(chosen.keep);
        self.fallback.clone_from(&chosen.why);
        self.service_cidrs = texts(&chosen.services);
        self.pod_cidrs = texts(&chosen.pods);
    }

    /// Writes the marker, whole or not at all.
    pub(crate) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        write_file(&data_dir.join(FILE), &text)
            .map_err(|error| anyhow::anyhow!("cannot write into {}: {error}", data_dir.display()))
    }
}

/// Replaces a file by one that only its owner can read, in one step.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(bytes)?;
    drop(file);
    std::fs::rename(&part, path)
}
