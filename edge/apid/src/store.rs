//! The objects on disk (redb): one table of objects, one of numbers.

use crate::StartError;
use api::State;
use model::{Event, EventKind, Object, Resource};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;
use std::sync::Arc;

/// `resource NUL namespace/name` to the object's canonical JSON
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const FORMAT: u64 = 1;
/// All objects live in memory anyway, so that the page cache need only hold what a commit touches.
const CACHE_BYTES: usize = 4 << 20;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// redb's own error
    #[error("{0}")]
    Database(Box<redb::Error>),
    /// An object on disk is no object
    #[error("object {key:?} is damaged: {source}")]
    Object {
        /// Its key
        key: String,
        /// What is wrong
        source: serde_json::Error,
    },
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

/// The open database.
pub(crate) struct Store {
    database: Database,
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
    /// Opens or makes the database in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Loaded, StartError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(dir.join("store.redb"))
            .map_err(failed)?;
        let store = Self { database };
        let (format, version) = store.prepare()?;
        if format != FORMAT {
            return Err(StartError::Format {
                dir: dir.to_owned(),
                found: format,
                known: FORMAT,
            });
        }
        let state = store.load()?;
        Ok(Loaded {
            store,
            state,
            version,
        })
    }

    /// Makes the tables and reads the numbers.
    fn prepare(&self) -> Result<(u64, u64), StoreError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let numbers = {
            transaction.open_table(OBJECTS).map_err(failed)?;
            let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
            if numbers.get("format").map_err(failed)?.is_none() {
                numbers.insert("format", FORMAT).map_err(failed)?;
            }
            let read = |key| numbers.get(key).map(|found| found.map_or(0, |n| n.value()));
            (
                read("format").map_err(failed)?,
                read("version").map_err(failed)?,
            )
        };
        transaction.commit().map_err(failed)?;
        Ok(numbers)
    }

    fn load(&self) -> Result<State, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(OBJECTS).map_err(failed)?;
        let mut state = State::default();
        for entry in table.iter().map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            let key = key.value();
            let name = key.split('\0').next().unwrap_or_default();
            let (plural, group) = name.split_once('.').unwrap_or((name, ""));
            let object = Object::from_bytes(Resource::new(group, plural), value.value().into());
            let object = object.map_err(|source| StoreError::Object {
                key: key.to_owned(),
                source,
            })?;
            state.insert(Arc::new(object));
        }
        Ok(state)
    }

    /// Makes changes durable, all or none of them.
    pub(crate) fn commit(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        // Quick repair would sync twice per commit to spare a start after a kill the walk through
        // the file; a start reads every object anyway, so that the walk costs little beside it.
        transaction.set_quick_repair(false);
        {
            let mut objects = transaction.open_table(OBJECTS).map_err(failed)?;
            let mut version = 0;
            for event in events {
                let object = &event.object;
                version = version.max(object.meta.resource_version);
                let key = key(object);
                if event.kind == EventKind::Deleted {
                    objects.remove(key.as_str()).map_err(failed)?;
                } else {
                    objects
                        .insert(key.as_str(), &object.bytes[..])
                        .map_err(failed)?;
                }
            }
            let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
            numbers.insert("version", version).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

#[cfg(test)]
mod tests;
