//! What the node's service proxy does with a connection: which address and port listens for which
//! Service, and which endpoints may answer.
//!
//! ```text
//! Snapshot ─plan_service─► ServicePlan ─plan/Planner─► Desired ─diff─► Changes ─► a data plane
//! ```
//!
//! The words are those of kube-proxy: traffic policies, topology hints, terminating endpoints
//! (KEP-1669), session affinity. A data plane gets for every [`Frontend`] a [`Route`] that leaves
//! it nothing to decide but which of the equal backends comes next, and for that there is
//! [`Balancer`].
//!
//! **Invariants.** One Service's plan never depends on another Service; who wins a frontend that
//! two Services claim depends on the claims alone, so that planning one Service again gives what
//! planning all of them would.
//!
//! **Does not** open sockets, read a clock or draw random numbers.
#![forbid(unsafe_code)]

mod balancer;
mod diff;
mod endpoints;
mod gotchas;
pub mod kernel;
mod plan;
mod planner;
mod types;

pub use balancer::{AFFINITY_ENTRIES, Balancer};
pub use diff::{Change, Changes, diff};
pub use gotchas::{LoadBalancers, gotchas, selected};
pub use plan::{plan, plan_service};
pub use planner::Planner;
pub use types::{Desired, Frontend, Origin, Policy, Route, ServicePlan, Settings};
