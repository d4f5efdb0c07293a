//! The embedded mode's node: it runs Pods as processes of this machine.
//!
//! ```text
//! Event ─observe─► Runner ─► one task per Pod: Machine decides, the task starts, stops and probes
//!                                              └─status─► Write ─► whoever submits them
//! ```
//!
//! **Invariants.** A Pod that is bound to another Node is never touched. What a container may or
//! must do next is decided by `machine`, which does no I/O and is told the time. Processes get
//! an address of the pod range as `POD_IP`, and a network of their own where [`Settings::network`]
//! makes one; nothing pretends to be a container runtime.
//!
//! **Does not** talk to the API server: reads go through [`model::View`], writes are handed out.
#![forbid(unsafe_code)]

mod addresses;
mod attach;
mod clock;
mod echo;
mod env;
mod hostname;
mod leftover;
mod listen;
mod logs;
mod machine;
#[cfg(test)]
mod memory;
mod names;
mod network;
mod node;
mod probe;
mod process;
mod quantity;
mod runner;
mod session;
mod settings;
mod spawn;
mod spec;
mod tokens;
mod volumes;
mod wire;
mod worker;

pub use network::{Files, Kind, Network, NetworkSource, Place};
pub use runner::{LogError, LogOptions, LogStream, Runner, StartError};
pub use session::{Outcome, Session, Streams};
pub use settings::{ImageMap, ImageSource, Settings};
pub use tokens::{Token, TokenSource};
