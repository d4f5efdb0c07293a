//! The objects on disk (redb): one table of objects, one of numbers.
//!
//! A commit is one sync. redb then tells a torn commit from a whole one by checksums, and takes
//! the state before a torn one; so that damage is never taken for a torn commit, a short rest is
//! used to put another commit on top ([`Store::seal`]). At each start all checksums are checked.

mod disk;
mod error;
#[cfg(test)]
pub(crate) mod tests;

use disk::{FileMedium, Medium};
pub use error::StoreError;

use api::State;
use model::{Event, EventKind, Object, Resource};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// `resource NUL namespace/name` to the object's canonical JSON
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const FORMAT: u64 = 1;
/// All objects live in memory anyway, so that the page cache need only hold what a commit touches.
const CACHE_BYTES: usize = 4 << 20;
/// Where a new cluster begins to count. As in a cluster that has run for a while, the version 1
/// that clients make up is too old.
const FIRST_VERSION: u64 = 1000;
/// Name of the database in the data directory.
pub(crate) const FILE: &str = "store.redb";

/// The database. It is closed after an error, until [`Store::reopen`] succeeds.
pub(crate) struct Store {
    medium: Box<dyn Medium>,
    database: Option<Database>,
    /// Whether another commit lies on top of the last change
    sealed: bool,
}

/// What was on disk.
pub(crate) struct Loaded {
    pub(crate) store: Store,
    pub(crate) state: State,
    /// The last resourceVersion given out
    pub(crate) version: u64,
}

fn key(object: &Object) -> String {
    format!(
        "{}\0{}/{}",
        object.resource, object.meta.namespace, object.meta.name
    )
}

impl Store {
    /// Opens the database in `dir`, or makes an empty one.
    pub(crate) fn open(dir: &Path) -> Result<Loaded, StoreError> {
        let path = dir.join(FILE);
        if !path.exists() {
            Self::make(dir, std::iter::empty(), FIRST_VERSION)?;
        }
        Self::load(Box::new(FileMedium::new(path)))
    }

    /// Makes the database in `dir`, in the place of one that may be there. It gets its name last,
    /// so that there is a whole one or none at all.
    pub(crate) fn make(
        dir: &Path,
        objects: impl Iterator<Item = Arc<Object>>,
        version: u64,
    ) -> Result<(), StoreError> {
        let (path, new) = (dir.join(FILE), dir.join(format!("{FILE}.new")));
        let failed = |error: std::io::Error| StoreError::of(&new, redb::Error::Io(error));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        drop(Self::create(
            Box::new(FileMedium::new(new.clone())),
            objects,
            version,
        )?);
        std::fs::rename(&new, path)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(failed)
    }

    /// Writes a first state to an empty medium.
    pub(crate) fn create(
        medium: Box<dyn Medium>,
        objects: impl Iterator<Item = Arc<Object>>,
        version: u64,
    ) -> Result<Self, StoreError> {
        let mut store = Self {
            medium,
            database: None,
            sealed: true,
        };
        store.database = Some(store.database(false)?);
        let added = objects.map(|object| Event {
            kind: EventKind::Added,
            object,
            old: None,
        });
        store.change(|transaction| {
            put(transaction, added, version)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert("format", FORMAT)?;
            Ok(())
        })?;
        Ok(store)
    }

