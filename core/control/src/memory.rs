//! What controllers remember between calls.

use crate::Key;
use model::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// State that cannot be read off the objects. Losing it costs no correctness, as after a restart:
/// only
/// `endpoints.kubernetes.io/last-change-trigger-time` and the number of equal events depend on it.
#[derive(Debug, Default)]
pub struct Memory {
    triggers: Mutex<BTreeMap<(&'static str, Key), Triggers>>,
    told: Mutex<BTreeMap<(&'static str, Key), String>>,
}

/// Times of changes that a Service's endpoints already account for.
#[derive(Debug, Default)]
struct Triggers {
    service: Option<Timestamp>,
    pods: BTreeMap<String, Timestamp>,
}

impl Memory {
    /// The earliest change that `controller` has not yet accounted for, which it now does. For a
    /// Service that was not known it is the Service's creation; `None` when nothing changed.
    pub(crate) fn trigger(
        &self,
        controller: &'static str,
        key: &Key,
        created: Option<Timestamp>,
        pods: BTreeMap<String, Timestamp>,
    ) -> Option<Timestamp> {
        let mut all = self.lock();
        let Some(known) = all.get_mut(&(controller, key.clone())) else {
            let service = created;
            all.insert((controller, key.clone()), Triggers { service, pods });
            return created;
        };
        let newer = pods
            .iter()
            .filter(|(name, time)| known.pods.get(*name).is_none_or(|old| time > &old))
            .map(|(_, time)| *time);
        let service = created.filter(|_| created > known.service);
        let earliest = newer.chain(service).min();
        known.pods = pods;
        known.service = created;
        earliest
    }

    /// Whether `message` is not what `controller` last told about an object.
    pub(crate) fn is_news(&self, controller: &'static str, key: &Key, message: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.insert((controller, key.clone()), message.to_owned());
        last.as_deref() != Some(message)
    }

    /// Forgets a Service that is gone.
    pub(crate) fn forget(&self, controller: &'static str, key: &Key) {
        let key = (controller, key.clone());
        self.lock().remove(&key);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, Key), Triggers>> {
        self.triggers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Resource;

    #[test]
    fn only_unseen_changes_are_told() {
        let memory = Memory::default();
        let key = Key::new(Resource::SERVICES, "ns", "web");
        let at = |seconds| Timestamp::default().plus_seconds(seconds);
        let ask = |pods: &[(&str, i64)]| {
            let pods = pods.iter().map(|(n, t)| ((*n).to_owned(), at(*t)));
            memory.trigger("c", &key, Some(at(100)), pods.collect())
        };
        assert_eq!(ask(&[]), Some(at(100)));
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&[("a", 7), ("b", 5)]), Some(at(5)));
        assert_eq!(ask(&[("a", 7), ("b", 5)]), None);
        assert_eq!(ask(&[("a", 9)]), Some(at(9)));
        memory.forget("c", &key);
        assert_eq!(ask(&[("a", 9)]), Some(at(100)));
    }
}
