//! The cluster's DNS zone: what Services, EndpointSlices and Namespaces say becomes records
//! ([`Zone`]), and a question becomes an answer ([`answer`]).
//!
//! ```text
//! Snapshot ─plan_service─► ServiceRecords ─Zone::update─► Zone ─answer(query)─► message
//!                                                                └► Forward ─► complete(stored)
//! ```
//!
//! The names are those of Kubernetes DNS-Based Service Discovery 1.1.0; the behaviour is that of
//! CoreDNS with kubeadm's Corefile, apart from what docs/differences.md lists.
//!
//! **Invariants.** A [`Zone`] that was cloned does not change; an update costs what the changed
//! Services cost. No input, however malformed, makes a function here panic or allocate more than a
//! message's worth. A reply never exceeds the limit that the client gave.
//!
//! **Does not** do I/O, read a clock, draw random numbers or log.
#![forbid(unsafe_code)]

mod answer;
mod name;
mod plan;
mod query;
mod records;
mod reply;
mod reverse;
pub mod rtype;
mod shards;
mod special;
mod stored;
mod text;
mod zone;

pub use answer::{Answer, Client, Forward, Key, Transport, answer};
pub use name::{Name, NameError};
pub use plan::{ServiceRecords, plan_service, problems};
pub use records::{PrintedRecord, records};
pub use stored::{Mismatch, Stored, failure, upstream_query};
pub use text::describe;
pub use zone::{Settings, Zone};
