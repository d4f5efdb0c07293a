//! Questions for other servers: the cache before them, one flight for equal questions, and the
//! choice of a server.

use crate::Settings;
use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::upstream::Upstream;
use dns::{Key, Name, Stored, rtype};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{debug, warn};

/// Tries of one question, over all servers. The last one goes over TCP, for networks that drop
/// UDP.
const TRIES: usize = 3;
/// How long one try may take; all together stay below the 5 s after which resolvers give up.
const TRY: Duration = Duration::from_millis(1300);
/// Seconds for which it is remembered that no server answered.
const FAILURE_SECONDS: u32 = 1;

type Flight = watch::Receiver<Option<Arc<Stored>>>;

/// The way to other servers.
#[derive(Debug)]
pub(crate) struct Forwarder {
    upstreams: Vec<Upstream>,
    cache: Mutex<Cache>,
    flights: Mutex<HashMap<Key, Flight>>,
    /// Names that only an upstream which forwards to us sends back, with its index
    probes: Mutex<HashMap<Name, usize>>,
    random: Random,
    metrics: Arc<Metrics>,
}

impl Forwarder {
    /// A forwarder to the settings' upstreams, save ones that are this server itself.
    pub(crate) fn new(settings: &Settings, local: &[SocketAddr], metrics: Arc<Metrics>) -> Self {
        let others = settings.upstreams.iter().filter(|upstream| {
            let own = is_own(local, **upstream);
            if own {
                warn!(%upstream, "not used as an upstream: this server listens there");
            }
            !own
        });
        Self {
            upstreams: others.map(|address| Upstream::new(*address)).collect(),
            cache: Mutex::new(Cache::new(settings.cache_entries, settings.cache_octets)),
            flights: Mutex::default(),
            probes: Mutex::default(),
            random: Random::default(),
            metrics,
        }
    }

    /// A random number for the order of addresses.
    pub(crate) fn seed(&self) -> u64 {
        self.random.number()
    }

    /// The kept answer and its age in seconds.
    pub(crate) fn cached(&self, key: &Key) -> Option<(Arc<Stored>, u32)> {
        let found = lock(&self.cache).get(key, Instant::now());
        self.metrics
            .cache_lookup(found.as_ref().map(|(stored, _)| stored.is_denial()));
        found
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, key: &Key, stored: Arc<Stored>) {
        let mut cache = lock(&self.cache);
        let evicted = cache.insert(key, stored, Instant::now());
        self.metrics.cache_size(cache.len(), evicted);
    }

    /// Asks the upstreams, or waits for an equal question that is already on its way.
    pub(crate) async fn resolve(self: &Arc<Self>, key: &Key, tcp: bool) -> Arc<Stored> {
        if self.is_probe(key) {
            return Arc::new(dns::failure(0));
        }
        let mut flight = self.flight(key, tcp);
        match flight.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(stored)) => stored.clone(),
            _ => Arc::new(dns::failure(0)),
        }
    }

    fn flight(self: &Arc<Self>, key: &Key, tcp: bool) -> Flight {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let (this, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            let stored = Arc::new(this.exchange(&key, tcp).await);
            this.keep(&key, stored.clone());
            lock(&this.flights).remove(&key);
            // Nobody may be waiting any more.
            let _ = sender.send(Some(stored));
        });
        receiver
    }

    async fn exchange(&self, key: &Key, tcp: bool) -> Stored {
        let order = self.order();
        let mut second_best = None;
        for (index, upstream) in order.iter().cycle().take(TRIES).enumerate() {
            let last = index + 1 == TRIES;
            let Some(stored) = self.try_one(upstream, key, tcp || last).await else {
                continue;
            };
            let failed = matches!(stored.rcode(), rtype::SERVFAIL | rtype::REFUSED);
            if !failed || index + 1 >= order.len().min(TRIES) {
                return stored;
            }
            second_best = Some(stored);
        }
        second_best.unwrap_or_else(|| dns::failure(FAILURE_SECONDS))
    }

    /// One try at one server; a cut answer is asked for again over TCP.
    async fn try_one(&self, upstream: &Upstream, key: &Key, tcp: bool) -> Option<Stored> {
        let start = Instant::now();
        let result = upstream.ask(key, tcp, &self.random, TRY).await;
        let result = match result {
            Ok(cut) if cut.is_truncated() && !tcp => {
                let whole = upstream.ask(key, true, &self.random, TRY).await;
                Ok(whole.unwrap_or(cut))
            }
            other => other,
        };
        let now = Instant::now();
        if upstream.note(result.is_ok(), now) {
            warn!(upstream = %upstream.address, "does not answer");
            self.metrics.healthcheck_failure();
        }
        match result {
            Ok(stored) => {
                self.metrics.upstream(now - start, stored.rcode());
                Some(stored)
            }
            Err(error) => {
                debug!(upstream = %upstream.address, %error, name = %key.name, "no answer");
                None
            }
        }
    }

    /// The servers that are up in their order; all of them when none is.
    fn order(&self) -> Vec<&Upstream> {
        let now = Instant::now();
        let usable = || {
            let all = self.upstreams.iter();
            all.filter(|upstream| !upstream.looped.load(Ordering::Relaxed))
        };
        let up: Vec<_> = usable().filter(|upstream| upstream.is_up(now)).collect();
        if up.is_empty() {
            self.metrics.healthcheck_broken();
            return usable().collect();
        }
        up
    }

    /// Asks each upstream for a name that is known here only. If that question comes back, the
    /// upstream forwards to this server.
    pub(crate) async fn probe(self: Arc<Self>) {
        for (index, upstream) in self.upstreams.iter().enumerate() {
            let (a, b) = (self.random.number(), self.random.number());
            let Ok(name) = Name::parse(&format!("{a:016x}.{b:016x}.")) else {
                continue;
            };
            lock(&self.probes).insert(name.clone(), index);
            let key = Key {
                name: name.clone(),
                qtype: rtype::HINFO,
                dnssec: false,
                checking_disabled: false,
            };
            let answer = upstream.ask(&key, false, &self.random, TRY).await;
            debug!(upstream = %upstream.address, answered = answer.is_ok(), "probed for a loop");
            lock(&self.probes).remove(&name);
        }
    }

    fn is_probe(&self, key: &Key) -> bool {
        if key.qtype != rtype::HINFO {
            return false;
        }
        let probed = lock(&self.probes).get(&key.name).copied();
        let Some(upstream) = probed.and_then(|index| self.upstreams.get(index)) else {
            return false;
        };
        if !upstream.looped.swap(true, Ordering::Relaxed) {
            let address = upstream.address;
            warn!(upstream = %address, "not used any more: it forwards to this server");
        }
        true
    }
}

fn is_own(local: &[SocketAddr], upstream: SocketAddr) -> bool {
    local.iter().any(|own| {
        let here = own.ip() == upstream.ip();
        let everywhere = own.ip().is_unspecified() && upstream.ip().is_loopback();
        own.port() == upstream.port() && (here || everywhere)
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
