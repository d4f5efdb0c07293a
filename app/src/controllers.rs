//! Runs the controllers of `control`: events make keys dirty, a dirty key is reconciled, and what
//! that asks for is sent to the API server as ordinary requests.
//!
//! A key is never reconciled twice at the same time; a refused write brings its key back with a
//! growing delay; a panic in one reconciliation is logged and costs only that attempt.

use apid::Client;
use control::{Context, Controller, Key, Memory, Settings};
use model::{Event, EventKind, Timestamp, Write};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Reconciliations at the same time; more would only queue at the store's one writer.
const AT_ONCE: usize = 32;

/// Deletes that are sent at once, at most: they hold the store's one writer meanwhile.
const DELETES: usize = 256;

/// First and longest delay after a refusal.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(30));

/// A controller by its place in the list, and the key it has to look at.
type Job = (usize, Key);

struct Shared {
    client: Client,
    controllers: Vec<Controller>,
    settings: Settings,
    memory: Memory,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// What `waiting` holds
    queued: BTreeSet<Job>,
    running: BTreeMap<Id, Job>,
    busy: BTreeSet<Job>,
    /// Made dirty while being reconciled
    again: BTreeSet<Job>,
    later: BTreeSet<(Instant, Job)>,
    failures: BTreeMap<Job, u32>,
}

/// Runs until the API server's event stream ends.
pub(crate) async fn run(client: Client, settings: Settings) {
    let controllers = control::controllers(&settings);
    let (objects, mut events) = client.subscribe();
    let shared = Arc::new(Shared {
        client,
        controllers,
        settings,
        memory: Memory::default(),
    });
    let mut queue = Queue::default();
    for object in objects {
        let event = Event {
            kind: EventKind::Added,
            object,
            old: None,
        };
        queue.mark(&shared, &event);
    }
    let mut tasks = JoinSet::new();
    loop {
        queue.start(&shared, &mut tasks);
        let wake = queue.later.first().map(|(at, _)| *at);
        tokio::select! {
            batch = events.recv() => match batch {
                Some(batch) => batch.iter().for_each(|event| queue.mark(&shared, event)),
                None => return,
            },
            Some(done) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                queue.finish(&shared, done);
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                queue.wake(Instant::now());
            }
        }
    }
}

type Done = Result<(Id, Attempt), JoinError>;

/// How a reconciliation ended.
enum Attempt {
    Done { again_in: Option<Duration> },
    Refused(model::ApiError),
}

impl Queue {
    fn mark(&mut self, shared: &Shared, event: &Event) {
        for (index, controller) in shared.controllers.iter().enumerate() {
            for key in (controller.keys)(event, &shared.client) {
                self.push((index, key));
            }
        }
    }

    fn push(&mut self, job: Job) {
        if self.busy.contains(&job) {
            self.again.insert(job);
        } else if self.queued.insert(job.clone()) {
            self.waiting.push_back(job);
        }
    }

    fn start(&mut self, shared: &Arc<Shared>, tasks: &mut JoinSet<Attempt>) {
        while tasks.len() < AT_ONCE {
            let Some(job) = self.waiting.pop_front() else {
                return;
            };
            self.queued.remove(&job);
            self.busy.insert(job.clone());
            let handle = tasks.spawn(reconcile(shared.clone(), job.clone()));
            self.running.insert(handle.id(), job);
        }
    }

    fn finish(&mut self, shared: &Shared, done: Done) {
        let (id, attempt) = match done {
            Ok((id, attempt)) => (id, Some(attempt)),
            // The runtime ends, and its tasks with it.
            Err(error) if error.is_cancelled() => return,
            Err(error) => (error.id(), None),
        };
        let Some(job) = self.running.remove(&id) else {
            return;
        };
        self.busy.remove(&job);
        let name = shared.controllers[job.0].name;
        match attempt {
            Some(Attempt::Done { again_in }) => {
                self.failures.remove(&job);
                if let Some(delay) = again_in {
                    self.later.insert((Instant::now() + delay, job.clone()));
                }
            }
            Some(Attempt::Refused(error)) => {
                tracing::debug!(controller = name, key = %job.1, %error, "will try again");
                self.retry(&job);
            }
            None => {
                tracing::error!(controller = name, key = %job.1, "the controller panicked");
                self.retry(&job);
            }
        }
        if self.again.remove(&job) {
            self.push(job);
        }
    }

    fn retry(&mut self, job: &Job) {
        let count = self.failures.entry(job.clone()).or_default();
        let delay = BACKOFF
            .0
            .saturating_mul(1 << (*count).min(20))
            .min(BACKOFF.1);
        *count = count.saturating_add(1);
        self.later.insert((Instant::now() + delay, job.clone()));
    }

    fn wake(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, job)) = self.later.pop_first() {
                self.push(job);
            }
        }
    }
}

async fn reconcile(shared: Arc<Shared>, (index, key): Job) -> Attempt {
    let outcome = {
        let context = Context {
            view: &shared.client,
            now: now(),
            settings: &shared.settings,
            memory: &shared.memory,
        };
        (shared.controllers[index].reconcile)(&context, &key)
    };
    for group in outcome.writes.chunk_by(is_deleting) {
        for writes in group.chunks(DELETES) {
            if let Err((at, error)) = submit(&shared.client, writes).await {
                tell(&shared, index, &key, &writes[at], &error).await;
                return Attempt::Refused(error);
            }
        }
    }
    Attempt::Done {
        again_in: outcome.again_in,
    }
}

/// Whether two writes may go together: a namespace may ask for thousands of deletes.
fn is_deleting(one: &Write, other: &Write) -> bool {
    matches!((one, other), (Write::Delete { .. }, Write::Delete { .. }))
}

/// Sends one write, or several deletes; an error comes with its place.
async fn submit(client: &Client, writes: &[Write]) -> Result<(), (usize, model::ApiError)> {
    match writes {
        [write] => {
            let sent = client.submit(write.clone()).await;
            sent.map(|_| ()).map_err(|error| (0, error))
        }
        deletes => client.delete_all(deletes.to_vec()).await,
    }
}

/// Lets the controller tell the user of a refusal; a conflict is none, it is just tried again.
async fn tell(shared: &Shared, index: usize, key: &Key, write: &Write, error: &model::ApiError) {
    if error.code == 409 {
        return;
    }
    let outcome = {
        let context = Context {
            view: &shared.client,
            now: now(),
            settings: &shared.settings,
            memory: &shared.memory,
        };
        (shared.controllers[index].refused)(&context, key, write, error)
    };
    for write in outcome.writes {
        if let Err(error) = shared.client.submit(write).await {
            tracing::debug!(%key, %error, "could not tell of a refusal");
        }
    }
}

/// The clock, for controllers that take the time as an input.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
