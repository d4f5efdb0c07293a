//! What can go wrong.

use std::path::PathBuf;

/// Why the way to a cluster is not known.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read
    #[error("cannot read {path}: {error}")]
    File {
        /// The file
        path: PathBuf,
        /// The system's reason
        error: std::io::Error,
    },
    /// The kubeconfig is no kubeconfig
    #[error("{path} is no kubeconfig: {message}")]
    Kubeconfig {
        /// The file
        path: PathBuf,
        /// What is wrong, and where
        message: String,
    },
    /// Neither a kubeconfig nor the environment of a Pod
    #[error(
        "no cluster: give --kubeconfig, or run in a Pod with a ServiceAccount (the variable {0} is not set)"
    )]
    NotInCluster(&'static str),
    /// A value that cannot be used
    #[error("{0}")]
    Value(String),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached, or the connection broke
    #[error("{server}: {message}")]
    Transport {
        /// Address of the server
        server: String,
        /// What happened
        message: String,
    },
    /// The credentials cannot be had
    #[error("credentials: {0}")]
    Credentials(String),
    /// The server says no
    #[error("{code} {reason}: {message}")]
    Status {
        /// HTTP status
        code: u16,
        /// `reason` of the Status, empty when it sent none
        reason: String,
        /// `message` of the Status
        message: String,
        /// `Retry-After`, in seconds
        retry_after: Option<u64>,
    },
    /// The answer makes no sense
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
}

impl Error {
    /// HTTP status, if the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the version that was asked for is no longer kept.
    pub(crate) fn is_gone(&self) -> bool {
        self.code() == Some(410)
    }
}
