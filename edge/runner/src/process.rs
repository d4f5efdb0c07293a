//! Processes: start, hooks, wait, orderly stop.

use crate::attach::Point;
use crate::clock::Clock;
use crate::env::Env;
use crate::leftover::Registry;
use crate::logs::{Log, Output, last_words, pump};
use crate::machine::Ended;
use crate::probe::{Target, hook};
use crate::spawn::{self, Printed, Spawned};
use crate::spec::Hook;
use model::Timestamp;
use rustix::process::{Pid, Signal};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How long after the end of a process its pipes are read on, should a stray child hold them.
const DRAIN: Duration = Duration::from_millis(500);

/// What a process is started with.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) words: Vec<String>,
    pub(crate) env: Env,
    pub(crate) folder: PathBuf,
    /// Words before every command, by which it runs in the Pod's network
    pub(crate) enter: Vec<String>,
}

/// One run of a container as a process.
pub(crate) struct Run {
    pub(crate) launch: Arc<Launch>,
    pub(crate) log: Arc<Log>,
    pub(crate) target: Target,
    pub(crate) post_start: Option<Hook>,
    pub(crate) pre_stop: Option<Hook>,
    /// Take the last lines as the message of a run that failed
    pub(crate) last_words: bool,
    pub(crate) console: Console,
    /// Told where clients can attach
    pub(crate) attach: tokio::sync::watch::Sender<Option<Arc<Point>>>,
    /// Grace in seconds; each further one may only shorten it
    pub(crate) stop: mpsc::UnboundedReceiver<i64>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
}

/// `stdin`, `stdinOnce` and `tty` of a container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Console {
    pub(crate) stdin: bool,
    pub(crate) once: bool,
    pub(crate) tty: bool,
}

/// What a run tells while it goes on.
pub(crate) enum Progress {
    Started {
        id: String,
        group: u32,
    },
    HookFailed {
        reason: &'static str,
        message: String,
    },
}

impl Launch {
    /// A command with what has to come before it.
    ///
    /// # Errors
    /// The command is empty, or names no program: whoever enters the network first would find that
    /// out too late to say so.
    pub(crate) fn whole(&self, words: &[String]) -> Result<Vec<String>, String> {
        let program = words.first().ok_or("the command is empty")?;
        if self.enter.is_empty() {
            return Ok(words.to_vec());
        }
        if !self.folder.is_dir() {
            return Err(spawn::no_folder(&self.folder));
        }
        if !self.finds(program) {
            return Err(spawn::no_program(program));
        }
        Ok(self.enter.iter().chain(words).cloned().collect())
    }

    /// Whether the system would find a program (`execvp(3)`).
    fn finds(&self, program: &str) -> bool {
        if program.contains('/') {
            return self.folder.join(program).exists();
        }
        let path = self.env.get("PATH").map_or("/bin:/usr/bin", String::as_str);
        std::env::split_paths(path).any(|folder| folder.join(program).is_file())
    }

