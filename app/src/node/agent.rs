//! The agent: a thread that owns the ruleset of one network namespace and keeps it as planned.
//!
//! ```text
//! shared Snapshot + ChangedKeys ─► RulesetPlanner ─► Transaction ─► kernel
//!                                        └► flushes of connection tracking
//! ```
//!
//! Whoever takes events in writes them into the shared Snapshot and then tells the agent which keys
//! changed. The agent reads the Snapshot under its lock, so that nothing is parsed or kept twice,
//! and one changed endpoint costs what one endpoint costs.
//!
//! At its start the agent reads what is in the kernel and changes the difference alone, so that
//! connections live through a restart. When somebody else changes the table it is read and
//! repaired. What the kernel refuses is set aside, told, and tried again with a growing delay.

mod flush;
mod forget;
mod rules;
mod shortcut;
mod worker;

pub(crate) use shortcut::AUTO;

use crate::node::metrics::NodeMetrics;
use kernel::netns::Namespace;
use kernel::nftables::Table;
use model::{ChangedKeys, Problem, Snapshot};
use proxy::Changes;
use proxy::kernel::{HealthPort, NodeSettings, RulesetPlanner};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// The Snapshot that all data planes of a process read. Its writer holds the lock for one batch;
/// nobody holds it across an await.
pub(crate) type SharedSnapshot = Arc<RwLock<Snapshot>>;

/// Name of the table.
pub(crate) const TABLE: &str = "portolan";

/// How an agent is started.
pub(crate) struct AgentOptions {
    /// Network namespace to act in; `None` for the process's own
    pub(crate) namespace: Option<Namespace>,
    /// What the plan depends on
    pub(crate) settings: NodeSettings,
    /// How often the whole is compared even when nothing told of a foreign change
    pub(crate) check_every: Option<Duration>,
    /// Whether the Snapshot holds everything already; otherwise nothing is done to the kernel before
    /// the first [`Agent::changed`]
    pub(crate) begin: bool,
    /// Least time between two transactions; changes in between are merged
    pub(crate) min_sync_period: Duration,
    /// Told what happens, on the agent's thread
    pub(crate) notify: Box<dyn Fn(AgentNotice) + Send>,
    /// Cgroup whose sockets connect hooks lead ([`AUTO`] for the whole machine's); `None` for none
    pub(crate) socket_lb: Option<PathBuf>,
    /// Measurements
    pub(crate) metrics: Arc<NodeMetrics>,
}

impl AgentOptions {
    /// An agent that begins with what is in the Snapshot, and tells nobody.
    pub(crate) fn new(namespace: Option<Namespace>, settings: NodeSettings) -> Self {
        Self {
            namespace,
            settings,
            check_every: None,
            begin: true,
            min_sync_period: Duration::ZERO,
            notify: Box::new(|_| {}),
            socket_lb: None,
            metrics: Arc::new(NodeMetrics::default()),
        }
    }
}

/// What an agent tells as it happens.
#[derive(Clone, Debug)]
pub(crate) enum AgentNotice {
    /// The kernel holds what was planned, for the first time
    Synced,
    /// Somebody else had changed the table; so many steps brought it back
    Repaired {
        /// Steps
        steps: usize,
        /// Program and process that did it, as far as the kernel says
        by: String,
    },
    /// The kernel refuses something; everything else is in place
    Refused(Vec<String>),
    /// [`Report::health`] changed
    Health,
    /// What changed for the relay of NodePorts on loopback addresses
    Localhost(Changes),
}

/// How it goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What is wrong with Services
    pub(crate) problems: Vec<Problem>,
    /// What the kernel does not take at the moment
    pub(crate) refused: Vec<String>,
    /// Servers that should listen on `spec.healthCheckNodePort`s
    pub(crate) health: BTreeMap<u16, HealthPort>,
    /// Whether the kernel has held all that was planned at least once
    pub(crate) synced: bool,
    /// Foreign changes that were repaired since the start
    pub(crate) repairs: u64,
}

/// Changes that are in the Snapshot by now.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Which objects
    pub(crate) keys: ChangedKeys,
    /// When what led to them happened, in microseconds since the epoch
    /// (`endpoints.kubernetes.io/last-change-trigger-time`)
    pub(crate) triggers: Vec<i64>,
}

impl From<ChangedKeys> for Told {
    fn from(keys: ChangedKeys) -> Self {
        Self {
            keys,
            triggers: Vec::new(),
        }
    }
}

type Question = Box<dyn FnOnce(&RulesetPlanner, &mut Table) + Send>;

enum Message {
    Changed(Told),
    Settings(Box<NodeSettings>),
    /// Somebody else changed the table
    Foreign(String),
    Ask(Question),
    Stop {
        clean: bool,
    },
}

/// A running agent. It stops, and leaves the kernel as it is, when it is dropped.
pub(crate) struct Agent {
    inbox: Sender<Message>,
    report: Arc<Mutex<Report>>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts the thread and waits until it has reached the kernel.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or the kernel has no nf_tables for us.
    pub(crate) fn start(options: AgentOptions, snapshot: SharedSnapshot) -> anyhow::Result<Self> {
        let (inbox, messages) = channel();
        let report = Arc::new(Mutex::new(Report::default()));
        let (ready, begun) = channel();
        let (watch, told) = (inbox.clone(), report.clone());
        let thread = std::thread::Builder::new()
            .name("node-agent".to_owned())
            .spawn(move || {
                let worker = worker::Worker::open(options, snapshot, told, watch);
                match worker {
                    Ok(mut worker) => {
                        let _ = ready.send(Ok(()));
                        worker.run(&messages);
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            })?;
        begun.recv()??;
        Ok(Self {
            inbox,
            report,
            thread: Some(thread),
        })
    }

    /// Tells of changes. Never waits; bursts are merged. The first call, which may tell of
    /// nothing, plans all that is in the Snapshot and brings the kernel there.
    pub(crate) fn changed(&self, told: impl Into<Told>) {
        let _ = self.inbox.send(Message::Changed(told.into()));
    }

    /// Goes over to other settings.
    pub(crate) fn set_settings(&self, settings: NodeSettings) {
        let _ = self.inbox.send(Message::Settings(Box::new(settings)));
    }

    /// How it goes.
    pub(crate) fn report(&self) -> Report {
        lock(&self.report).clone()
    }

    /// Asks on the agent's thread, after all that was told before; `None` when it has ended.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&RulesetPlanner, &mut Table) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = channel();
        let question: Question = Box::new(move |planner, table| {
            let _ = answer.send(question(planner, table));
        });
        self.inbox.send(Message::Ask(question)).ok()?;
        answered.recv().ok()
    }

    /// Ends the thread and waits for it; with `clean` the table is removed from the kernel.
    pub(crate) fn stop(mut self, clean: bool) {
        self.end(clean);
    }

    fn end(&mut self, clean: bool) {
        let _ = self.inbox.send(Message::Stop { clean });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
