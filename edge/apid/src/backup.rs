//! All objects in one file of text, to be brought back later.
//!
//! ```text
//! {"format":"portolan-backup","version":1,"resourceVersion":"812","objects":57}
//! {"resource":"configmaps","object":{…}}        one line for each object
//! {"sha256":"9f86…"}                            of all lines before
//! ```
//!
//! A backup is one consistent state: a running server hands out what it has committed at one
//! instant, a stopped one is read from its store. Keys and certificates are not part of it.

use crate::lock::Lock;
use crate::store::{FILE, Store};
use crate::{StartError, StoreError};
use bytes::Bytes;
use model::{Object, Resource};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;

/// Where a running server hands out a backup.
pub const BACKUP_PATH: &str = "/portolan/backup";
/// Name of the format, in the first line.
const FORMAT: &str = "portolan-backup";
const VERSION: u64 = 1;
/// Longest line that is read: an object may have 3 MiB, and its text may double when it is escaped.
const LINE_BYTES: u64 = 32 << 20;
/// A restored cluster goes on at least so far above the newest version it knows of: clients that
/// watched the lost one then find their versions too old, and list anew.
const AHEAD: u64 = 1_000_000;

/// Milliseconds since 1970 are above all versions that a cluster has given out since it was last
/// restored, even where nobody knows them any more: it would have had to write faster than that.
fn milliseconds() -> u64 {
    u64::try_from(crate::clock::now().micros() / 1000).unwrap_or(0)
}

/// What is wrong with a backup, or with where it goes.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read
    #[error("cannot read the backup: {0}")]
    Read(#[from] io::Error),
    /// It is something else
    #[error("line {line}: {reason}: this is no backup of `portolan backup`, or it is damaged")]
    Line {
        /// Line, from 1
        line: usize,
        /// What is wrong with it
        reason: String,
    },
    /// A later version wrote it
    #[error("the backup has version {0}, this program reads version {VERSION}: use a newer one")]
    Version(u64),
    /// It has no end
    #[error(
        "the backup ends after {0} objects, before its checksum: it was not written to its end"
    )]
    Truncated(usize),
    /// It was changed
    #[error("the checksum is wrong: the backup was changed or damaged after it was written")]
    Checksum,
    /// There is a cluster already
    #[error(
        "{0} holds a cluster already: restore to another directory, or say --force to replace what is there"
    )]
    Occupied(String),
    /// There is nothing to back up
    #[error("there is no cluster in {0}: name its directory with --data-dir")]
    Nothing(String),
    /// The directory is in use, or cannot be used
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store cannot be read or written
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All objects at one instant.
pub struct Backup {
    /// The last resourceVersion that was given out
    pub version: u64,
    /// The objects
    pub objects: Vec<Arc<Object>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    format: String,
    version: u64,
    resource_version: String,
    objects: usize,
}

