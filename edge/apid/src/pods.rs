//! What only the machine that runs a Pod can answer.

use bytes::Bytes;
use model::{ApiError, Object, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Which part of a container's log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Container; never empty, the server fills in the default
    pub container: String,
    /// Go on as new lines come
    pub follow: bool,
    /// The container's previous run
    pub previous: bool,
    /// Lines from this time on only
    pub since: Option<Timestamp>,
    /// So many lines from the end
    pub tail_lines: Option<u64>,
    /// So many bytes at most
    pub limit_bytes: Option<u64>,
    /// Put RFC 3339 times before lines
    pub timestamps: bool,
}

/// A log as it comes; dropping the receiver ends it.
pub type LogStream = mpsc::Receiver<Bytes>;

/// What is to be connected with a process: `exec` and `attach`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Container; never empty, the server fills in the default
    pub container: String,
    /// The client sends input
    pub stdin: bool,
    /// The client wants what is printed
    pub stdout: bool,
    /// The client wants errors on their own; never with `tty`
    pub stderr: bool,
    /// Through a terminal
    pub tty: bool,
}

/// A terminal's size in characters (`TerminalSize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns
    pub width: u16,
    /// Lines
    pub height: u16,
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
    /// Sizes of the client's terminal as they change
    pub resize: Option<mpsc::Sender<TerminalSize>>,
    /// Comes after everything that was printed
    pub outcome: oneshot::Receiver<Outcome>,
}

/// A future that answers for a Pod.
pub type PodFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// A connection to a Pod's port, or the system's message why there is none.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<TcpStream, String>> + Send + 'a>>;

/// Whoever runs Pods on this machine.
pub trait PodAccess: Send + Sync {
    /// Whether the Pod runs here.
    fn runs(&self, pod: &Object) -> bool;

    /// Whether the Node of this name is this machine.
    fn is_node(&self, name: &str) -> bool;

    /// The log of one of its containers.
    fn logs(&self, pod: Arc<Object>, options: LogOptions) -> PodFuture<'_, LogStream>;

    /// Whether one of its containers has a process now.
    fn is_running(&self, pod: &Object, container: &str) -> bool;

    /// Runs a command beside a container's process, with its environment and folder.
    fn exec(&self, pod: Arc<Object>, command: Vec<String>, streams: Streams) -> Session;

    /// Connects with a container's own process.
    fn attach(&self, pod: Arc<Object>, streams: Streams) -> Session;

    /// Connects to a TCP port of the Pod.
    fn dial(&self, pod: Arc<Object>, port: u16) -> DialFuture<'_>;
}
