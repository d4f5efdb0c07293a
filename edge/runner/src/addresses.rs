//! Addresses of Pods.

use model::Cidr;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Hands out addresses of the pod range: the same place in each range, going round so that an
/// address is not given again at once.
#[derive(Debug)]
pub(crate) struct Addresses {
    ranges: Vec<Cidr>,
    taken: BTreeSet<u128>,
    next: u128,
}

impl Addresses {
    pub(crate) fn new(ranges: Vec<Cidr>) -> Self {
        Self {
            ranges,
            taken: BTreeSet::new(),
            next: FIRST,
        }
    }

    /// The Pod's stored address, when it lies in the range and is free; a new one otherwise.
    /// `None` when the range is full.
    pub(crate) fn take(&mut self, stored: Option<IpAddr>) -> Option<Vec<IpAddr>> {
        let primary = self.ranges.first()?;
        let last = self.ranges.iter().map(Cidr::size).min()?.saturating_sub(1);
        let old = stored.and_then(|ip| primary.index(ip));
        let old = old.filter(|place| (FIRST..last).contains(place) && !self.taken.contains(place));
        let place = match old {
            Some(place) => place,
            None => self.free(last)?,
        };
        self.taken.insert(place);
        self.ranges.iter().map(|range| range.nth(place)).collect()
    }

    pub(crate) fn give_back(&mut self, ips: &[IpAddr]) {
        let place = ips.first().zip(self.ranges.first());
        if let Some(place) = place.and_then(|(ip, range)| range.index(*ip)) {
            self.taken.remove(&place);
        }
    }

    fn free(&mut self, last: u128) -> Option<u128> {
        let free = |place: &u128| !self.taken.contains(place);
        let place = (self.next..last)
            .find(free)
            .or_else(|| (FIRST..self.next).find(free))?;
        self.next = if place + 1 < last { place + 1 } else { FIRST };
        Some(place)
    }
}

/// The first address of a range is its name, the second one the bridge's in a real cluster.
const FIRST: u128 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(addresses: &mut Addresses, stored: Option<&str>) -> Vec<String> {
        let ips = addresses.take(stored.map(|text| text.parse().unwrap()));
        ips.unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn addresses_go_round_and_are_kept_over_a_restart() {
        let ranges = ["127.244.0.0/29", "fd00::/64"].map(|range| range.parse().unwrap());
        let mut pool = Addresses::new(ranges.to_vec());
        assert_eq!(take(&mut pool, None), ["127.244.0.2", "fd00::2"]);
        assert_eq!(
            take(&mut pool, Some("127.244.0.4")),
            ["127.244.0.4", "fd00::4"]
        );
        assert_eq!(
            take(&mut pool, Some("127.244.0.4"))[0],
            "127.244.0.3",
            "it is taken"
        );
        pool.give_back(&["127.244.0.3".parse().unwrap()]);
        assert_eq!(
            take(&mut pool, Some("10.0.0.1"))[0],
            "127.244.0.5",
            "not given at once again"
        );
        assert_eq!(take(&mut pool, None)[0], "127.244.0.6");
        assert_eq!(take(&mut pool, None)[0], "127.244.0.3");
        assert!(
            take(&mut pool, None).is_empty(),
            "the last address is never given"
        );
    }
}