    /// A command of a container's, in a process group of its own.
    pub(crate) fn command(&self, words: &[String]) -> Result<Command, String> {
        let whole = self.whole(words)?;
        let (program, arguments) = whole.split_first().ok_or("the command is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

impl Run {
    /// Runs to the end and says how that was.
    pub(crate) async fn run(mut self, progress: impl Fn(Progress)) -> Ended {
        let started = self.clock.now();
        let Spawned {
            mut child,
            stdin,
            stdout,
            stderr,
            terminal,
        } = match self.spawn() {
            Ok(spawned) => spawned,
            Err(message) => return self.failed(started, message),
        };
        let point = Arc::new(Point::new(stdin, self.console.once, terminal));
        self.attach.send_replace(Some(point.clone()));
        let group = child.id().unwrap_or_default();
        let id = format!("process://{group}");
        self.registry.record(group);
        let pumps = self.pumps(stdout, stderr, &point);
        let mut message = String::new();
        if let Some(complaint) = self.post_start().await {
            progress(Progress::HookFailed {
                reason: "FailedPostStartHook",
                message: "PostStartHook failed".to_owned(),
            });
            message = complaint;
            signal(group, Signal::KILL);
        } else {
            progress(Progress::Started {
                id: id.clone(),
                group,
            });
        }
        let status = self.attend(&mut child, group, &progress).await;
        // What the process started and left behind ends with it.
        signal(group, Signal::KILL);
        let _ = timeout(DRAIN, pumps).await;
        self.ended(status, started, id, message)
    }

    fn spawn(&self) -> Result<Spawned, String> {
        let words = &self.launch.words;
        if self.console.tty {
            return spawn::with_terminal(&self.launch, words);
        }
        spawn::with_pipes(&self.launch, words, self.console.stdin)
    }

    fn pumps(
        &self,
        stdout: Option<Printed>,
        stderr: Option<Printed>,
        point: &Arc<Point>,
    ) -> impl Future<Output = ()> + use<> {
        let clock = self.clock;
        let start = |pipe: Option<Printed>, output: Output| {
            let (log, point) = (self.log.clone(), point.clone());
            let now = move || clock.now();
            pipe.map(|pipe| tokio::spawn(pump(pipe, output, log, point, now)))
        };
        let tasks = [start(stdout, Output::Stdout), start(stderr, Output::Stderr)];
        let point = point.clone();
        async move {
            for task in tasks.into_iter().flatten() {
                let _ = task.await;
            }
            point.over(Output::Stdout);
            point.over(Output::Stderr);
        }
    }

    async fn post_start(&self) -> Option<String> {
        let hook_spec = self.post_start.as_ref()?;
        hook(hook_spec, &self.target, Some(&self.launch))
            .await
            .err()
    }

    /// Waits for the end, and brings it about when asked to.
    async fn attend(
        &mut self,
        child: &mut Child,
        group: u32,
        progress: &impl Fn(Progress),
    ) -> Option<ExitStatus> {
        let grace = tokio::select! {
            status = child.wait() => return status.ok(),
            Some(grace) = self.stop.recv() => grace,
        };
        let mut deadline = after(grace);
        if let Some(hook_spec) = self.pre_stop.take().filter(|_| grace > 0) {
            let running = hook(&hook_spec, &self.target, Some(&self.launch));
            tokio::select! {
                status = child.wait() => return status.ok(),
                () = sleep_until(deadline) => {}
                Some(shorter) = self.stop.recv() => deadline = deadline.min(after(shorter)),
                result = running => if let Err(message) = result {
                    progress(Progress::HookFailed {
                        reason: "FailedPreStopHook",
                        message: format!("PreStopHook failed: {message}"),
                    });
                },
            }
            // kubelet leaves at least two seconds after a hook.
            deadline = deadline.max(after(2));
        }
        signal(
            group,
            if grace > 0 {
                Signal::TERM
            } else {
                Signal::KILL
            },
        );
        loop {
            tokio::select! {
                status = child.wait() => return status.ok(),
                () = sleep_until(deadline) => {
                    signal(group, Signal::KILL);
                    return child.wait().await.ok();
                }
                Some(shorter) = self.stop.recv() => deadline = deadline.min(after(shorter)),
            }
        }
    }

    fn ended(
        &self,
        status: Option<ExitStatus>,
        started: Timestamp,
        id: String,
        mut message: String,
    ) -> Ended {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = status.and_then(|status| status.signal());
        let exit_code = exit_code(status);
        if exit_code != 0 && self.last_words && message.is_empty() {
            message = last_words(&self.log.path);
        }
        Ended {
            exit_code,
            signal,
            reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
            message,
            started,
            finished: self.clock.now(),
            id,
        }
    }

    fn failed(&self, started: Timestamp, message: String) -> Ended {
        self.log
            .line(started, Output::Stderr, message.as_bytes(), true);
        start_error(message, started)
    }
}

/// The code of a process' end, as shells have it; 255 when nobody knows.
pub(crate) fn exit_code(status: Option<ExitStatus>) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = status.and_then(|status| status.signal());
    let code = status.and_then(|status| status.code());
    code.or(signal.map(|signal| 128 + signal)).unwrap_or(255)
}

/// A run that did not come about, as container runtimes report it.
pub(crate) fn start_error(message: String, now: Timestamp) -> Ended {
    Ended {
        exit_code: 128,
        signal: None,
        reason: "StartError".to_owned(),
        message,
        started: now,
        finished: now,
        id: String::new(),
    }
}

fn after(seconds: i64) -> Instant {
    Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Signals a whole process group; one that is gone is no error.
pub(crate) fn signal(group: u32, signal: Signal) {
    let group = i32::try_from(group).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, signal);
    }
}
