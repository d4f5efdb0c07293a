//! What containers print: files in kubelet's format (`TIME stdout F text`), two of them per run.
//!
//! A file that has grown over its limit becomes `N.log.1` in the place of an older one, so that a
//! run keeps between one and two times the limit. Logs of the last two runs are kept.

mod read;

pub(crate) use read::stream;

use crate::attach::Point;
use model::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

/// A longer line is cut into pieces of this size, as container runtimes do.
const LINE_BYTES: usize = 16 * 1024;

/// Where a container prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

impl Output {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The log of one run of a container.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    limit: u64,
    file: Mutex<Writing>,
    /// Counts up with every write; the sender goes with the run, which ends what follows it
    pub(crate) changed: watch::Sender<u64>,
}

struct Writing {
    file: Option<File>,
    size: u64,
}

impl Log {
    /// Begins the log of run number `run` in `folder` and drops those before the one before.
    pub(crate) fn create(folder: &Path, run: u32, limit: u64) -> io::Result<Arc<Self>> {
        fs::create_dir_all(folder)?;
        if let Some(old) = run.checked_sub(2) {
            for path in [file_of(folder, old), rotated(&file_of(folder, old))] {
                // It is gone already in most cases.
                let _ = fs::remove_file(path);
            }
        }
        let path = file_of(folder, run);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Arc::new(Self {
            path,
            limit,
            file: Mutex::new(Writing {
                file: Some(file),
                size,
            }),
            changed: watch::channel(0).0,
        }))
    }

    /// Adds one line, or a piece of one when `whole` is false.
    pub(crate) fn line(&self, now: Timestamp, output: Output, text: &[u8], whole: bool) {
        let tag = if whole { "F" } else { "P" };
        let mut record = format!("{} {} {tag} ", now.rfc3339_micro(), output.as_str()).into_bytes();
        record.extend_from_slice(text);
        record.push(b'\n');
        let mut writing = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if writing.size + record.len() as u64 > self.limit && writing.size > 0 {
            self.rotate(&mut writing);
        }
        if let Some(file) = &mut writing.file {
            match file.write_all(&record) {
                Ok(()) => writing.size += record.len() as u64,
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "a log cannot be written");
                }
            }
        }
        drop(writing);
        self.changed.send_modify(|count| *count += 1);
    }

    fn rotate(&self, writing: &mut Writing) {
        let moved = fs::rename(&self.path, rotated(&self.path));
        let opened = moved.and_then(|()| File::create(&self.path));
        match opened {
            Ok(file) => {
                *writing = Writing {
                    file: Some(file),
                    size: 0,
                }
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a log cannot be rotated");
            }
        }
    }
}

/// The file of a run.
pub(crate) fn file_of(folder: &Path, run: u32) -> PathBuf {
    folder.join(format!("{run}.log"))
}

pub(crate) fn rotated(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Copies what a process prints into its log, until it closes the pipe.
pub(crate) async fn pump(
    mut from: impl AsyncRead + Unpin,
    output: Output,
    log: Arc<Log>,
    point: Arc<Point>,
    now: impl Fn() -> Timestamp,
) {
    let mut buffer: Vec<u8> = Vec::new();
    loop {
        // Grown on demand, so that a silent process costs no buffer.
        buffer.reserve(1024);
        let known = buffer.len();
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => point.printed(output, &buffer[known..]).await,
        }
        let mut done = 0;
        while let Some(end) = buffer[done..].iter().position(|byte| *byte == b'\n') {
            log.line(now(), output, &buffer[done..done + end], true);
            done += end + 1;
        }
        buffer.drain(..done);
        if buffer.len() >= LINE_BYTES {
            log.line(now(), output, &buffer, false);
            buffer.clear();
        }
        if buffer.is_empty() {
            buffer.shrink_to(4096);
        }
    }
    if !buffer.is_empty() {
        log.line(now(), output, &buffer, true);
    }
}

/// The last lines of a log as a termination message (`FallbackToLogsOnError`).
pub(crate) fn last_words(path: &Path) -> String {
    const BYTES: usize = 2048;
    const LINES: usize = 80;
    let Ok(text) = fs::read(path) else {
        return String::new();
    };
    let tail = text
        .get(text.len().saturating_sub(64 * 1024)..)
        .unwrap_or_default();
    let mut lines: Vec<&[u8]> = tail.split(|byte| *byte == b'\n').collect();
    lines.pop();
    let first = lines.len().saturating_sub(LINES);
    let bodies = lines[first..].iter().filter_map(|line| read::body(line));
    let joined = bodies
        .map(|(_, _, text)| text)
        .collect::<Vec<_>>()
        .join(&b'\n');
    let from = joined.len().saturating_sub(BYTES);
    String::from_utf8_lossy(&joined[from..]).into_owned()
}

#[cfg(test)]
mod tests;
