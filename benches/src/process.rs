//! Processes under measure: started with a directory of their own, ended when dropped.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end when it is asked to.
const FAREWELL: Duration = Duration::from_secs(5);
/// In what `/proc` counts time on processors: USER_HZ is 100 wherever Rust runs on Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process with a directory; both go when it is dropped.
pub(crate) struct Process {
    child: Child,
    dir: PathBuf,
}

impl Process {
    /// Makes an empty directory and starts what `command` makes of it, in the network namespace
    /// of the calling thread.
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
        match self.child.try_wait()? {
            Some(status) => bail!("{status}: {}", self.log()),
            None => Ok(()),
        }
    }

    /// The end of what it said.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        memory(self.child.id(), "VmRSS:")
    }

    /// The most resident memory it ever had, in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        memory(self.child.id(), "VmHWM:")
    }

    /// Time on processors, with that of programs it ran and that have ended.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = Stat::of(self.child.id()).context("the process is gone")?;
        Ok(TICK * stat.ticks)
    }

    /// Whether a program that it started runs.
    pub(crate) fn is_parent(&self) -> Result<bool> {
        let pids = std::fs::read_dir("/proc")?.flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.any(|pid| Stat::of(pid).is_some_and(|stat| stat.parent == self.child.id())))
    }
}

/// What `/proc/PID/status` says of a process's memory, in bytes.
pub(crate) fn memory(pid: u32, key: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    let kib: u64 = number.with_context(|| format!("no {key}"))?;
    Ok(kib * 1024)
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < FAREWELL && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What `/proc/PID/stat` says (proc(5)).
struct Stat {
    parent: u32,
    /// `utime + stime + cutime + cstime`
    ticks: u32,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may hold anything; the state comes behind it.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let times = fields.get(11..15)?.iter().map(|field| field.parse::<u32>());
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks: times.sum::<Result<_, _>>().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 90 0 0 0 11 22 33 44 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).expect("a line of proc(5)");
        assert_eq!((stat.parent, stat.ticks), (7, 110));
        assert!(Stat::parse("42 (short) S 7").is_none());
    }

    #[test]
    fn a_process_and_its_directory_end_with_the_value() -> Result<()> {
        let start = || {
            Process::start("process-test", |_| {
                let mut command = Command::new("sh");
                command.args(["-c", "echo said; exec sleep 600"]);
                command
            })
        };
        let mut process = start()?;
        let (id, dir) = (process.child.id(), process.dir().to_owned());
        assert!(process.check().is_ok() && !process.is_parent()?);
        assert!(process.resident()? <= process.peak()?);
        drop(process);
        assert!(Stat::of(id).is_none() && !dir.exists());
        Ok(())
    }
}
