//! One Pod's task: it does what the Pod's [`Machine`] says and tells it what came of that.

mod start;
mod watch;

use crate::Settings;
use crate::attach::Point;
use crate::clock::Clock;
use crate::env::Capacity;
use crate::leftover::Registry;
use crate::machine::{Action, Input, Machine, State};
use crate::network::{Place, Sockets};
use crate::probe::{Target, probe};
use crate::process::Launch;
use crate::spec::PodObject;
use crate::tokens::Tokens;
use crate::volumes::Volumes;
use model::{EventNote, Object, ObjectKey, Problem, View, Write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch as follow};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// Changes within this time become one write.
const FLUSH: Duration = Duration::from_millis(5);

/// What all Pods of a node share.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) view: Arc<dyn View + Send + Sync>,
    pub(crate) writes: mpsc::UnboundedSender<Write>,
    pub(crate) clock: Clock,
    pub(crate) capacity: Capacity,
    pub(crate) registry: Arc<Registry>,
}

/// What a Pod's task is told.
pub(crate) enum Message {
    /// A version of the object
    Object(Arc<Object>),
    /// The object is gone
    Gone,
    /// A ConfigMap or Secret of the namespace changed
    Nudge,
    /// Time to see whether everything written has arrived
    Resync,
    /// News of a container's run of this number
    Told { unit: usize, run: u32, news: News },
    /// End all processes within this time and leave the objects alone
    Shutdown(Duration),
}

/// News of a container's run.
pub(crate) enum News {
    Input(Input),
    /// The process group that runs
    Group(u32),
    /// A hook failed
    Warning {
        reason: &'static str,
        message: String,
    },
}

/// What others may know of a Pod's containers.
#[derive(Default)]
pub(crate) struct Board {
    /// By container: its latest run
    pub(crate) runs: BTreeMap<String, Shown>,
    /// Containers that have not run, with the reason
    pub(crate) waiting: BTreeMap<String, &'static str>,
    pub(crate) problems: Vec<Problem>,
    /// Sockets of the Pod's own network
    pub(crate) sockets: Sockets,
}

/// What others may know of a run.
pub(crate) struct Shown {
    pub(crate) number: u32,
    /// Tells of output; the sender goes with the run
    pub(crate) changed: follow::Receiver<u64>,
    /// Environment and folder for commands, once they are known
    pub(crate) launch: Option<Arc<Launch>>,
    /// Where clients attach, once there is a process
    pub(crate) attach: Option<follow::Receiver<Option<Arc<Point>>>>,
}

/// A run under way.
struct Active {
    number: u32,
    stop: mpsc::UnboundedSender<i64>,
    /// Environment and folder for commands; none for the built-in image
    launch: Option<Arc<Launch>>,
    watch: Option<AbortHandle>,
}

/// One Pod.
pub(crate) struct Worker {
    context: Arc<Context>,
    machine: Machine,
    inbox: mpsc::UnboundedReceiver<Message>,
    own: mpsc::UnboundedSender<Message>,
    board: Arc<Mutex<Board>>,
    ips: Vec<IpAddr>,
    /// The Pod's network, once it is made and unless it is this machine's
    place: Option<Arc<dyn Place>>,
    folder: PathBuf,
    volumes: Volumes,
    tokens: Tokens,
    runs: BTreeMap<usize, Active>,
    sent: Option<Value>,
    flush_at: Option<Instant>,
    gone: bool,
    finished: bool,
}

/// What a Pod's task is made of.
pub(crate) struct Start {
    pub(crate) context: Arc<Context>,
    pub(crate) pod: PodObject,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
    pub(crate) own: mpsc::UnboundedSender<Message>,
}

/// Folder of a Pod's volumes and logs.
pub(crate) fn folder_of(settings: &Settings, object: &Object) -> PathBuf {
    let meta = &object.meta;
    let name = format!("{}_{}_{}", meta.namespace, meta.name, meta.uid);
    settings.data_dir.join("pods").join(name)
}

