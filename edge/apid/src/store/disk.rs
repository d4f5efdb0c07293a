//! The file beneath the database. It is a value of its own so that tests can put a disk in its
//! place that tears, loses and refuses writes.

use redb::StorageBackend;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What can be opened as a disk, again and again: after an error redb wants a new one.
pub(crate) trait Medium: Send {
    /// Opens what is there.
    fn open(&self) -> io::Result<Disk>;
    /// Its name in messages.
    fn path(&self) -> &Path;
}

/// An open disk.
pub(crate) struct Disk(Box<dyn StorageBackend>);

impl Disk {
    /// Takes any backend.
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(Box::new(backend))
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// A file. Two servers are kept apart by the data directory's lock.
#[derive(Debug)]
struct OpenFile(File);

impl StorageBackend for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

/// A file by its path.
pub(crate) struct FileMedium {
    path: PathBuf,
}

impl FileMedium {
    /// Names a file, which need not be there yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Medium for FileMedium {
    fn open(&self) -> io::Result<Disk> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Disk::new(OpenFile(options.open(&self.path)?)))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
