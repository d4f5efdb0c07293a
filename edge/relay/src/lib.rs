//! A service proxy in user space that needs no privilege: it listens on the frontends that
//! `proxy` planned and carries bytes to the backends that it chose.
//!
//! ```text
//! proxy::Changes ─apply─► listeners ─accept─► Balancer ─connect─► endpoint ⇄ splice ⇄ client
//! ```
//!
//! **Invariants.** A change touches the frontends it names and nothing else; established TCP
//! connections outlive every change. A frontend without backends has no listener, so that clients
//! get `ECONNREFUSED` from the kernel.
//!
//! With a [`Handover`] it chooses nothing: it hands connections in to another data path, which
//! does.
//!
//! **Does not** decide which endpoints may be used.
#![forbid(unsafe_code)]

mod bind;
mod handover;
mod metrics;
mod problems;
mod relay;
mod tcp;
mod udp;

pub use handover::{Handover, Known, SocketSource};
pub use metrics::Metrics;
pub use relay::{Relay, Settings};

#[cfg(test)]
mod tests;
