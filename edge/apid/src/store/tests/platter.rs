//! A disk in memory that remembers every write and sync, and can run out of room.

use crate::store::disk::{Disk, Medium};
use redb::StorageBackend;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What was done to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) bytes: Vec<u8>,
    pub(crate) acts: Vec<Act>,
    /// Bytes that may still be written; `None` for any number
    pub(crate) room: Option<usize>,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platter(Arc<Mutex<Inner>>);

impl Platter {
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let platter = Self::default();
        platter.inner().bytes = bytes;
        platter
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Medium for Platter {
    fn open(&self) -> io::Result<Disk> {
        Ok(Disk::new(self.clone()))
    }

    fn path(&self) -> &Path {
        Path::new("dir/store.redb")
    }
}

/// Carries an act out on an image.
pub(crate) fn apply(image: &mut Vec<u8>, act: &Act) {
    match act {
        Act::Write(offset, data) => {
            let offset = *offset as usize;
            if image.len() < offset + data.len() {
                image.resize(offset + data.len(), 0);
            }
            image[offset..offset + data.len()].copy_from_slice(data);
        }
        Act::SetLen(len) => image.resize(*len as usize, 0),
        Act::Sync => {}
    }
}

impl Inner {
    fn act(&mut self, act: Act) -> io::Result<()> {
        let wanted = match &act {
            Act::Write(_, data) => data.len(),
            _ => 0,
        };
        if let Some(room) = &mut self.room {
            if *room < wanted {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= wanted;
        }
        apply(&mut self.bytes, &act);
        self.acts.push(act);
        Ok(())
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = offset.saturating_add(out.len());
        let found = inner.bytes.get(offset..end);
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner().act(Act::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner().act(Act::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner().act(Act::Write(offset, data.to_vec()))
    }
}
