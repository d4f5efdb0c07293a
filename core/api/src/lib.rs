//! The Kubernetes API as values: paths, options, selectors, verbs, versions, watches, Tables.
//!
//! ```text
//! request ─Engine::handle─► Outcome (answer + events) ─made durable─► Committed::publish
//!                                                          reads, lists, watches ◄─┘
//! ```
//!
//! **Invariants.** Time and random numbers come in with the request ([`Env`]). Reads see committed
//! state only. Every change gets the next resourceVersion; a write that changes nothing gets none.
//! Texts of errors are those of kube-apiserver 1.36.
//!
//! **Does not** know HTTP types, sockets or files: `edge/apid` brings them.
#![forbid(unsafe_code)]

mod accept;
pub mod answer;
mod committed;
mod engine;
mod events;
pub mod jsonpatch;
mod managed;
mod meta;
mod page;
mod past;
mod query;
mod render;
mod review;
mod route;
mod select;
mod selector;
mod state;
pub mod watch;
mod write;
mod yaml;

pub use accept::{Accept, BodyForm, Encoding, PatchForm, Transform, body_form, patch_form};
pub use committed::{Committed, HistoryLimits, Logged};
pub use engine::{Engine, Env, Outcome, Payload, Reply, Request, Settings, receive, scale_of};
pub use managed::agent_name;
pub use model::User;
pub use page::Page;
pub use query::{DeleteOptions, FieldValidation, ListOptions, Query, WriteOptions, parse_version};
pub use render::{Include, Renderer, encode, is_pretty};
pub use review::{Reviewer, TokenHolder, TokenRequest, token_request};
pub use route::{ResourcePath, Route, Verb};
pub use select::Selection;
pub use selector::{FieldSelector, LabelSelector};
pub use state::State;
