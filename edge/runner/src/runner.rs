//! The runner as its owner sees it.

use crate::addresses::Addresses;
use crate::clock::Clock;
use crate::leftover::Registry;
use crate::logs;
use crate::session::Running;
use crate::spec::PodObject;
use crate::worker::{Board, Context, Message, Start, Worker, folder_of};
use crate::{Session, Settings, Streams, node, probe, session};
use bytes::Bytes;
use model::{Event, EventKind, EventNote, Object, Problem, Resource, Timestamp, View, Write};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longest wait for a Pod to take a connection.
const DIAL: Duration = Duration::from_secs(10);

/// Why the runner cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be written
    #[error("the runner cannot use its folder {path}: {source}")]
    Folder {
        /// The folder
        path: String,
        /// What the system said
        source: std::io::Error,
    },
    /// The settings hold no pod range
    #[error("no pod range is set: give --pod-cidr")]
    NoPodRange,
}

/// Which lines of a log are asked for; the fields are those of `PodLogOptions`.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// `previous`: of the run before this one
    pub previous: bool,
    /// `follow`: go on until the container ends
    pub follow: bool,
    /// `timestamps`: begin each line with its time
    pub timestamps: bool,
    /// `tailLines`: only so many lines from the end
    pub tail_lines: Option<u64>,
    /// `sinceTime`, or what `sinceSeconds` comes to
    pub since: Option<Timestamp>,
    /// `limitBytes`: stop after so many bytes
    pub limit_bytes: Option<u64>,
}

/// Why there is no log to show. The text is the API's message.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// 404
    #[error("{0}")]
    NotFound(String),
    /// 400
    #[error("{0}")]
    BadRequest(String),
    /// 500
    #[error("{0}")]
    Internal(String),
}

/// Pieces of a log; the channel closes at its end.
pub type LogStream = mpsc::Receiver<Bytes>;

/// Runs the Pods of one Node.
pub struct Runner {
    inner: Arc<Inner>,
    heartbeat: tokio::task::AbortHandle,
}

struct Inner {
    context: Arc<Context>,
    state: Mutex<State>,
}

struct State {
    /// By uid
    pods: BTreeMap<Arc<str>, Entry>,
    addresses: Addresses,
    /// A Pod found no address: look again when one becomes free
    starved: bool,
    closed: bool,
}

struct Entry {
    object: Arc<Object>,
    tell: mpsc::UnboundedSender<Message>,
    board: Arc<Mutex<Board>>,
    ips: Vec<IpAddr>,
    task: Option<JoinHandle<()>>,
}

impl Runner {
    /// Ends what an earlier run left over, registers the Node and takes up the Pods that `view`
    /// holds. From then on every committed event has to come through [`Runner::observe`]; events
    /// that `view` contained already do no harm. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be used or there is no pod range.
    pub fn start(
        settings: Settings,
        view: Arc<dyn View + Send + Sync>,
        writes: mpsc::UnboundedSender<Write>,
    ) -> Result<Self, StartError> {
        if settings.pod_cidrs.is_empty() {
            return Err(StartError::NoPodRange);
        }
        let folder = |source| StartError::Folder {
            path: settings.data_dir.display().to_string(),
            source,
        };
        std::fs::create_dir_all(&settings.data_dir).map_err(folder)?;
        let registry = Registry::open(&settings.data_dir).map_err(folder)?;
        let addresses = Addresses::new(settings.pod_cidrs.clone());
        let context = Context {
            settings,
            view,
            writes,
            clock: Clock::new(),
            capacity: node::capacity(),
            registry: Arc::new(registry),
        };
        let inner = Arc::new(Inner {
            context: Arc::new(context),
            state: Mutex::new(State {
                pods: BTreeMap::new(),
                addresses,
                starved: false,
                closed: false,
            }),
        });
        inner.register();
        inner.take_up();
        let heartbeat = tokio::spawn(heartbeat(Arc::downgrade(&inner))).abort_handle();
        Ok(Self { inner, heartbeat })
    }

