//! One process per data directory.

use crate::StartError;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held as long as the server runs; the system frees it when the process dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `dir/lock` and writes this process's id into it.
    pub(crate) fn take(dir: &Path) -> Result<Self, StartError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StartError::file(&path))?;
        if file.try_lock().is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown".to_owned(),
                pid => pid.to_owned(),
            };
            return Err(StartError::Locked {
                dir: dir.to_owned(),
                holder,
            });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StartError::file(&path))?;
        Ok(Self { _file: file })
    }
}
