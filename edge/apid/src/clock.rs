//! The two things that only an edge may ask the system for: time and random numbers.

use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A random number from the system's generator.
pub(crate) fn random() -> u64 {
    let mut bytes = [0u8; 8];
    // Without randomness uids would collide: better none at all than bad ones.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the system's random generator failed");
        std::process::abort();
    }
    u64::from_ne_bytes(bytes)
}
