//! A sorted set in many small shared pieces: a clone costs one counter per piece, a change copies
//! one piece. That makes a zone of any size cheap to publish after a change of one Service.

use std::sync::Arc;

const SHARDS: usize = 512;

/// Sorted set, spread by hash.
#[derive(Clone, Debug)]
pub(crate) struct Shards<T> {
    shards: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T: Ord + Clone> Default for Shards<T> {
    fn default() -> Self {
        let empty = Arc::new(Vec::new());
        Self {
            shards: vec![empty; SHARDS],
            len: 0,
        }
    }
}

impl<T: Ord + Clone> Shards<T> {
    /// The elements that share a hash's piece, in order.
    pub(crate) fn piece(&self, hash: u64) -> &[T] {
        &self.shards[index(hash)]
    }

    /// Puts an element in the place of its equal.
    pub(crate) fn insert(&mut self, hash: u64, value: T) {
        let piece = Arc::make_mut(&mut self.shards[index(hash)]);
        match piece.binary_search(&value) {
            Ok(at) => piece[at] = value,
            Err(at) => {
                piece.insert(at, value);
                self.len += 1;
            }
        }
    }

    /// Takes an element out.
    pub(crate) fn remove(&mut self, hash: u64, value: &T) {
        let shard = &mut self.shards[index(hash)];
        if let Ok(at) = shard.binary_search(value) {
            Arc::make_mut(shard).remove(at);
            self.len -= 1;
        }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All elements, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().flat_map(|piece| piece.iter())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "only the low bits choose the piece"
)]
fn index(hash: u64) -> usize {
    (hash ^ (hash >> 32)) as usize % SHARDS
}

/// FNV-1a; keys are names and addresses of API objects, and a query never inserts.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut set = Shards::default();
        for n in 0u64..2000 {
            set.insert(hash(&n.to_be_bytes()), n);
        }
        let before = set.clone();
        set.remove(hash(&7u64.to_be_bytes()), &7);
        set.insert(hash(&8u64.to_be_bytes()), 8);
        assert_eq!((before.len(), set.len()), (2000, 1999));
        assert!(before.iter().any(|n| *n == 7));
        assert!(!set.iter().any(|n| *n == 7));
    }
}
