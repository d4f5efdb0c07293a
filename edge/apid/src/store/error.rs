//! Why the store cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room to write; reads go on, and writes once there is room again
    #[error("no room to write {path}: {source}: free space on that disk")]
    Full {
        /// The file
        path: PathBuf,
        /// What the system says
        source: io::Error,
    },
    /// The file does not hold what was written to it
    #[error(
        "{path} is damaged: {reason}: bring back a backup with `portolan restore FILE --data-dir {dir} --force`, or begin anew with `portolan reset --data-dir {dir}`"
    )]
    Damaged {
        /// The file
        path: PathBuf,
        /// Its directory
        dir: String,
        /// What is wrong with it
        reason: String,
    },
    /// The file was written by a newer version
    #[error(
        "{path} has format {found}, this version reads format {known}: use the version that wrote it, or `portolan reset`"
    )]
    Format {
        /// The file
        path: PathBuf,
        /// Format that was found
        found: u64,
        /// Format that is understood
        known: u64,
    },
    /// Any other failure of reading or writing
    #[error("{path}: {source}")]
    Failed {
        /// The file
        path: PathBuf,
        /// redb's own error
        source: Box<redb::Error>,
    },
}

impl StoreError {
    /// Whether freeing space is the cure.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(crate) fn damaged(path: &Path, reason: impl ToString) -> Self {
        let dir = path.parent().unwrap_or(path);
        Self::Damaged {
            path: path.to_owned(),
            dir: dir.display().to_string(),
            reason: reason.to_string(),
        }
    }

    /// Sorts redb's errors by their cure.
    pub(crate) fn of(path: &Path, error: impl Into<redb::Error>) -> Self {
        use io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
        let path = path.to_owned();
        match error.into() {
            redb::Error::Corrupted(reason) => Self::damaged(&path, reason),
            redb::Error::Io(source) => match source.kind() {
                StorageFull | QuotaExceeded | FileTooLarge => Self::Full { path, source },
                InvalidData | UnexpectedEof => Self::damaged(&path, source),
                _ => Self::Failed {
                    path,
                    source: Box::new(redb::Error::Io(source)),
                },
            },
            other => Self::Failed {
                path,
                source: Box::new(other),
            },
        }
    }
}
