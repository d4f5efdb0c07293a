//! Where writes meet the disk: one engine under a lock, one thread that makes its changes durable
//! in groups, then shows them to readers, then lets the writers answer.

use crate::clock;
use crate::metrics::Metrics;
use crate::store::Store;
use api::{Committed, Engine, Env, Outcome, Request, Settings, answer};
use model::{ApiError, Event, EventNote, Object, Resource};
use schema::Registry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{mpsc, oneshot, watch};

/// Events of one commit, in order.
pub type Batch = Arc<[Event]>;

struct Writer {
    engine: Engine,
    batch: Vec<Event>,
    /// The kinds after the batch, when it changes them
    registry: Option<Registry>,
    waiting: Vec<oneshot::Sender<bool>>,
    stop: bool,
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
    failed: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
                batch: Vec::new(),
                registry: None,
                waiting: Vec::new(),
                stop: false,
            }),
            wake: Condvar::new(),
            committed: RwLock::new(committed),
            subscribers: Mutex::new(Vec::new()),
            version: watch::Sender::new(version),
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
        if self.failed.load(Ordering::Acquire) {
            return Err(answer::internal(
                "the store has failed; see the server's log",
            ));
        }
        let (result, done) = {
            let mut writer = locked(&self.writer);
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
                writer.registry = Some(writer.engine.registry().clone());
            }
            writer.batch.extend(events);
            // An answer may show state that others wrote and that is not durable yet.
            if writer.engine.version() == *self.version.borrow() {
                return Ok(result);
            }
            let (tell, done) = oneshot::channel();
            writer.waiting.push(tell);
            self.wake.notify_one();
            (result, done)
        };
        match done.await {
            Ok(true) => Ok(result),
            _ => Err(answer::internal(
                "the store has failed; see the server's log",
            )),
        }
    }

    /// Makes changes durable until the hub is stopped.
    pub(crate) fn run(&self, store: &Store) {
        loop {
            let (batch, registry, waiting) = {
                let mut writer = locked(&self.writer);
                while writer.batch.is_empty() && writer.waiting.is_empty() && !writer.stop {
                    writer = self
                        .wake
                        .wait(writer)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                if writer.batch.is_empty() && writer.waiting.is_empty() {
                    return;
                }
                (
                    std::mem::take(&mut writer.batch),
                    writer.registry.take(),
                    std::mem::take(&mut writer.waiting),
                )
            };
            let good = batch.is_empty() || self.commit(store, batch, registry);
            for waiter in waiting {
                // A client that went away is nobody's loss.
                let _ = waiter.send(good);
            }
            if !good {
                return;
            }
        }
    }

    fn commit(&self, store: &Store, batch: Vec<Event>, registry: Option<Registry>) -> bool {
        if let Err(error) = store.commit(&batch) {
            tracing::error!(%error, "cannot write to the store; no more writes are taken");
            self.failed.store(true, Ordering::Release);
            locked(&self.writer).waiting.clear();
            return false;
        }
        self.metrics.commits.fetch_add(1, Ordering::Relaxed);
        self.metrics
            .changes
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let batch: Batch = batch.into();
        let version = {
            let mut committed = self
                .committed
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            committed.publish(&batch);
            if let Some(registry) = registry {
                committed.set_registry(registry);
            }
            // Under the same lock, so that a new subscriber misses nothing and sees nothing twice.
            locked(&self.subscribers).retain(|subscriber| subscriber.send(batch.clone()).is_ok());
            committed.version()
        };
        self.version.send_replace(version);
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

    /// Tells of each new committed version.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
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
