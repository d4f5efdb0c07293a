//! Rate limits: nginx's leaky bucket, in thousandths of a request.

use crate::policy::Limits;
use std::net::IpAddr;

/// What is remembered about one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    excess: u64,
    last_millis: u64,
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Thousandths of a request per second
    pub milli_per_second: u64,
    /// Requests beyond the rate that pass at once
    pub burst: u64,
}

impl Bucket {
    /// Takes a request at a time in milliseconds; false when it is beyond the burst. `bucket` is
    /// `None` for a client's first request.
    pub fn admit(bucket: Option<Self>, rate: Rate, now_millis: u64) -> (Self, bool) {
        let Some(before) = bucket else {
            let fresh = Self {
                excess: 0,
                last_millis: now_millis,
            };
            return (fresh, true);
        };
        let elapsed = now_millis.saturating_sub(before.last_millis);
        let leaked = rate.milli_per_second.saturating_mul(elapsed) / 1000;
        let excess = (before.excess + 1000).saturating_sub(leaked);
        if excess > rate.burst * 1000 {
            return (before, false);
        }
        let after = Self {
            excess,
            last_millis: now_millis,
        };
        (after, true)
    }

    /// Whether forgetting the bucket changes nothing.
    pub fn is_empty(&self, rate: Rate, now_millis: u64) -> bool {
        let elapsed = now_millis.saturating_sub(self.last_millis);
        rate.milli_per_second.saturating_mul(elapsed) / 1000 >= self.excess + 1000
    }
}

impl Limits {
    /// Whether a client has no limits.
    pub fn frees(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|range| range.contains(client))
    }

    /// The rates that are set, with a number for each kind.
    pub fn rates(&self) -> impl Iterator<Item = (u8, Rate)> {
        let rate = |kind, count: u64, seconds: u64| {
            let rate = Rate {
                milli_per_second: count * 1000 / seconds,
                burst: count * self.burst,
            };
            (count > 0).then_some((kind, rate))
        };
        [rate(0, self.per_second, 1), rate(1, self.per_minute, 60)]
            .into_iter()
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rate: Rate, times: impl Iterator<Item = u64>) -> usize {
        let mut bucket = None;
        times
            .filter(|now| {
                let (next, admitted) = Bucket::admit(bucket, rate, *now);
                bucket = Some(next);
                admitted
            })
            .count()
    }

    #[test]
    fn a_burst_passes_and_the_rest_waits() {
        let rate = Rate {
            milli_per_second: 1000,
            burst: 5,
        };
        assert_eq!(admitted(rate, std::iter::repeat_n(0, 12)), 6);
        assert_eq!(admitted(rate, (0..10).map(|n| n * 1000)), 10);
        let later = std::iter::repeat_n(0, 12).chain(std::iter::repeat_n(2000, 5));
        assert_eq!(admitted(rate, later), 8);
    }
}
