//! What only the machine that runs a Pod can answer.

use bytes::Bytes;
use model::{ApiError, Object, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

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

/// A future that answers for a Pod.
pub type PodFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// Whoever runs Pods on this machine.
pub trait PodAccess: Send + Sync {
    /// Whether the Pod runs here.
    fn runs(&self, pod: &Object) -> bool;

    /// The log of one of its containers.
    fn logs(&self, pod: Arc<Object>, options: LogOptions) -> PodFuture<'_, LogStream>;
}
