//! The thread itself.

mod first;

use super::forget::Forgetter;
use super::rules::{self, Outcome};
use super::shortcut::Shortcut;
use super::{AgentNotice, AgentOptions, Message, Report, SharedSnapshot, TABLE, Told, lock};
use crate::node::metrics::{NodeMetrics, seconds};
use anyhow::Context;
use kernel::conntrack::Conntrack;
use kernel::netns::Namespace;
use kernel::nftables::{Table, Watch};
use model::{ChangedKeys, Resource, Snapshot};
use nft::Transaction;
use proxy::kernel::{NodeSettings, RulesetPlanner, Update};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What comes from elsewhere is collected for so long before it is repaired.
const SETTLE: Duration = Duration::from_millis(100);
/// The longest of the growing delays, of repairs and of retries.
const LONGEST: Duration = Duration::from_secs(30);
/// Chains that fell out of use are removed after so long.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// How often the watching thread looks whether it is still needed.
const WATCH_STEP: Duration = Duration::from_millis(500);
/// Problems are looked for among all Services, so not with each change.
const PROBLEMS: Duration = Duration::from_millis(300);
/// Without anything else to do, the thread looks up this often.
const IDLE: Duration = Duration::from_secs(3600);

pub(super) struct Worker {
    planner: RulesetPlanner,
    snapshot: SharedSnapshot,
    table: Table,
    forgetter: Forgetter,
    report: Arc<Mutex<Report>>,
    notify: Box<dyn Fn(AgentNotice) + Send>,
    metrics: Arc<NodeMetrics>,
    shortcut: Shortcut,
    /// The kernel holds what the planner planned, as far as we know
    in_step: bool,
    begun: bool,
    begin: bool,
    /// When the whole is compared, and why not at once
    compare_at: Option<Instant>,
    leftovers_at: Option<Instant>,
    problems_at: Option<Instant>,
    check_every: Option<Duration>,
    /// Number of changes of all tables, if ours are the only ones since the whole was compared
    generation: Option<u32>,
    min_sync_period: Duration,
    last_sync: Option<Instant>,
    failures: u32,
    foreign: Option<String>,
    /// Repairs of late, for the delay of the next
    fights: u32,
    last_fight: Option<Instant>,
    stopped: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn open(
        options: AgentOptions,
        snapshot: SharedSnapshot,
        report: Arc<Mutex<Report>>,
        inbox: Sender<Message>,
    ) -> anyhow::Result<Self> {
        if let Some(namespace) = &options.namespace {
            Namespace::move_thread(namespace).context("cannot enter the network namespace")?;
        }
        let mut table = Table::open(TABLE).context("netfilter")?;
        table
            .generation()
            .context("nf_tables (CAP_NET_ADMIN and a kernel with CONFIG_NF_TABLES are needed)")?;
        let stopped = Arc::new(AtomicBool::new(false));
        let watch = Watch::open(&mut table).context("changes of nf_tables")?;
        watch_foreign(watch, inbox, stopped.clone())?;
        let conntrack = Conntrack::open().context("connection tracking")?;
        let shortcut = Shortcut::open(options.socket_lb.as_deref());
        let settings = NodeSettings {
            connect_hooks: shortcut.is_on(),
            ..options.settings
        };
        Ok(Self {
            planner: RulesetPlanner::new(settings),
            snapshot,
            table,
            forgetter: Forgetter::start(conntrack, options.metrics.clone())?,
            report,
            notify: options.notify,
            metrics: options.metrics,
            shortcut,
            in_step: false,
            begun: false,
            begin: options.begin,
            compare_at: None,
            leftovers_at: None,
            problems_at: None,
            check_every: options.check_every,
            generation: None,
            min_sync_period: options.min_sync_period,
            last_sync: None,
            failures: 0,
            foreign: None,
            fights: 0,
            last_fight: None,
            stopped,
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        if self.begin {
            self.take(Told::default());
        }
        loop {
            match messages.recv_timeout(self.wait()) {
                Ok(Message::Changed(mut told)) => {
                    let then = self.collect(&mut told, messages);
                    self.take(told);
                    if let Some(message) = then
                        && !self.other(message)
                    {
                        return;
                    }
                }
                Ok(message) => {
                    if !self.other(message) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.due();
        }
    }

    fn wait(&self) -> Duration {
        let next = [self.compare_at, self.leftovers_at, self.problems_at]
            .into_iter()
            .flatten()
            .min();
        next.map_or(IDLE, |next| next.saturating_duration_since(Instant::now()))
    }

    /// Merges what has queued up; gives back the first message that is something else.
    fn collect(&mut self, told: &mut Told, messages: &Receiver<Message>) -> Option<Message> {
        let pause = self
            .last_sync
            .map(|last| self.min_sync_period.saturating_sub(last.elapsed()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            std::thread::sleep(pause);
        }
        loop {
            match messages.try_recv() {
                Ok(Message::Changed(more)) => {
                    told.keys.merge(more.keys);
                    told.triggers.extend(more.triggers);
                }
                Ok(other) => return Some(other),
                Err(_) => return None,
            }
        }
    }

    /// False when it is time to end.
    fn other(&mut self, message: Message) -> bool {
        match message {
            Message::Changed(told) => self.take(told),
            Message::Settings(settings) => self.set_settings(*settings),
            Message::Foreign(by) => self.foreign(by),
            Message::Ask(question) => question(&self.planner, &mut self.table),
            Message::Stop { clean } => {
                self.stopped.store(true, Ordering::Relaxed);
                if clean && let Err(error) = self.table.delete() {
                    tracing::warn!(%error, "the table cannot be removed");
                }
                return false;
            }
        }
        true
    }

    fn take(&mut self, mut told: Told) {
        let started = Instant::now();
        if self.begun {
            let update = {
                let snapshot = read(&self.snapshot);
                self.planner.update(&snapshot, &told.keys)
            };
            self.apply(update, started);
        } else {
            self.begun = true;
            self.first(&mut told, started);
        }
        self.programmed(&told);
    }

    fn set_settings(&mut self, mut settings: NodeSettings) {
        settings.connect_hooks = self.shortcut.is_on();
        if *self.planner.settings() == settings {
            return;
        }
        let started = Instant::now();
        let update = {
            let snapshot = read(&self.snapshot);
            self.planner.set_settings(&snapshot, settings)
        };
        if self.begun {
            self.apply(update, started);
        }
    }

    fn apply(&mut self, update: Update, started: Instant) {
        let health_changed = update.health_changed;
        let transaction = self.hand_on(update);
        if health_changed {
            self.tell_health();
        }
        if self.in_step {
            match self.table.apply(&transaction) {
                Ok(()) => {
                    self.counted(&transaction);
                    self.synced(started, false);
                }
                Err(error) => {
                    tracing::debug!(%error, "a transaction was refused");
                    self.in_step = false;
                    self.compare_at = Some(Instant::now());
                }
            }
        }
        self.look_up();
    }

    /// Keeps or hands on what is not for the table, and gives what is.
    fn hand_on(&mut self, update: Update) -> Transaction {
        self.forgetter.plan(update.flush);
        self.shortcut.add(update.hooks);
        if !update.localhost.steps.is_empty() {
            (self.notify)(AgentNotice::Localhost(update.localhost));
        }
        update.transaction
    }

    fn tell_health(&mut self) {
        lock(&self.report).health = self.planner.health_ports().clone();
        (self.notify)(AgentNotice::Health);
    }

    /// After each change: sees what is due.
    fn look_up(&mut self) {
        self.leftovers();
        self.problems_at
            .get_or_insert_with(|| Instant::now() + PROBLEMS);
        self.due();
    }

    fn leftovers(&mut self) {
        let waiting = self.planner.has_leftovers();
        self.leftovers_at = waiting.then(|| Instant::now() + LEFTOVERS);
    }

    /// Does what is due by the clock.
    fn due(&mut self) {
        let now = Instant::now();
        if self.leftovers_at.is_some_and(|at| at <= now) {
            self.leftovers_at = None;
            let update = {
                let snapshot = read(&self.snapshot);
                self.planner.update(&snapshot, &ChangedKeys::default())
            };
            self.forgetter.plan(update.flush);
            if self.in_step {
                match self.table.apply(&update.transaction) {
                    Ok(()) => self.counted(&update.transaction),
                    Err(error) => {
                        tracing::debug!(%error, "chains out of use were not removed");
                        self.in_step = false;
                        self.compare_at = Some(now);
                    }
                }
            }
        }
        if self.compare_at.is_some_and(|at| at <= now) {
            self.compare();
        }
        if self.problems_at.is_some_and(|at| at <= now) {
            self.problems_at = None;
            let problems = self.planner.problems();
            lock(&self.report).problems = problems;
        }
    }

    /// One of our own transactions went in.
    fn counted(&mut self, transaction: &Transaction) {
        let more = u32::from(!transaction.is_empty());
        self.generation = self
            .generation
            .map(|generation| generation.wrapping_add(more));
    }

    /// Nobody but us has changed any table since the whole was compared.
    fn nothing_happened(&mut self) -> bool {
        self.in_step
            && self.foreign.is_none()
            && self.generation.is_some()
            && self.table.generation().ok() == self.generation
    }

    /// Reads the whole and changes the difference.
    fn compare(&mut self) {
        let started = Instant::now();
        self.compare_at = self.check_every.map(|every| started + every);
        if self.nothing_happened() {
            return;
        }
        let in_step = self.in_step && self.foreign.is_none();
        let desired = self.planner.desired();
        let Outcome { steps, refused } = rules::bring(&mut self.table, &desired, in_step);
        let was_in_step = std::mem::replace(&mut self.in_step, refused.is_empty());
        if refused.is_empty() {
            self.failures = 0;
            self.generation = self.table.generation().ok();
            self.tell_repair(was_in_step, steps);
            self.synced(started, true);
        } else {
            self.metrics.with(|values| values.failures += 1);
            let delay = Duration::from_millis(500).saturating_mul(1 << self.failures.min(6));
            self.failures += 1;
            self.compare_at = Some(Instant::now() + delay.min(LONGEST));
        }
        let mut report = lock(&self.report);
        if report.refused != refused {
            report.refused.clone_from(&refused);
            drop(report);
            for what in &refused {
                tracing::warn!("the kernel refuses {what}");
            }
            if !refused.is_empty() {
                (self.notify)(AgentNotice::Refused(refused));
            }
        }
    }

    fn tell_repair(&mut self, was_in_step: bool, steps: usize) {
        let by = self.foreign.take();
        if steps == 0 || (!was_in_step && by.is_none()) {
            return;
        }
        let by = by.unwrap_or_else(|| "somebody".to_owned());
        tracing::warn!(
            steps,
            by,
            "the ruleset was changed from outside and has been repaired"
        );
        lock(&self.report).repairs += 1;
        self.metrics.with(|values| values.repairs += 1);
        (self.notify)(AgentNotice::Repaired { steps, by });
    }

    /// Somebody else changed the table: look soon, later if that goes on and on.
    fn foreign(&mut self, by: String) {
        self.foreign.get_or_insert(by);
        if !self.in_step {
            return;
        }
        let now = Instant::now();
        let calm = self.last_fight.is_none_or(|last| now - last > LONGEST);
        self.fights = if calm { 0 } else { self.fights + 1 };
        self.last_fight = Some(now);
        // Some repairs at once, and then ever less often: two agents may be at odds.
        let delay = SETTLE.saturating_mul(1 << self.fights.saturating_sub(5).min(8));
        let at = now + delay.min(LONGEST);
        self.compare_at = Some(self.compare_at.map_or(at, |before| before.min(at)));
    }

    /// The kernel holds what is planned.
    fn synced(&mut self, started: Instant, full: bool) {
        self.last_sync = Some(Instant::now());
        self.shortcut.follow();
        let took = started.elapsed();
        let no_local = [true, false].map(|ipv4| self.planner.no_local_endpoints(ipv4));
        self.metrics.with(|values| {
            values.sync.observe(took);
            let kind = if full {
                &mut values.full
            } else {
                &mut values.partial
            };
            kind.observe(took);
            values.last_sync = seconds();
            values.pending_since = None;
            values.services_pending = 0;
            values.endpoints_pending = 0;
            values.no_local = no_local;
        });
        let first = !std::mem::replace(&mut lock(&self.report).synced, true);
        self.forgetter.ready();
        if first {
            tracing::info!(?took, "the ruleset is in the kernel");
            (self.notify)(AgentNotice::Synced);
            kernel::memory::trim();
        }
    }

    fn programmed(&self, told: &Told) {
        if !self.in_step || told.triggers.is_empty() {
            return;
        }
        let now = seconds();
        self.metrics.with(|values| {
            for trigger in &told.triggers {
                let since = now - *trigger as f64 / 1e6;
                values.programming.observe_seconds(since.max(0.0));
            }
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn read(snapshot: &SharedSnapshot) -> std::sync::RwLockReadGuard<'_, Snapshot> {
    snapshot.read().unwrap_or_else(PoisonError::into_inner)
}

fn nodes(snapshot: &Snapshot) -> Vec<model::ObjectKey> {
    let names = snapshot.nodes.keys();
    names
        .map(|name| model::ObjectKey::new(Resource::NODES, "", name))
        .collect()
}

/// Waits for foreign changes on a thread of its own.
fn watch_foreign(
    mut watch: Watch,
    inbox: Sender<Message>,
    stopped: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("node-watch".to_owned());
    thread.spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let change = match watch.next(WATCH_STEP) {
                Ok(None) => continue,
                Ok(Some(change)) => change,
                Err(error) => {
                    tracing::warn!(%error, "foreign changes of the ruleset are not noticed any more");
                    return;
                }
            };
            let by = match (change.program, change.process) {
                (Some(program), Some(process)) => format!("{program} (process {process})"),
                _ => "somebody".to_owned(),
            };
            if inbox.send(Message::Foreign(by)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
