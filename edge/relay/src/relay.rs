//! The relay as its owner sees it.

use crate::Metrics;
use crate::bind::{self, Bound};
use crate::handover::Handover;
use crate::metrics::{add, subtract};
use crate::problems::{Failures, Unbound};
use crate::tcp;
use crate::udp;
use arc_swap::ArcSwap;
use model::{NamespacedName, Problem, Protocol};
use proxy::{Balancer, Change, Changes, Frontend, Route};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// Limits of a relay; every one of them bounds memory.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Node that Problems about the machine are reported on
    pub node_name: String,
    /// Most TCP connections open at once; further ones are reset. Each takes two descriptors.
    pub max_connections: usize,
    /// Most UDP clients of one frontend; the longest silent makes room for a new one
    pub max_udp_sessions: usize,
    /// A UDP client that neither sent nor got anything for so long is forgotten
    pub udp_idle: Duration,
    /// How long one backend may take to accept a connection
    pub connect_timeout: Duration,
    /// How often listeners that could not be opened are tried again
    pub retry: Duration,
    /// Who carries connections on; `None` connects to the backends
    pub handover: Option<Handover>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_name: "portolan".to_owned(),
            max_connections: 4096,
            max_udp_sessions: 1024,
            udp_idle: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            retry: Duration::from_secs(1),
            handover: None,
        }
    }
}

/// A running relay; a clone is another handle to it.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// What connections need of the relay.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) stop: watch::Sender<bool>,
    born: Instant,
}

impl Shared {
    /// Monotonic time, as balancers take it.
    pub(crate) fn now(&self) -> Duration {
        self.born.elapsed()
    }
}

#[derive(Default)]
struct State {
    doors: BTreeMap<Frontend, Door>,
    balancers: BTreeMap<PortId, Weak<Mutex<Balancer>>>,
    failures: Failures,
    closed: bool,
}

/// Service, port name and protocol: what shares one balancer.
type PortId = (NamespacedName, String, Protocol);

/// One frontend, whether it listens or not.
struct Door {
    target: Arc<Target>,
    task: Option<AbortHandle>,
}

/// What a listener needs to know; the route is swapped under it.
pub(crate) struct Target {
    /// Where the listener is
    pub(crate) frontend: Frontend,
    pub(crate) route: ArcSwap<Route>,
    pub(crate) balancer: ArcSwap<Mutex<Balancer>>,
}