#[derive(Deserialize)]
struct Entry<'a> {
    resource: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl Backup {
    /// Reads the store of a server that does not run.
    ///
    /// # Errors
    /// When there is none, when a server runs on it, when it is damaged.
    pub fn of_directory(dir: &Path) -> Result<Self, BackupError> {
        if !dir.join(FILE).exists() {
            return Err(BackupError::Nothing(dir.display().to_string()));
        }
        let _lock = Lock::take(dir)?;
        let loaded = Store::open(dir)?;
        Ok(Self {
            version: loaded.version,
            objects: loaded.state.all().cloned().collect(),
        })
    }

    /// The file's lines.
    pub fn lines(self) -> impl Iterator<Item = Bytes> + Send {
        let mut hash = Sha256::new();
        let head = json!({
            "format": FORMAT, "version": VERSION,
            "resourceVersion": self.version.to_string(), "objects": self.objects.len(),
        });
        let head = std::iter::once(format!("{head}\n").into_bytes());
        let objects = self.objects.into_iter().map(|object| {
            let mut line = format!(
                "{{\"resource\":{},\"object\":",
                json!(object.resource.as_str())
            );
            line.reserve(object.bytes.len() + 2);
            let mut line = line.into_bytes();
            line.extend_from_slice(&object.bytes);
            line.extend_from_slice(b"}\n");
            line
        });
        let mut lines = head.chain(objects);
        let mut ended = false;
        std::iter::from_fn(move || {
            if let Some(line) = lines.next() {
                hash.update(&line);
                return Some(line.into());
            }
            let sum = json!({"sha256": hex(&hash.clone().finalize())});
            (!std::mem::replace(&mut ended, true)).then(|| format!("{sum}\n").into())
        })
    }

    /// Reads a file and checks all of it; `progress` is told how many objects were read and how
    /// many there are.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn read(
        mut input: impl BufRead,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, BackupError> {
        let mut hash = Sha256::new();
        let mut line = Vec::new();
        next_line(&mut input, &mut line, 1)?;
        let head = head(&line)?;
        hash.update(&line);
        let version = head
            .resource_version
            .parse()
            .map_err(|_| BackupError::Line {
                line: 1,
                reason: "resourceVersion is no number".to_owned(),
            })?;
        let mut objects = Vec::new();
        for index in 0..head.objects {
            if !next_line(&mut input, &mut line, index + 2)? {
                return Err(BackupError::Truncated(index));
            }
            hash.update(&line);
            objects.push(Arc::new(object(&line, index + 2)?));
            progress(index + 1, head.objects);
        }
        if !next_line(&mut input, &mut line, head.objects + 2)? {
            return Err(BackupError::Truncated(head.objects));
        }
        let sum: Value = serde_json::from_slice(&line).unwrap_or_default();
        if sum["sha256"] != hex(&hash.finalize()) {
            return Err(BackupError::Checksum);
        }
        Ok(Self { version, objects })
    }

    /// Makes these objects the content of a data directory; gives the resourceVersion from which
    /// its cluster goes on, which is above all that clients may have seen.
    ///
    /// # Errors
    /// When a server runs on it, or when it holds a cluster and `force` is not set. What is
    /// replaced stays beside it as `store.redb.replaced`.
    pub fn restore(self, dir: &Path, force: bool) -> Result<u64, BackupError> {
        let _lock = Lock::take(dir)?;
        let file = dir.join(FILE);
        let mut newest = self.version;
        if file.exists() {
            if !force {
                return Err(BackupError::Occupied(dir.display().to_string()));
            }
            // A damaged store is no reason not to restore: it is the reason to.
            newest = newest.max(Store::open(dir).map_or(0, |loaded| loaded.version));
            let kept = dir.join(format!("{FILE}.replaced"));
            let _ = std::fs::remove_file(&kept);
            std::fs::hard_link(&file, &kept).map_err(StartError::file(&kept))?;
        }
        let version = (newest + AHEAD).max(milliseconds());
        Store::make(dir, self.objects.into_iter(), version)?;
        Ok(version)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a line with its end; false at the end of the file or in the middle of a line.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, at: usize) -> Result<bool, BackupError> {
    line.clear();
    input.take(LINE_BYTES).read_until(b'\n', line)?;
    if line.len() as u64 == LINE_BYTES {
        let reason = "it is longer than any object".to_owned();
        return Err(BackupError::Line { line: at, reason });
    }
    Ok(line.ends_with(b"\n"))
}

fn head(line: &[u8]) -> Result<Head, BackupError> {
    let wrong = |reason: String| BackupError::Line { line: 1, reason };
    let head: Head = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
    if head.format != FORMAT {
        return Err(wrong(format!("the format is {:?}", head.format)));
    }
    if head.version != VERSION {
        return Err(BackupError::Version(head.version));
    }
    Ok(head)
}

fn object(line: &[u8], at: usize) -> Result<Object, BackupError> {
    let wrong = |error: serde_json::Error| BackupError::Line {
        line: at,
        reason: error.to_string(),
    };
    let entry: Entry<'_> = serde_json::from_slice(line).map_err(wrong)?;
    let (plural, group) = entry
        .resource
        .split_once('.')
        .unwrap_or((entry.resource, ""));
    let bytes = entry.object.get().as_bytes().into();
    Object::from_bytes(Resource::new(group, plural), bytes).map_err(wrong)
}

#[cfg(test)]
mod tests;
