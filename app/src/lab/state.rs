//! Where running laboratories are found: one small file for each.

use anyhow::{Context, bail};
use kernel::lab::Lab;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A running laboratory.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// Its process
    pub(super) pid: u32,
    /// When that process started, in the kernel's clock ticks, for numbers are used again
    started: u64,
    /// Whether it is root of a user namespace of its own only
    pub(super) rootless: bool,
    /// Files of the network namespaces, by name of the machine
    pub(super) machines: BTreeMap<String, PathBuf>,
}

/// The file of a laboratory; it is removed when dropped.
pub(super) struct Published(PathBuf);

impl Drop for Published {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Lets `portolan lab exec` find this process's laboratory.
pub(super) fn publish(lab: &Lab, rootless: bool) -> anyhow::Result<Published> {
    let dir = directory(rootless)?;
    let pid = std::process::id();
    let machines = lab.machines();
    let state = State {
        pid,
        started: started(pid).context("cannot read /proc")?,
        rootless,
        machines: machines
            .map(|machine| (machine.name.clone(), machine.namespace.path()))
            .collect(),
    };
    let path = dir.join(format!("{pid}.json"));
    let text = serde_json::to_string(&state)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Published(path))
}

/// All laboratories of this user that run; files of those that were killed are removed.
pub(super) fn running() -> anyhow::Result<Vec<State>> {
    let dir = directory(false)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir)?.flatten() {
        let path = entry.path();
        match read(&path) {
            Some(state) if started(state.pid) == Some(state.started) => found.push(state),
            _ => drop(fs::remove_file(&path)),
        }
    }
    found.sort_by_key(|state| state.pid);
    Ok(found)
}

fn read(path: &Path) -> Option<State> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// A directory that nobody else may write to.
fn directory(inside_user_namespace: bool) -> anyhow::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|dir| dir.is_dir());
    let user = match inside_user_namespace {
        // Inside we are 0 and outside somebody else.
        true => outer_user(),
        false => rustix::process::geteuid().as_raw(),
    };
    let dir = match runtime {
        Some(dir) => dir.join("portolan-lab"),
        None => std::env::temp_dir().join(format!("portolan-lab-{user}")),
    };
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&dir);
    made.with_context(|| format!("cannot make {}", dir.display()))?;
    let meta = fs::symlink_metadata(&dir)?;
    let owner = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != owner || meta.mode() & 0o022 != 0 {
        bail!(
            "{} must be a directory that only you may write to",
            dir.display()
        );
    }
    Ok(dir)
}

fn outer_user() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outer = map.split_whitespace().nth(1);
    outer
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat` (proc(5)).
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}
