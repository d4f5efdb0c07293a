//! Rulesets of the kernel's packet filter (nf_tables) as values: what a ruleset holds, how two of
//! them differ, how one reads as text, and what it does with a packet.
//!
//! ```text
//! Ruleset ─diff─► Transaction ─► an edge that speaks netlink
//!    └─────trace(packet)─► verdict
//! ```
//!
//! Rules are the kernel's own expressions over sixteen 32-bit registers, one value for each, so
//! that what is planned, sent, dumped and traced is the same thing. The words are those of the
//! kernel's `nf_tables.h`.
//!
//! **Invariants.** `diff(r, r)` is empty; applying `diff(wanted, present)` to `present` gives
//! `wanted`. A transaction is ordered so that the kernel can take it in one batch: no operation
//! names something that is not there yet, or not there any more.
//!
//! **Does not** know Services, nor open sockets.
#![forbid(unsafe_code)]

mod apply;
mod check;
mod data;
mod diff;
mod expr;
mod hash;
mod names;
mod ruleset;
mod text;
pub mod trace;
mod transaction;

pub use apply::{ApplyError, ApplyErrorReason};
pub use check::{Violation, check};
pub use data::{Data, MAX_DATA};
pub use diff::diff;
pub use expr::{
    CmpOp, CtDirection, CtKey, DynsetOp, Expr, Family, FibResult, MetaKey, PayloadBase, Reg,
    RejectWith, Verdict, state, status,
};
pub use hash::{jhash, scale};
pub use ruleset::{
    Base, Chain, ChainKind, Element, FieldType, Hook, Name, Rule, Ruleset, Set, SetSpec, SetValue,
    Value,
};
pub use transaction::{Op, Transaction};
