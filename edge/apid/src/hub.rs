//! Where writes meet the disk: one engine under a lock, one thread that makes its changes durable
//! in groups, then shows them to readers, then lets the writers answer.
//!
//! When the disk takes no more, writes are refused and reads go on. The engine's state is then
//! ahead of the disk and is thrown away; once the store opens again, a new engine starts from what
//! was committed.

use crate::clock;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};
use api::{Committed, Engine, Env, Outcome, Request, Settings, answer};
use model::{ApiError, Event, EventNote, Object, Resource};
use schema::Registry;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Events of one commit, in order.
pub type Batch = Arc<[Event]>;

/// So long after the last commit the store is sealed.
const REST: Duration = Duration::from_millis(100);
/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_millis(500);

type Answer = Result<(), ApiError>;

struct Writer {
    engine: Engine,
    group: Group,
    /// Why no writes are taken
    refusal: Option<ApiError>,
    stop: bool,
}

/// What goes to the disk at once.
#[derive(Default)]
struct Group {
    events: Vec<Event>,
    /// The kinds after the events, when they change them
    registry: Option<Registry>,
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.waiting.is_empty()
    }
}

/// State and history of the cluster, shared by all requests.
pub(crate) struct Hub {
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    writer: Mutex<Writer>,
    wake: Condvar,
    committed: RwLock<Committed>,
    subscribers: Mutex<Vec<mpsc::UnboundedSender<Batch>>>,
    version: watch::Sender<u64>,
    /// Told of each commit that changes the resource
    changed: Mutex<BTreeMap<Resource, watch::Sender<()>>>,
    failed: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken() -> ApiError {
    answer::internal("the store has failed; see the server's log")
}

/// 507 while there is no room; 500 when only a restart helps.
fn refusal(error: &StoreError) -> ApiError {
    if error.is_full() {
        return ApiError::new(507, "", format!("the write was not stored: {error}"));
    }
    broken()
}

impl Hub {
    /// Starts from what was on disk; `run` must be called on a thread of its own.
    pub(crate) fn new(settings: Settings, engine: Engine, committed: Committed) -> Self {
        let version = committed.version();
        Self {
            settings,
            metrics: Metrics::default(),
            writer: Mutex::new(Writer {
                engine,
                group: Group::default(),
                refusal: None,
                stop: false,
            }),
            wake: Condvar::new(),
            committed: RwLock::new(committed),
            subscribers: Mutex::new(Vec::new()),
            version: watch::Sender::new(version),
            changed: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    /// Applies a write and answers once it is durable and visible.
    pub(crate) async fn write(&self, request: &Request) -> Result<Outcome, ApiError> {
        self.durable(
            |engine, env| engine.handle(request, env),
            |outcome| std::mem::take(&mut outcome.events),
        )
        .await
    }

    /// Applies several writes, each of which may be refused, in one commit.
    pub(crate) async fn write_all(
        &self,
        requests: &[Request],
    ) -> Result<Vec<Result<Outcome, ApiError>>, ApiError> {
        let events = |outcomes: &mut Vec<Result<Outcome, ApiError>>| {
            let done = outcomes.iter_mut().flatten();
            done.flat_map(|outcome| std::mem::take(&mut outcome.events))
                .collect()
        };
        let apply = |engine: &mut Engine, env: &Env<'_>| {
            let each = requests.iter();
            Ok(each.map(|request| engine.handle(request, env)).collect())
        };
        self.durable(apply, events).await
    }

    /// Records a note as an Event.
    pub(crate) async fn note(&self, note: &EventNote) -> Result<(), ApiError> {
        self.durable(|engine, env| engine.note(note, env), std::mem::take)
            .await?;
        Ok(())
    }

    /// Stores objects as the server itself states them, without the checks that users meet; all in
    /// one commit.
    pub(crate) async fn seed(
        &self,
        objects: Vec<(model::Resource, serde_json::Value)>,
    ) -> Result<(), ApiError> {
        let apply = |engine: &mut Engine, env: &Env<'_>| {
            let mut events = Vec::new();
            for (resource, value) in objects {
                events.extend(engine.seed(resource, value, env)?);
            }
            Ok(events)
        };
        self.durable(apply, std::mem::take).await?;
        Ok(())
    }

