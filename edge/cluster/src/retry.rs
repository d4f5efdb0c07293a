//! Delays between attempts.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(15);

/// Grows with every failure up to a cap, with chance in it so that the clients of a server that
/// comes back do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let base = FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST);
        self.failures += 1;
        base / 2 + base.mul_f64(chance() / 2.0)
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A number between 0 and 1, random enough for delays.
pub(crate) fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_cap() {
        let mut backoff = Backoff::default();
        let delays: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(delays[0] <= FIRST && delays[0] >= FIRST / 2);
        assert!(delays[19] <= LAST && delays[19] >= LAST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
