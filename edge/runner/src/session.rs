//! `exec` and `attach`: processes with a client at their ends.

use crate::attach::Point;
use crate::leftover::Registry;
use crate::logs::Output;
use crate::process::{Launch, exit_code, signal};
use crate::spawn::{self, Printed, Spawned, Terminal};
use bytes::{Bytes, BytesMut};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Bytes that are read at a time.
const PIECE: usize = 32 * 1024;

/// Pieces that may wait for a client; with more the process has to wait.
const QUEUE: usize = 8;

/// How long after the end of a process its pipes are read on, should a stray child hold them.
const DRAIN: Duration = Duration::from_millis(500);

/// What is to be connected; the fields are those of `PodExecOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// `container`
    pub container: String,
    /// `stdin`
    pub stdin: bool,
    /// `stdout`
    pub stdout: bool,
    /// `stderr`; never with `tty`
    pub stderr: bool,
    /// `tty`
    pub tty: bool,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process ended with this code; an attached one may go on, which is 0
    Exited(i32),
    /// It never ran, or was lost: why
    Failed(String),
}

/// A process with its ends. Dropping it ends an `exec` process and detaches from another.
#[derive(Debug)]
pub struct Session {
    /// Input; dropping it is its end
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// What is printed; closes at its end
    pub stdout: Option<mpsc::Receiver<Bytes>>,
    /// Errors; closes at its end
    pub stderr: Option<mpsc::Receiver<Bytes>>,
    /// Columns and lines of the client's terminal as they change
    pub resize: Option<mpsc::Sender<(u16, u16)>>,
    /// Comes after everything that was printed
    pub outcome: oneshot::Receiver<Outcome>,
}

impl Session {
    /// A session that does not come about.
    pub fn failed(why: String) -> Self {
        let (sender, outcome) = oneshot::channel();
        // The receiver is right here.
        let _ = sender.send(Outcome::Failed(why));
        Self {
            stdin: None,
            stdout: None,
            stderr: None,
            resize: None,
            outcome,
        }
    }
}

/// A container that runs, as sessions need it.
#[derive(Clone)]
pub(crate) struct Running {
    /// Environment and folder of commands
    pub(crate) launch: Arc<Launch>,
    /// None for the built-in image
    pub(crate) point: Option<Arc<Point>>,
    /// The sender goes with the run
    pub(crate) alive: watch::Receiver<u64>,
}

/// Waits for the end of a run.
async fn ended(mut alive: watch::Receiver<u64>) {
    while alive.changed().await.is_ok() {}
}

/// Runs a command beside a container's process.
pub(crate) fn exec(
    running: Running,
    registry: &Registry,
    command: &[String],
    streams: &Streams,
) -> Session {
    let spawned = if streams.tty {
        spawn::with_terminal(&running.launch, command)
    } else {
        spawn::with_pipes(&running.launch, command, streams.stdin)
    };
    let Spawned {
        mut child,
        stdin,
        stdout,
        stderr,
        terminal,
    } = match spawned {
        Ok(spawned) => spawned,
        Err(why) => return Session::failed(why),
    };
    let group = child.id().unwrap_or_default();
    registry.record(group);
    let (input, from) = mpsc::channel(QUEUE);
    if let Some(to) = stdin.filter(|_| streams.stdin) {
        tokio::spawn(feed(from, to));
    }
    let (exited, over) = watch::channel(false);
    let wants = |wanted: bool, printed: Option<Printed>| {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let task = tokio::spawn(copy(printed?, sender, over.clone()));
        // What nobody wants is read all the same, so that the process does not stop.
        Some((wanted.then_some(receiver), task))
    };
    let (stdout, stderr) = (wants(streams.stdout, stdout), wants(streams.stderr, stderr));
    let (sizes, resize) = mpsc::channel(1);
    if let Some(terminal) = terminal {
        tokio::spawn(resized(resize, terminal));
    }
    let (mut teller, outcome) = oneshot::channel();
    let (stdout, first) = stdout.unzip();
    let (stderr, second) = stderr.unzip();
    tokio::spawn(async move {
        let status = tokio::select! {
            status = child.wait() => status.ok(),
            () = teller.closed() => None,
            () = ended(running.alive) => None,
        };
        // What the command left behind, or the command itself when its client or its container
        // is gone.
        signal(group, Signal::KILL);
        let status = match status {
            Some(status) => Some(status),
            None => child.wait().await.ok(),
        };
        exited.send_replace(true);
        for task in [first, second].into_iter().flatten() {
            let _ = task.await;
        }
        let _ = teller.send(Outcome::Exited(exit_code(status)));
    });
    Session {
        stdin: streams.stdin.then_some(input),
        stdout: stdout.flatten(),
        stderr: stderr.flatten(),
        resize: streams.tty.then_some(sizes),
        outcome,
    }
}

async fn feed(mut from: mpsc::Receiver<Bytes>, mut to: spawn::Input) {
    while let Some(bytes) = from.recv().await {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Hands on what is printed; once the process has ended only as long as there is something.
async fn copy(mut from: Printed, to: mpsc::Sender<Bytes>, mut exited: watch::Receiver<bool>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let stray = async {
            let _ = exited.wait_for(|exited| *exited).await;
            tokio::time::sleep(DRAIN).await;
        };
        let read = tokio::select! {
            read = from.read_buf(&mut buffer) => read,
            () = stray => return,
        };
        if !matches!(read, Ok(1..)) {
            return;
        }
        // A client that is gone or never wanted it does not stop the process.
        let _ = to.send(buffer.split().freeze()).await;
    }
}

async fn resized(mut sizes: mpsc::Receiver<(u16, u16)>, terminal: Terminal) {
    while let Some((width, height)) = sizes.recv().await {
        terminal.resize(width, height);
    }
}

/// Connects with a container's own process.
pub(crate) fn attach(running: Running, streams: &Streams) -> Session {
    let Some(point) = running.point else {
        return attach_to_nothing(running.alive);
    };
    let tap = |wanted: bool, output: Output| wanted.then(|| point.tap(output)).flatten();
    let stdout = tap(streams.stdout, Output::Stdout);
    let stderr = tap(streams.stderr && !point.is_terminal(), Output::Stderr);
    let (input, from) = mpsc::channel(QUEUE);
    let feeding = streams.stdin.then(|| {
        let point = point.clone();
        tokio::spawn(async move { point.feed(from).await })
    });
    let (sizes, mut resize) = mpsc::channel(1);
    let (mut teller, outcome) = oneshot::channel();
    tokio::spawn(async move {
        let resizing = async {
            while let Some((width, height)) = resize.recv().await {
                point.resize(width, height);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = ended(running.alive) => {}
            () = teller.closed() => {}
            () = resizing => {}
        }
        // A client that leaves has finished its input; what it still holds goes nowhere.
        if let Some(mut feeding) = feeding
            && timeout(DRAIN, &mut feeding).await.is_err()
        {
            feeding.abort();
        }
        let _ = teller.send(Outcome::Exited(0));
    });
    Session {
        stdin: streams.stdin.then_some(input),
        stdout,
        stderr,
        resize: streams.tty.then_some(sizes),
        outcome,
    }
}

/// The built-in image reads and prints nothing; it can be waited for.
fn attach_to_nothing(alive: watch::Receiver<u64>) -> Session {
    let (mut teller, outcome) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            () = ended(alive) => {}
            () = teller.closed() => {}
        }
        let _ = teller.send(Outcome::Exited(0));
    });
    Session {
        stdin: None,
        stdout: None,
        stderr: None,
        resize: None,
        outcome,
    }
}