    async fn durable<T>(
        &self,
        apply: impl FnOnce(&mut Engine, &Env<'_>) -> Result<T, ApiError>,
        events: impl FnOnce(&mut T) -> Vec<Event>,
    ) -> Result<T, ApiError> {
        let (result, done) = {
            let mut writer = locked(&self.writer);
            let writer = &mut *writer;
            if let Some(refusal) = &writer.refusal {
                return Err(refusal.clone());
            }
            let env = Env {
                now: clock::now(),
                random: &clock::random,
                settings: &self.settings,
            };
            let mut result = apply(&mut writer.engine, &env)?;
            let events = events(&mut result);
            if events
                .iter()
                .any(|e| e.object.resource == Resource::DEFINITIONS)
            {
                writer.group.registry = Some(writer.engine.registry().clone());
            }
            writer.group.events.extend(events);
            // An answer may show state that others wrote and that is not durable yet.
            if writer.engine.version() == *self.version.borrow() {
                return Ok(result);
            }
            let (tell, done) = oneshot::channel();
            writer.group.waiting.push(tell);
            self.wake.notify_one();
            (result, done)
        };
        done.await.unwrap_or_else(|_| Err(broken()))?;
        Ok(result)
    }

    /// Makes changes durable until the hub is stopped.
    pub(crate) fn run(&self, mut store: Store) {
        while let Some(mut group) = self.next(&mut store) {
            match self.commit(&mut store, &group) {
                Ok(()) => {
                    self.publish(&mut group);
                    for waiter in group.waiting {
                        // A client that went away is nobody's loss.
                        let _ = waiter.send(Ok(()));
                    }
                }
                Err(error) => {
                    self.refuse(&error, &mut group);
                    if !error.is_full() || !self.recover(&mut store, group) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for the next group; seals the store when none comes. `None` once there are no more.
    fn next(&self, store: &mut Store) -> Option<Group> {
        let mut writer = locked(&self.writer);
        loop {
            if !writer.group.is_empty() {
                return Some(std::mem::take(&mut writer.group));
            }
            if writer.stop {
                return None;
            }
            if !store.wants_seal() {
                let woken = self.wake.wait(writer);
                writer = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let woken = self.wake.wait_timeout(writer, REST);
            let (guard, rest) = woken.unwrap_or_else(PoisonError::into_inner);
            writer = guard;
            if rest.timed_out() && writer.group.is_empty() {
                drop(writer);
                if let Err(error) = store.seal() {
                    // The next write finds the store closed, and tells.
                    tracing::warn!(%error, "cannot seal the store");
                }
                writer = locked(&self.writer);
            }
        }
    }

    fn commit(&self, store: &mut Store, group: &Group) -> Result<(), StoreError> {
        if group.events.is_empty() {
            return Ok(());
        }
        catch_unwind(AssertUnwindSafe(|| store.commit(&group.events)))
            .unwrap_or_else(|_| Err(store.panicked()))
    }

    /// Shows what is durable to readers and watchers.
    fn publish(&self, group: &mut Group) {
        if group.events.is_empty() {
            return;
        }
        let batch: Batch = std::mem::take(&mut group.events).into();
        self.metrics.commits.fetch_add(1, Ordering::Relaxed);
        self.metrics
            .changes
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let version = {
            let mut committed = self
                .committed
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            committed.publish(&batch);
            if let Some(registry) = group.registry.take() {
                committed.set_registry(registry);
            }
            // Under the same lock, so that a new subscriber misses nothing and sees nothing twice.
            locked(&self.subscribers).retain(|subscriber| subscriber.send(batch.clone()).is_ok());
            committed.version()
        };
        self.version.send_replace(version);
        self.tell_watchers(&batch);
    }

    fn tell_watchers(&self, batch: &[Event]) {
        let mut changed = locked(&self.changed);
        let mut last = None;
        for event in batch {
            let resource = event.object.resource;
            // Most batches are of one resource; telling twice does no harm.
            if last.replace(resource) != Some(resource)
                && let Some(tell) = changed.get(&resource)
                && tell.send(()).is_err()
            {
                changed.remove(&resource);
            }
        }
    }

    /// Refuses what waits and what comes.
    fn refuse(&self, error: &StoreError, group: &mut Group) {
        tracing::error!(%error, "cannot write to the store: writes are refused");
        let refusal = refusal(error);
        self.failed.store(true, Ordering::Release);
        let mut writer = locked(&self.writer);
        writer.refusal = Some(refusal.clone());
        let later = std::mem::take(&mut writer.group);
        drop(writer);
        for waiter in group.waiting.drain(..).chain(later.waiting) {
            let _ = waiter.send(Err(refusal.clone()));
        }
    }

    /// Opens the store again once there is room; false when the hub is stopped before that.
    fn recover(&self, store: &mut Store, mut lost: Group) -> bool {
        let version = loop {
            let writer = locked(&self.writer);
            let stopped = |writer: &mut Writer| !writer.stop;
            let waited = self.wake.wait_timeout_while(writer, RETRY, stopped);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stop {
                return false;
            }
            match store.reopen() {
                Ok(version) => break version,
                Err(error) => tracing::debug!(%error, "the store does not open yet"),
            }
        };
        if version > self.committed().version() {
            // It was on the disk after all: only its answer was lost.
            self.publish(&mut lost);
        }
        let engine = {
            let committed = self.committed();
            Engine::new(committed.state().clone(), committed.version())
        };
        let mut writer = locked(&self.writer);
        writer.engine = engine;
        writer.refusal = None;
        self.failed.store(false, Ordering::Release);
        tracing::warn!("the store takes writes again");
        true
    }

    /// Lets `run` end once everything is written.
    pub(crate) fn stop(&self) {
        locked(&self.writer).stop = true;
        self.wake.notify_all();
    }

    /// The committed state.
    pub(crate) fn committed(&self) -> RwLockReadGuard<'_, Committed> {
        self.committed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The kinds that are served.
    pub(crate) fn registry(&self) -> Registry {
        self.committed().registry().clone()
    }

    /// Tells of each commit that changes a resource.
    pub(crate) fn changes(&self, resource: Resource) -> watch::Receiver<()> {
        let mut changed = locked(&self.changed);
        changed.entry(resource).or_default().subscribe()
    }

    /// Whether writes are taken.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    /// All objects, and every later change in order.
    pub(crate) fn subscribe(&self) -> (Vec<Arc<Object>>, mpsc::UnboundedReceiver<Batch>) {
        let committed = self.committed();
        let (tell, receiver) = mpsc::unbounded_channel();
        locked(&self.subscribers).push(tell);
        (committed.state().all().cloned().collect(), receiver)
    }
}

#[cfg(test)]
mod tests;
