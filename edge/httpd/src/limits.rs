//! Counts of requests per client, for the limits that `gateway` computes.

use gateway::limit::{Bucket, Rate};
use gateway::{Global, Limits as Policy};
use model::NamespacedName;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Clients that are remembered; the ones that have been quiet are forgotten first.
const CLIENT_LIMIT: usize = 100_000;

type Key = (NamespacedName, IpAddr, u8);

/// Counts shared by all threads.
pub(crate) struct Limits {
    start: Instant,
    buckets: Mutex<HashMap<Key, (Bucket, Rate)>>,
    running: Arc<Mutex<HashMap<(NamespacedName, IpAddr), u64>>>,
}

/// A running request, counted until it is dropped.
pub(crate) struct Slot {
    running: Arc<Mutex<HashMap<(NamespacedName, IpAddr), u64>>>,
    key: (NamespacedName, IpAddr),
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.key);
            }
        }
    }
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            buckets: Mutex::default(),
            running: Arc::default(),
        }
    }

    /// Takes a request, or gives the status to refuse it with.
    pub(crate) fn admit(
        &self,
        ingress: &NamespacedName,
        client: IpAddr,
        policy: &Policy,
        global: &Global,
    ) -> Result<Option<Slot>, u16> {
        if policy.frees(client) {
            return Ok(None);
        }
        let slot = match policy.connections {
            0 => None,
            most => Some(
                self.slot(ingress, client, most)
                    .ok_or(global.limit_connections_status)?,
            ),
        };
        for (kind, rate) in policy.rates() {
            if !self.in_rate((ingress.clone(), client, kind), rate) {
                return Err(global.limit_status);
            }
        }
        Ok(slot)
    }

    fn slot(&self, ingress: &NamespacedName, client: IpAddr, most: u64) -> Option<Slot> {
        let key = (ingress.clone(), client);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(key.clone()).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Slot {
            running: self.running.clone(),
            key,
        })
    }

    fn in_rate(&self, key: Key, rate: Rate) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CLIENT_LIMIT {
            buckets.retain(|_, (bucket, rate)| !bucket.is_empty(*rate, now));
        }
        let before = buckets.get(&key).map(|(bucket, _)| *bucket);
        if before.is_none() && buckets.len() >= CLIENT_LIMIT {
            return false;
        }
        let (after, admitted) = Bucket::admit(before, rate, now);
        buckets.insert(key, (after, rate));
        admitted
    }
}
