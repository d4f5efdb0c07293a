//! Answers of other servers, kept for as long as their TTL says.

use dns::{Key, Stored};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Bounded by number and by octets; the oldest goes first.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<Key, Entry>,
    /// Numbers and keys by age; an entry with another number came later
    order: VecDeque<(u64, Key)>,
    inserted: u64,
    octets: usize,
    max_entries: usize,
    max_octets: usize,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    stored: Arc<Stored>,
    since: Instant,
    octets: usize,
}

impl Cache {
    pub(crate) fn new(max_entries: usize, max_octets: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            inserted: 0,
            octets: 0,
            max_entries,
            max_octets,
        }
    }

    /// The answer and its age in seconds, unless it is too old.
    pub(crate) fn get(&mut self, key: &Key, now: Instant) -> Option<(Arc<Stored>, u32)> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.since).as_secs();
        if age >= u64::from(entry.stored.ttl()) {
            self.remove(key);
            return None;
        }
        Some((entry.stored.clone(), u32::try_from(age).unwrap_or(u32::MAX)))
    }

    /// Keeps an answer, if it may be kept. Gives the number of others that had to go.
    pub(crate) fn insert(&mut self, key: &Key, stored: Arc<Stored>, now: Instant) -> u64 {
        if !stored.may_keep() || stored.ttl() == 0 {
            return 0;
        }
        let fixed = size_of::<Key>() * 2 + size_of::<Entry>() + key.name.as_wire().len() * 2;
        let octets = fixed + stored.octets();
        self.remove(key);
        self.octets += octets;
        self.inserted += 1;
        let number = self.inserted;
        let entry = Entry {
            number,
            stored,
            since: now,
            octets,
        };
        self.entries.insert(key.clone(), entry);
        self.order.push_back((number, key.clone()));
        self.evict()
    }

    /// Number of answers, too old ones included.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove(&mut self, key: &Key) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.octets -= entry.octets;
        true
    }

    fn evict(&mut self) -> u64 {
        let mut evicted = 0;
        while self.entries.len() > self.max_entries || self.octets > self.max_octets {
            let Some((number, oldest)) = self.order.pop_front() else {
                break;
            };
            if self.is_current(number, &oldest) {
                evicted += u64::from(self.remove(&oldest));
            }
        }
        if self.order.len() > 2 * self.entries.len() + 64 {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(number, key)| self.is_current(*number, key));
            self.order = order;
        }
        evicted
    }

    fn is_current(&self, number: u64, key: &Key) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::Name;
    use std::time::Duration;

    fn key(name: &str) -> Key {
        Key {
            name: Name::parse(name).unwrap(),
            qtype: dns::rtype::A,
            dnssec: false,
            checking_disabled: false,
        }
    }

    #[test]
    fn answers_grow_old_and_make_room() {
        let mut cache = Cache::new(3, 1 << 20);
        let start = Instant::now();
        for name in ["a.", "b.", "a.", "c.", "d."] {
            cache.insert(&key(name), Arc::new(dns::failure(5)), start);
        }
        assert_eq!(cache.len(), 3);
        assert!(cache.get(&key("b."), start).is_none(), "the oldest went");
        let later = start + Duration::from_secs(4);
        assert_eq!(cache.get(&key("a."), later).map(|(_, age)| age), Some(4));
        let late = start + Duration::from_secs(5);
        assert!(cache.get(&key("a."), late).is_none());
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn the_order_of_age_stays_as_small_as_the_cache() {
        let mut cache = Cache::new(3, 1 << 20);
        let start = Instant::now();
        for n in 0..1000 {
            let name = key(["a.", "b."][n % 2]);
            cache.insert(&name, Arc::new(dns::failure(5)), start);
        }
        assert!(cache.order.len() <= 2 * 2 + 65);
        cache.max_octets = 1;
        cache.insert(&key("c."), Arc::new(dns::failure(5)), start);
        assert_eq!((cache.len(), cache.octets), (0, 0));
    }
}