    /// Opens what is there and reads all of it.
    pub(crate) fn load(medium: Box<dyn Medium>) -> Result<Loaded, StoreError> {
        let path = medium.path().to_owned();
        let empty = medium
            .open()
            .and_then(|disk| redb::StorageBackend::len(&disk));
        if empty.map_err(|error| StoreError::of(&path, redb::Error::Io(error)))? == 0 {
            return Err(StoreError::damaged(&path, "it is empty"));
        }
        let mut store = Self {
            medium,
            database: None,
            sealed: true,
        };
        // redb trusts pages whose checksums are right; one made wrong on purpose may make it panic.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let database = store.database(true)?;
            let read = read_all(&database, &path);
            store.database = Some(database);
            read
        }));
        let read = read.unwrap_or_else(|_| Err(StoreError::damaged(&path, "it cannot be read")));
        let (state, version) = read?;
        Ok(Loaded {
            store,
            state,
            version,
        })
    }

    fn database(&self, check: bool) -> Result<Database, StoreError> {
        let failed = |error: redb::Error| StoreError::of(self.medium.path(), error);
        let disk = self.medium.open().map_err(|error| failed(error.into()))?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        builder.set_check_integrity_on_open(check);
        builder
            .create_with_backend(disk)
            .map_err(|error| failed(error.into()))
    }

    /// Opens the database again after an error; gives the version of the last commit in it.
    pub(crate) fn reopen(&mut self) -> Result<u64, StoreError> {
        self.database = None;
        let database = self.database(true)?;
        let version = read_number(&database, "version")
            .map_err(|error| StoreError::of(self.medium.path(), error))?;
        self.database = Some(database);
        Ok(version)
    }

    /// Makes changes durable, all or none of them.
    pub(crate) fn commit(&mut self, events: &[Event]) -> Result<(), StoreError> {
        if self.database.is_none() {
            // A seal found the disk full.
            self.reopen()?;
        }
        let version = events
            .iter()
            .map(|event| event.object.meta.resource_version);
        let version = version.max().unwrap_or_default();
        self.change(|transaction| put(transaction, events.iter().cloned(), version))?;
        self.sealed = false;
        Ok(())
    }

    /// Whether a seal is due once nothing else is to be written.
    pub(crate) fn wants_seal(&self) -> bool {
        !self.sealed && self.database.is_some()
    }

    /// Puts a commit without changes on top of the last one.
    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        self.change(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let count = numbers.get("seals")?.map_or(0, |count| count.value());
            numbers.insert("seals", count.wrapping_add(1))?;
            Ok(())
        })?;
        self.sealed = true;
        Ok(())
    }

    /// What became of a commit that panicked.
    pub(crate) fn panicked(&mut self) -> StoreError {
        self.database = None;
        StoreError::damaged(self.medium.path(), "it cannot be written")
    }

    fn change(
        &mut self,
        make: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let changed = match &self.database {
            Some(database) => transact(database, make),
            None => Err(redb::Error::PreviousIo),
        };
        changed.map_err(|error| {
            // redb takes no more writes after an error.
            self.database = None;
            StoreError::of(self.medium.path(), error)
        })
    }
}

fn transact(
    database: &Database,
    make: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Quick repair would sync twice per commit to spare a start after a kill the walk through
    // the file; a start reads every object anyway, so that the walk costs little beside it.
    transaction.set_quick_repair(false);
    make(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn put(
    transaction: &WriteTransaction,
    events: impl Iterator<Item = Event>,
    version: u64,
) -> Result<(), redb::Error> {
    let mut objects = transaction.open_table(OBJECTS)?;
    for event in events {
        let key = key(&event.object);
        if event.kind == EventKind::Deleted {
            objects.remove(key.as_str())?;
        } else {
            objects.insert(key.as_str(), &event.object.bytes[..])?;
        }
    }
    let mut numbers = transaction.open_table(NUMBERS)?;
    numbers.insert("version", version)?;
    Ok(())
}

fn read_number(database: &Database, name: &str) -> Result<u64, redb::Error> {
    let numbers = database.begin_read()?.open_table(NUMBERS)?;
    Ok(numbers.get(name)?.map_or(0, |number| number.value()))
}

fn read_all(database: &Database, path: &Path) -> Result<(State, u64), StoreError> {
    let failed = |error: redb::Error| StoreError::of(path, error);
    let format = read_number(database, "format").map_err(failed)?;
    if format != FORMAT {
        return Err(StoreError::Format {
            path: path.to_owned(),
            found: format,
            known: FORMAT,
        });
    }
    let version = read_number(database, "version").map_err(failed)?;
    let transaction = database.begin_read().map_err(|e| failed(e.into()))?;
    let table = transaction
        .open_table(OBJECTS)
        .map_err(|e| failed(e.into()))?;
    let mut state = State::default();
    for entry in table.iter().map_err(|e| failed(e.into()))? {
        let (place, value) = entry.map_err(|e| failed(e.into()))?;
        let place = place.value();
        let name = place.split('\0').next().unwrap_or_default();
        let (plural, group) = name.split_once('.').unwrap_or((name, ""));
        let object = Object::from_bytes(Resource::new(group, plural), value.value().into());
        let object = object.map_err(|error| {
            StoreError::damaged(path, format!("object {place:?} is no object: {error}"))
        })?;
        if key(&object) != place || object.meta.resource_version > version {
            let reason = format!("object {place:?} is not what was stored under that name");
            return Err(StoreError::damaged(path, reason));
        }
        state.insert(Arc::new(object));
    }
    Ok((state, version))
}