    /// Takes in one event; never blocks.
    pub fn observe(&self, event: &Event) {
        let object = &event.object;
        match object.resource {
            Resource::PODS if event.kind == EventKind::Deleted => self.inner.gone(object),
            Resource::PODS => self.inner.pod(object),
            Resource::CONFIG_MAPS | Resource::SECRETS => self.inner.nudge(&object.meta.namespace),
            Resource::NODES if *object.meta.name == *self.inner.context.settings.node_name => {
                self.inner.register();
                if event.kind == EventKind::Added {
                    self.inner.renew();
                }
            }
            _ => {}
        }
    }

    /// The log of a container; without a name, that of the Pod's only one.
    ///
    /// # Errors
    /// With the API's texts, when there is no such Pod, container or log.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<LogStream, LogError> {
        self.inner.logs(namespace, pod, container, options)
    }

    /// Whether a container has a process now.
    pub fn is_running(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.inner.running(namespace, pod, container).is_some()
    }

    /// Runs a command beside a container's process, with its environment and folder. Must be
    /// called within a tokio runtime.
    pub fn exec(
        &self,
        namespace: &str,
        pod: &str,
        command: &[String],
        streams: &Streams,
    ) -> Session {
        let container = &streams.container;
        match self.inner.running(namespace, pod, container) {
            Some(running) => session::exec(running, &self.inner.context.registry, command, streams),
            None => Session::failed(format!("container not found (\"{container}\")")),
        }
    }

    /// Connects with a container's own process. Must be called within a tokio runtime.
    pub fn attach(&self, namespace: &str, pod: &str, streams: &Streams) -> Session {
        let container = &streams.container;
        match self.inner.running(namespace, pod, container) {
            Some(running) => session::attach(running, streams),
            None => Session::failed(format!("container not found (\"{container}\")")),
        }
    }

    /// Connects to a TCP port of a Pod.
    ///
    /// # Errors
    /// Why that fails, as Go's `net` says it.
    pub async fn dial(&self, namespace: &str, pod: &str, port: u16) -> Result<TcpStream, String> {
        let entry = self.inner.entry(namespace, pod, |entry| {
            let board = entry.board.lock().unwrap_or_else(PoisonError::into_inner);
            Some((entry.ips.first().copied()?, board.sockets.clone()))
        });
        let Some((ip, sockets)) = entry.flatten() else {
            return Err(format!("pod not found (\"{pod}_{namespace}\")"));
        };
        let at = std::net::SocketAddr::new(ip, port);
        match tokio::time::timeout(DIAL, sockets.connect_within(at)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(probe::refused(&ip.to_string(), port, &error)),
            Err(_) => Err(format!("dial tcp {at}: i/o timeout")),
        }
    }

    /// What keeps Pods from running, in order of the Pod.
    pub fn problems(&self) -> Vec<Problem> {
        let state = self.inner.state();
        let boards = state.pods.values().map(|entry| entry.board.clone());
        let boards: Vec<_> = boards.collect();
        drop(state);
        let mut problems: Vec<Problem> = boards
            .iter()
            .flat_map(|board| {
                let board = board.lock().unwrap_or_else(PoisonError::into_inner);
                board.problems.clone()
            })
            .collect();
        problems.sort();
        problems
    }

    /// Ends all processes: `SIGTERM`, and `SIGKILL` after [`Settings::shutdown_grace`]. Objects
    /// stay as they are, so that the next start takes the Pods up again.
    pub async fn shutdown(&self) {
        self.heartbeat.abort();
        let grace = self.inner.context.settings.shutdown_grace;
        let mut tasks = Vec::new();
        {
            let mut state = self.inner.state();
            state.closed = true;
            for entry in state.pods.values_mut() {
                let _ = entry.tell.send(Message::Shutdown(grace));
                tasks.extend(entry.task.take());
            }
        }
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        // The second is for processes that had to be killed.
        let _ = tokio::time::timeout(grace + Duration::from_secs(1), all).await;
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// Keeps the Node's Lease and sees to it that what was written has arrived.
async fn heartbeat(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(Duration::from_secs(node::RENEW_SECONDS)).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        inner.register();
        inner.renew();
        let starved = {
            let mut state = inner.state();
            for entry in state.pods.values() {
                let _ = entry.tell.send(Message::Resync);
            }
            std::mem::take(&mut state.starved)
        };
        if starved {
            inner.take_up();
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, write: Write) {
        if self.context.writes.send(write).is_err() {
            tracing::debug!("nobody takes writes any more");
        }
    }

    fn register(&self) {
        let Context {
            settings,
            view,
            capacity,
            clock,
            ..
        } = &*self.context;
        for write in node::register(settings, &**view, *capacity, clock.now()) {
            self.send(write);
        }
    }

    fn renew(&self) {
        let Context {
            settings,
            view,
            clock,
            ..
        } = &*self.context;
        let write = node::renew(settings, &**view, clock.now());
        write.into_iter().for_each(|write| self.send(write));
    }

    /// Takes up what is stored, so that Pods keep their addresses before new ones ask for any.
    fn take_up(self: &Arc<Self>) {
        let pods = self.context.view.list(Resource::PODS, None);
        pods.iter().for_each(|pod| self.pod(pod));
    }

    fn pod(self: &Arc<Self>, object: &Arc<Object>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if let Some(entry) = state.pods.get_mut(&object.meta.uid) {
            if object.meta.resource_version >= entry.object.meta.resource_version {
                entry.object = object.clone();
                let _ = entry.tell.send(Message::Object(object.clone()));
            }
            return;
        }
        match PodObject::parse(object.clone()) {
            Ok(pod) if pod.spec.node_name == self.context.settings.node_name => {
                self.begin(&mut state, pod);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(pod = %object.key(), %error, "a Pod cannot be read"),
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, pod: PodObject) {
        let over = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        let stored = pod.status.pod_ip.parse().ok();
        let settings = &self.context.settings;
        let ips = if over {
            Some(Vec::new())
        } else if pod.spec.host_network && settings.network.is_some() {
            Some(vec![settings.node_ip])
        } else {
            state.addresses.take(stored)
        };
        let object = pod.object.clone();
        let Some(ips) = ips else {
            state.starved = true;
            self.send(Write::Note(EventNote {
                regarding: object,
                kind: "Warning",
                reason: "FailedCreatePodSandBox".to_owned(),
                message: "The pod range has no free address: give a wider --pod-cidr".to_owned(),
                component: "kubelet",
            }));
            return;
        };
        let (tell, inbox) = mpsc::unbounded_channel();
        let board = Arc::new(Mutex::new(Board::default()));
        let worker = Worker::new(Start {
            context: self.context.clone(),
            pod,
            ips: ips.clone(),
            board: board.clone(),
            inbox,
            own: tell.clone(),
        });
        let (uid, inner) = (object.meta.uid.clone(), Arc::downgrade(self));
        let task = tokio::spawn(async move {
            worker.run().await;
            if let Some(inner) = inner.upgrade() {
                inner.ended(&uid);
            }
        });
        let uid = object.meta.uid.clone();
        let entry = Entry {
            object,
            tell,
            board,
            ips,
            task: Some(task),
        };
        state.pods.insert(uid, entry);
    }

    fn ended(&self, uid: &Arc<str>) {
        let mut state = self.state();
        if let Some(entry) = state.pods.remove(uid) {
            state.addresses.give_back(&entry.ips);
        }
    }

    fn gone(&self, object: &Object) {
        let state = self.state();
        if let Some(entry) = state.pods.get(&object.meta.uid) {
            let _ = entry.tell.send(Message::Gone);
        }
    }

    fn nudge(&self, namespace: &str) {
        let state = self.state();
        let pods = state.pods.values();
        for entry in pods.filter(|entry| &*entry.object.meta.namespace == namespace) {
            let _ = entry.tell.send(Message::Nudge);
        }
    }

    /// What is wanted of a Pod, by its name.
    fn entry<T>(&self, namespace: &str, pod: &str, of: impl Fn(&Entry) -> T) -> Option<T> {
        let state = self.state();
        let mut entries = state.pods.values();
        let found = entries.find(|entry| {
            let meta = &entry.object.meta;
            &*meta.namespace == namespace && &*meta.name == pod
        });
        found.map(of)
    }

    /// A container whose process runs now.
    fn running(&self, namespace: &str, pod: &str, container: &str) -> Option<Running> {
        let board = self.entry(namespace, pod, |entry| entry.board.clone())?;
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = board.runs.get(container)?;
        if shown.changed.has_changed().is_err() {
            return None;
        }
        let attach = shown.attach.as_ref();
        let point = attach.and_then(|point| point.borrow().clone());
        if attach.is_some() && point.is_none() {
            return None;
        }
        Some(Running {
            launch: shown.launch.clone()?,
            point,
            alive: shown.changed.clone(),
        })
    }

    fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<LogStream, LogError> {
        let known = self.entry(namespace, pod, |e| (e.object.clone(), e.board.clone()));
        let (object, board) =
            known.ok_or_else(|| LogError::NotFound(format!("pods \"{pod}\" not found")))?;
        let container = choose(&object, container)?;
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, changed) = match board.runs.get(&container) {
            Some(shown) => (shown.number, Some(shown.changed.clone())),
            None => (last_run(&object, &container), None),
        };
        let waiting = board.waiting.get(&container).copied();
        drop(board);
        let run = match (options.previous, run.checked_sub(1)) {
            (false, _) => run,
            (true, Some(previous)) => previous,
            (true, None) => return Err(no_previous(pod, &container)),
        };
        let folder = folder_of(&self.context.settings, &object)
            .join("logs")
            .join(&container);
        let path = logs::file_of(&folder, run);
        if !path.exists() {
            if options.previous {
                return Err(no_previous(pod, &container));
            }
            let reason = waiting.unwrap_or("ContainerCreating");
            return Err(LogError::BadRequest(format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}"
            )));
        }
        let changed = changed.filter(|_| !options.previous);
        Ok(logs::stream(path, options, changed))
    }
}

