//! The embedded API server: HTTPS and a durable store around `core/api`.
//!
//! ```text
//! socket ─TLS─► http ─► Hub::write ─► Engine (under a lock) ─► batch ─► redb ─► Committed ─► answers, watches
//!                  └──► Hub::committed ─► get, list
//! ```
//!
//! **Invariants.** An answer to a write is sent after the write is on disk. Everyone may
//! do what RBAC grants them; who shows no credentials is anonymous. Every buffer
//! that a client can fill has a bound.
//!
//! **Does not** decide what a request means: that is `core/api`'s.
#![forbid(unsafe_code)]

mod addresses;
mod auth;
mod backup;
mod bootstrap;
mod client;
mod clock;
mod http;
mod hub;
mod kubeconfig;
mod lock;
mod metrics;
mod pki;
mod pods;
mod server;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod yaml;

pub use auth::Minted;
pub use backup::{BACKUP_PATH, Backup, BackupError};
pub use client::Client;
pub use hub::Batch;
pub use metrics::{LATENCY_BUCKETS, Metrics};
pub use pods::{
    DialFuture, LogOptions, LogStream, Outcome, PodAccess, PodFuture, Session, Streams,
    TerminalSize,
};
pub use server::Server;
pub use settings::{Gate, MoreMetrics, Settings, StartError};
pub use store::StoreError;
