//! Processes that outlived the node that started them.
//!
//! Every process group is noted in a file with its start time; the next start ends those that are
//! still the same processes. A process is only ever ended when `/proc` says that it is the one
//! that was noted, or that it belongs to such a group and carries this node's mark.

use crate::process;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The variable that marks a process as this node's; its value is the data directory.
pub(crate) const MARK: &str = "PORTOLAN_NODE_DIR";

/// The note of processes that run.
pub(crate) struct Registry {
    file: Mutex<File>,
    boot: String,
}

impl Registry {
    /// Ends what is left over according to the note in `folder`, and begins a new one.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("processes");
        let boot = boot();
        if let Ok(text) = fs::read_to_string(&path) {
            end_all(&text, &boot, folder);
        }
        let options = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)?;
        Ok(Self {
            file: Mutex::new(options),
            boot,
        })
    }

    /// Notes a process that leads its group.
    pub(crate) fn record(&self, pid: u32) {
        let Some(stat) = Stat::of(pid) else {
            return;
        };
        let line = format!("{pid} {} {}\n", stat.start, self.boot);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "a process cannot be noted; it may outlive a killed node");
        }
    }
}

fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

fn end_all(noted: &str, boot: &str, folder: &Path) {
    let mark = format!("{MARK}={}", folder.display());
    let mut groups = BTreeSet::new();
    for line in noted.lines() {
        let mut words = line.split(' ');
        let (Some(pid), Some(start)) = (words.next(), words.next()) else {
            continue;
        };
        if words.next() != Some(boot) {
            continue;
        }
        let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else {
            continue;
        };
        match Stat::of(pid) {
            Some(stat) if stat.start == start && stat.group == pid => {
                tracing::info!(pid, "ending a process that an earlier run left over");
                process::signal(pid, Signal::KILL);
            }
            // The number may name another group by now: look closer.
            _ => {
                groups.insert(pid);
            }
        }
    }
    end_members(&groups, mark.as_bytes());
}

/// Ends members of groups whose leader is gone, one by one and only with the mark.
fn end_members(groups: &BTreeSet<u32>, mark: &[u8]) {
    if groups.is_empty() {
        return;
    }
    for pid in pids() {
        let member = Stat::of(pid).is_some_and(|stat| groups.contains(&stat.group));
        if !member {
            continue;
        }
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|var| var == mark) {
            tracing::info!(pid, "ending a process that an earlier run left over");
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// All processes.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What `/proc/PID/stat` says.
pub(crate) struct Stat {
    pub(crate) group: u32,
    start: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything but ends at the last parenthesis.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command};

    fn sleeper(mark: &Path) -> Child {
        Command::new("sleep")
            .arg("600")
            .env(MARK, mark)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn only_processes_that_were_noted_are_ended() {
        let folder = std::env::temp_dir().join(format!("runner-left-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let registry = Registry::open(&folder).unwrap();
        let (mut mine, mut reused) = (sleeper(&folder), sleeper(Path::new("/elsewhere")));
        registry.record(mine.id());
        // A number that another program has by now: same pid, other start time, no mark.
        let line = format!("{} 1 {}\n", reused.id(), registry.boot);
        registry
            .file
            .lock()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        drop(registry);
        Registry::open(&folder).unwrap();
        assert_eq!(mine.wait().unwrap().signal(), Some(9));
        assert!(reused.try_wait().unwrap().is_none());
        reused.kill().unwrap();
        reused.wait().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
