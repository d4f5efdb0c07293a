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
//! The first packet of a connection goes from `prerouting` or `output` to `services4` or
//! `services6`, where map `services` has its shape, and map `shapes` the chain of that. The chain finds the identity,
//! chooses a slot, finds the endpoint in map `endpoints` and rewrites the destination.
//! `postrouting` masquerades what a mark or the set `hairpin` asks for.
//!
//! **Invariants.** Applying every transaction of a [`RulesetPlanner`] in turn gives what
//! [`plan_ruleset`] gives of the whole; the order of events does not matter. One Service changed
//! costs what that Service costs. The first ruleset can be handed over in parts, of which all but
//! the last only fill sets, so that nothing is seen of it before it is whole.
//!
//! **Does not** speak netlink.

mod claims;
pub mod config;
mod conflicts;
mod consistent;
mod draft;
mod endpoints;
mod entry;
mod explain;
mod first;
mod flush;
mod forgetting;
mod gone;
mod health;
mod hooks;
mod items;
mod localhost;
mod planner;
mod results;
mod sets;
mod settings;
mod shape;
mod skeleton;
mod steps;
mod weights;
mod whole;

pub use consistent::BALANCE;
pub use explain::PortName;
pub use first::PART;
pub use flush::{ConntrackFlush, FlushTarget};
pub use forgetting::Forgetting;
pub use health::{HealthPort, NoLocalEndpoints, node_eligible};
pub use hooks::HookSlots;
pub use planner::{RulesetPlanner, Update};
pub use settings::{DetectLocal, NodePortAddresses, NodeSettings};
pub use weights::{WEIGHT, WEIGHTS};
pub use whole::plan_ruleset;
