//! The runner as its owner sees it.

use crate::Settings;
use bytes::Bytes;
use model::{Event, Problem, Timestamp, View, Write};
use std::sync::Arc;
use tokio::sync::mpsc;

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
    _writes: mpsc::UnboundedSender<Write>,
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
        let _ = (settings, view);
        Ok(Self { _writes: writes })
    }

    /// Takes in one event; never blocks.
    pub fn observe(&self, event: &Event) {
        let _ = event;
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
        let _ = (namespace, container, options);
        Err(LogError::NotFound(format!("pods {pod:?} not found")))
    }

    /// What keeps Pods from running, in order of the Pod.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Ends all processes: `SIGTERM`, and `SIGKILL` after [`Settings::shutdown_grace`]. Objects
    /// stay as they are, so that the next start takes the Pods up again.
    pub async fn shutdown(&self) {}
}
