//! `portolan up`

use crate::cli::LogOptions;
use crate::config::UpOptions;
use anyhow::{Context, bail};
use std::fs::File;
use std::path::Path;

/// File in a data directory by which `reset` knows that it may delete it.
pub(crate) const MARKER: &str = "portolan.json";

/// Takes the data directory for this process.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "{} is in use by `portolan up` (process {})",
                dir.display(),
                holder.trim()
            )
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Runs until it is told to stop.
pub(crate) fn run(options: &UpOptions, log: &LogOptions) -> anyhow::Result<()> {
    crate::logging::start(log)?;
    let config = options.resolve()?;
    bail!("not wired yet: {config:?}")
}
