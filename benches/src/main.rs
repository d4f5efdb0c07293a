//! Benches: each sets a figure of ours beside a peer's in the same run.
//!
//! `cargo xtask bench api` builds the binary and runs `benches api` on it; `cargo xtask bench proxy`
//! runs `benches proxy`.
#![forbid(unsafe_code)]

mod api;
mod client;
mod etcd;
mod load;
mod portolan;
mod process;
mod proxy;
mod table;

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "\
benches api --portolan FILE [--etcd FILE] [--seconds N] [--only WORD]
  --portolan FILE  the binary to measure
  --etcd FILE      the peer; without it only our own figures are printed
  --seconds N      how long each load lasts (5)
  --only WORD      only measures whose name contains the word";

/// What to run.
pub(crate) struct Options {
    /// The binary to measure
    pub(crate) portolan: PathBuf,
    /// The peer
    pub(crate) etcd: Option<PathBuf>,
    /// How long a load lasts
    pub(crate) length: Duration,
    /// Which measures
    pub(crate) only: String,
}

impl Options {
    fn parse(arguments: &mut dyn Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            portolan: PathBuf::new(),
            etcd: None,
            length: Duration::from_secs(5),
            only: String::new(),
        };
        while let Some(flag) = arguments.next() {
            let Some(value) = arguments.next() else {
                bail!("{flag} wants a value\n{USAGE}");
            };
            match flag.as_str() {
                "--portolan" => options.portolan = value.into(),
                "--etcd" => options.etcd = Some(value.into()),
                "--seconds" => options.length = Duration::from_secs(value.parse()?),
                "--only" => options.only = value,
                _ => bail!("unknown flag {flag}\n{USAGE}"),
            }
        }
        if options.portolan.as_os_str().is_empty() {
            bail!("--portolan FILE is missing\n{USAGE}");
        }
        Ok(options)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("api") => {
            let options = Options::parse(&mut arguments)?;
            // One thread, so that the load takes little from what is measured.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(api::run(&options))
        }
        Some("proxy") => proxy::run(&mut arguments),
        Some("proxy-memory") => proxy::memory(&mut arguments),
        _ => bail!("which bench?\n{USAGE}\n{}", proxy::USAGE),
    }
}