impl Relay {
    /// A relay that listens on nothing yet. Must be called within a tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let shared = Shared {
            permits: Arc::new(Semaphore::new(settings.max_connections)),
            settings,
            metrics: Metrics::default(),
            stop: watch::channel(false).0,
            born: Instant::now(),
        };
        let inner = Arc::new(Inner {
            shared: Arc::new(shared),
            state: Mutex::default(),
        });
        tokio::spawn(retry(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Takes the steps in their order. A listener that cannot be opened leaves a Problem and is
    /// tried again until it can, or is no longer wanted.
    pub fn apply(&self, changes: &Changes) {
        let mut state = self.inner.state();
        if state.closed {
            return;
        }
        for step in &changes.steps {
            match step {
                Change::Close(frontend) => self.inner.close(&mut state, frontend),
                Change::Redirect(frontend, route) | Change::Open(frontend, route) => {
                    self.inner.direct(&mut state, *frontend, route);
                }
            }
        }
        state
            .balancers
            .retain(|_, balancer| balancer.strong_count() > 0);
    }

    /// The routes in force, for `proxy::diff`.
    pub fn observed(&self) -> BTreeMap<Frontend, Arc<Route>> {
        let state = self.inner.state();
        let doors = state.doors.iter();
        doors
            .map(|(frontend, door)| (*frontend, door.target.route.load_full()))
            .collect()
    }

    /// What keeps frontends from listening.
    pub fn problems(&self) -> Vec<Problem> {
        let state = self.inner.state();
        let routes = |frontend: &Frontend| {
            let door = state.doors.get(frontend)?;
            Some(door.target.route.load_full())
        };
        state
            .failures
            .problems(&self.inner.shared.settings.node_name, routes)
    }

    /// The relay's counters.
    pub fn metrics(&self) -> String {
        self.inner.shared.metrics.render()
    }

    /// Stops to listen and ends every connection.
    pub fn shutdown(&self) {
        let mut state = self.inner.state();
        state.closed = true;
        let frontends: Vec<Frontend> = state.doors.keys().copied().collect();
        for frontend in frontends {
            self.inner.close(&mut state, &frontend);
        }
        self.inner.shared.stop.send_replace(true);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, state: &mut State, frontend: &Frontend) {
        state.failures.forget(frontend);
        if let Some(mut door) = state.doors.remove(frontend) {
            self.shut(&mut door);
        }
    }

    fn shut(&self, door: &mut Door) {
        if let Some(task) = door.task.take() {
            task.abort();
            subtract(&self.shared.metrics.listeners, 1);
        }
    }

    fn direct(&self, state: &mut State, frontend: Frontend, route: &Arc<Route>) {
        let balancer = balancer(state, frontend.protocol, route);
        let door = state.doors.entry(frontend).or_insert_with(|| Door {
            target: Arc::new(Target {
                frontend,
                route: ArcSwap::new(route.clone()),
                balancer: ArcSwap::new(balancer.clone()),
            }),
            task: None,
        });
        door.target.route.store(route.clone());
        door.target.balancer.store(balancer);
        if route.backends.is_empty() {
            state.failures.forget(&frontend);
            self.shut(door);
        } else if door.task.is_none() {
            self.open(state, frontend);
        }
    }

    /// Opens the listener of a door that has none.
    fn open(&self, state: &mut State, frontend: Frontend) {
        let Some(door) = state.doors.get_mut(&frontend) else {
            return;
        };
        match bind::listen(frontend) {
            Ok(bound) => {
                state.failures.forget(&frontend);
                add(&self.shared.metrics.listeners, 1);
                door.task = Some(self.serve(bound, &door.target));
            }
            Err(error) => {
                add(&self.shared.metrics.bind_failures, 1);
                state.failures.note(frontend, Unbound::from(&error));
            }
        }
    }

    fn serve(&self, bound: Bound, target: &Arc<Target>) -> AbortHandle {
        let (target, shared) = (target.clone(), self.shared.clone());
        let task = match bound {
            Bound::Tcp(listener) => tokio::spawn(tcp::accept(listener, target, shared)),
            Bound::Udp(socket) => tokio::spawn(udp::serve(socket, target, shared)),
        };
        task.abort_handle()
    }

    fn retry(&self) {
        let mut state = self.state();
        for frontend in state.failures.to_retry() {
            self.open(&mut state, frontend);
        }
    }
}

/// Tries failed listeners again, for as long as somebody holds the relay.
async fn retry(inner: Weak<Inner>) {
    loop {
        let Some(pause) = inner.upgrade().map(|inner| inner.shared.settings.retry) else {
            return;
        };
        tokio::time::sleep(pause).await;
        match inner.upgrade() {
            Some(inner) => inner.retry(),
            None => return,
        }
    }
}

fn balancer(state: &mut State, protocol: Protocol, route: &Route) -> Arc<Mutex<Balancer>> {
    let id = (route.service.clone(), route.port_name.clone(), protocol);
    if let Some(known) = state.balancers.get(&id).and_then(Weak::upgrade) {
        return known;
    }
    let made = Arc::new(Mutex::new(Balancer::default()));
    state.balancers.insert(id, Arc::downgrade(&made));
    made
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for door in state.doors.values_mut() {
            if let Some(task) = door.task.take() {
                task.abort();
            }
        }
        self.shared.stop.send_replace(true);
    }
}
