//! The service proxy in the kernel: Services, endpoints and a node become one nf_tables ruleset.
//!
//! ```text
//! Snapshot ─► plan of each Service ─► elements ─► nft::Transaction (what changed)
//!                                        └──────► nft::Ruleset (the whole)
//! ```
//!
//! Rules grow with the *shapes* of Services (how many slots, which policy), never with their
//! number: what is particular to a Service is elements of hash sets and maps. A Service port is
//! known by its identity, (cluster IP, protocol, port).
//!
//! **Invariants.** Applying every transaction of a [`RulesetPlanner`] in turn gives what
//! [`plan_ruleset`] gives of the whole; the order of events does not matter.
//!
//! **Does not** speak netlink.

mod flush;
mod health;
mod planner;
mod settings;

pub use flush::{ConntrackFlush, FlushTarget};
pub use health::{HealthPort, NoLocalEndpoints};
pub use planner::{RulesetPlanner, Update, plan_ruleset};
pub use settings::{DetectLocal, NodePortAddresses, NodeSettings};
