//! A client of a Kubernetes API server: lists and watches become events of the model, writes and
//! events go back.
//!
//! ```text
//! list pages ─┐                        ┌─► model::Event batches ─► whoever keeps a Snapshot
//! watch lines ┴─ known versions ─diff──┘
//! ```
//!
//! It speaks HTTP/1.1 itself: an object's bytes go from the wire into [`model::Object`] with no
//! value tree in between. Where the server cannot be reached, everything that was told stays told;
//! the feed goes on when the server is back, by the last seen version or, where that is gone
//! (410), by a new list whose differences are told as events.
//!
//! **Boundary.** It observes and writes what it is asked to; it decides nothing.
#![forbid(unsafe_code)]

mod client;
mod config;
mod connect;
mod credentials;
mod decode;
mod error;
mod feed;
mod informer;
mod kubeconfig;
mod lease;
mod note;
mod paths;
mod retry;
mod write;

pub use client::Client;
pub use config::Config;
pub use error::{ConfigError, Error};
pub use feed::{Feed, Notice};
pub use lease::{Lease, LeaseSettings};
pub use note::{Notes, Regarding, Told};
pub use paths::Collection;