fn no_previous(pod: &str, container: &str) -> LogError {
    LogError::BadRequest(format!(
        "previous terminated container \"{container}\" in pod \"{pod}\" not found"
    ))
}

/// The number of a container's last run, as the stored status has it.
fn last_run(object: &Arc<Object>, container: &str) -> u32 {
    let status = PodObject::parse(object.clone()).map(|pod| pod.status);
    let status = status.unwrap_or_default();
    let mut all = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses);
    let found = all.find(|status| status.name == container);
    found.map_or(0, |status| status.restart_count)
}

/// The container that is meant.
fn choose(object: &Arc<Object>, container: Option<&str>) -> Result<String, LogError> {
    let pod = PodObject::parse(object.clone());
    let spec = pod
        .map_err(|error| LogError::Internal(error.to_string()))?
        .spec;
    let name = &object.meta.name;
    let names = |list: &[crate::spec::Container]| {
        let names: Vec<&str> = list.iter().map(|c| c.name.as_str()).collect();
        names.join(" ")
    };
    match (container, spec.containers.as_slice()) {
        (Some(wanted), mains) => {
            let mut all = mains.iter().chain(&spec.init_containers);
            let known = all.any(|c| c.name == wanted);
            known.then(|| wanted.to_owned()).ok_or_else(|| {
                LogError::BadRequest(format!("container {wanted} is not valid for pod {name}"))
            })
        }
        (None, [only]) => Ok(only.name.clone()),
        (None, mains) => {
            let inits = match names(&spec.init_containers) {
                inits if inits.is_empty() => String::new(),
                inits => format!(" or one of the init containers: [{inits}]"),
            };
            Err(LogError::BadRequest(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{inits}",
                names(mains)
            )))
        }
    }
}

#[cfg(test)]
mod tests;