impl Worker {
    pub(crate) fn new(start: Start) -> Self {
        let Start {
            context,
            pod,
            ips,
            board,
            inbox,
            own,
        } = start;
        let settings = &context.settings;
        let now = context.clock.now();
        let folder = folder_of(settings, &pod.object);
        let node_ip = settings.node_ip;
        let tokens = Tokens::new(settings.tokens.clone());
        let machine = Machine::new(pod, &settings.images, ips.clone(), node_ip, now);
        Self {
            context,
            machine,
            inbox,
            own,
            board,
            ips,
            place: None,
            folder,
            volumes: Volumes::new(),
            tokens,
            runs: BTreeMap::new(),
            sent: None,
            flush_at: None,
            gone: false,
            finished: false,
        }
    }

    /// Runs until the object is gone and every process has ended.
    pub(crate) async fn run(mut self) {
        self.warn_of_conflicts();
        self.feed(Input::Tick);
        self.take_object();
        loop {
            if self.finished && self.gone {
                let _ = std::fs::remove_dir_all(&self.folder);
                return;
            }
            let tick = self.machine.next_deadline();
            let tick = tick.map(|at| self.context.clock.instant(at));
            let renew = self.tokens.renew_at().filter(|_| !self.machine.is_over());
            let renew = renew.map(|at| self.context.clock.instant(at));
            let wake = tick.into_iter().chain(self.flush_at).chain(renew).min();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(Message::Shutdown(grace)) => return self.shut_down(grace).await,
                    Some(message) => self.receive(message),
                    None => return,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    if tick.is_some_and(|at| at <= Instant::now()) {
                        self.feed(Input::Tick);
                    }
                    if renew.is_some_and(|at| at <= Instant::now()) {
                        self.refresh();
                    }
                }
            }
            if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush();
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Object(object) => match PodObject::parse(object) {
                Ok(pod) => {
                    self.feed(Input::Changed(pod));
                    self.take_object();
                }
                Err(error) => tracing::warn!(%error, "a Pod cannot be read"),
            },
            Message::Gone => {
                self.gone = true;
                self.feed(Input::Delete { grace_seconds: 0 });
            }
            Message::Nudge => {
                self.refresh();
                self.feed(Input::Nudge);
            }
            Message::Resync => self.resync(),
            Message::Told { unit, run, news } => self.hear(unit, run, news),
            Message::Shutdown(_) => {}
        }
    }

    /// Acts on a deletion that the object tells of.
    fn take_object(&mut self) {
        let meta = &self.machine.pod().object.meta;
        if meta.is_deleting() {
            let grace_seconds = meta.deletion_grace_period_seconds.unwrap_or(0);
            self.feed(Input::Delete { grace_seconds });
        }
    }

    fn hear(&mut self, unit: usize, run: u32, news: News) {
        if self
            .runs
            .get(&unit)
            .is_none_or(|active| active.number != run)
        {
            return;
        }
        match news {
            News::Group(group) => self.watch(unit, group),
            News::Warning { reason, message } => self.note(true, reason, message),
            News::Input(input) => {
                if matches!(input, Input::Exited { .. }) {
                    self.forget(unit);
                }
                self.feed(input);
            }
        }
    }

    fn forget(&mut self, unit: usize) {
        let watch = self.runs.remove(&unit).and_then(|active| active.watch);
        watch.into_iter().for_each(|task| task.abort());
    }

    /// Tells the machine, does what it says, and tells it what came of that at once.
    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for action in self.machine.handle(input, self.context.clock.now()) {
                inputs.extend(self.act(action));
            }
        }
        self.publish();
    }

    fn act(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Prepare => Some(Input::Prepared(self.prepare())),
            Action::Start { unit, image } => self.start(unit, image),
            Action::Stop {
                unit,
                grace_seconds,
            } => {
                if let Some(active) = self.runs.get(&unit) {
                    // A run that has ended meanwhile says so itself.
                    let _ = active.stop.send(grace_seconds);
                }
                None
            }
            Action::Probe { unit, kind } => {
                self.probe(unit, kind);
                None
            }
            Action::Note {
                warning,
                reason,
                message,
            } => {
                self.note(warning, reason, message);
                None
            }
            Action::Finish => {
                self.finished = true;
                self.flush();
                self.delete();
                None
            }
        }
    }

    fn probe(&self, unit: usize, kind: crate::machine::ProbeKind) {
        let Some(active) = self.runs.get(&unit) else {
            return;
        };
        let (target, launch) = (self.target(unit), active.launch.clone());
        let (own, run) = (self.own.clone(), active.number);
        tokio::spawn(async move {
            let outcome = probe(kind, &target, launch.as_deref()).await;
            let news = News::Input(Input::Probed {
                unit,
                kind,
                outcome,
            });
            // The Pod may be gone by now.
            let _ = own.send(Message::Told { unit, run, news });
        });
    }

    fn target(&self, unit: usize) -> Target {
        let container = self.machine.units().get(unit).map(|unit| unit.spec.clone());
        let ip = self.ips.first().copied();
        Target {
            ip: ip.unwrap_or(self.context.settings.node_ip),
            container: Arc::new(container.unwrap_or_default()),
            sockets: match &self.context.settings.network {
                Some(network) => network.0.node().into(),
                None => Sockets::default(),
            },
        }
    }

    /// Sockets of the Pod's own network.
    fn sockets(&self) -> Sockets {
        let place = self.place.clone();
        place.map_or_else(Sockets::default, Sockets::from)
    }

    fn key(&self) -> ObjectKey {
        self.machine.pod().object.key()
    }

    fn write(&self, write: Write) {
        if self.context.writes.send(write).is_err() {
            tracing::debug!("nobody takes writes any more");
        }
    }

    fn note(&self, warning: bool, reason: &'static str, message: String) {
        self.write(Write::Note(EventNote {
            regarding: self.machine.pod().object.clone(),
            kind: if warning { "Warning" } else { "Normal" },
            reason: reason.to_owned(),
            message,
            component: "kubelet",
        }));
    }

    fn delete(&self) {
        if self.gone {
            return;
        }
        self.write(Write::Delete {
            key: self.key(),
            uid: Some(self.machine.pod().object.meta.uid.clone()),
            grace_seconds: Some(0),
            propagation: None,
        });
    }

    /// Plans a write of the status if it has changed, and shows others what they may know.
    fn publish(&mut self) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.waiting.clear();
        for unit in self.machine.units() {
            if let State::Waiting { reason, .. } = unit.state {
                board.waiting.insert(unit.spec.name.clone(), reason);
            }
        }
        board.problems = watch::problems(&self.machine);
        drop(board);
        if self.flush_at.is_none() && self.status().is_some() {
            self.flush_at = Some(Instant::now() + FLUSH);
        }
    }

    /// The status, if it is not the one that was sent last.
    fn status(&self) -> Option<Value> {
        if self.machine.is_history() || self.gone {
            return None;
        }
        let status = self.machine.status(self.context.clock.now());
        (self.sent.as_ref() != Some(&status)).then_some(status)
    }

    fn flush(&mut self) {
        self.flush_at = None;
        let Some(status) = self.status() else {
            return;
        };
        self.machine.wrote(&status);
        let uid = self.machine.pod().object.meta.uid.clone();
        self.write(Write::MergePatch {
            key: self.key(),
            subresource: "status",
            patch: json!({"metadata": {"uid": uid}, "status": status}),
        });
        self.sent = Some(status);
    }

    /// Sends again what has not arrived.
    fn resync(&mut self) {
        if self.finished {
            self.delete();
            return;
        }
        let stored = &self.machine.pod().status;
        let ready = |conditions: &[Value]| {
            let mut all = conditions.iter();
            all.find(|c| c["type"] == "Ready")
                .map(|c| c["status"].clone())
        };
        let arrived = self.sent.as_ref().is_none_or(|sent| {
            let conditions = sent["conditions"].as_array().map_or(&[][..], Vec::as_slice);
            sent["phase"] == stored.phase.as_str()
                && sent["podIP"].as_str().unwrap_or_default() == stored.pod_ip
                && ready(conditions) == ready(&stored.conditions)
        });
        if !arrived {
            self.sent = None;
        }
        self.publish();
    }

    /// Ends all processes without a word to the API.
    async fn shut_down(mut self, grace: Duration) {
        let seconds = i64::try_from(grace.as_secs()).unwrap_or(0);
        for active in self.runs.values() {
            let _ = active.stop.send(seconds);
        }
        while !self.runs.is_empty() {
            let Some(Message::Told { unit, news, .. }) = self.inbox.recv().await else {
                continue;
            };
            if matches!(news, News::Input(Input::Exited { .. })) {
                self.forget(unit);
            }
        }
    }
}
