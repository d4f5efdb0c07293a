//! Random numbers for message ids and orders.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that outsiders cannot foresee: a counter under the standard library's keyed hash,
/// whose keys the operating system draws.
#[derive(Debug, Default)]
pub(crate) struct Random {
    keys: RandomState,
    count: AtomicU64,
}

impl Random {
    pub(crate) fn number(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.keys.hash_one(count)
    }

    /// A message id.
    pub(crate) fn id(&self) -> u16 {
        let [a, b, ..] = self.number().to_be_bytes();
        u16::from_be_bytes([a, b])
    }
}
