//! What a ruleset does with a packet: an interpreter of the register machine, with the hooks,
//! connection tracking and NAT of the kernel around it.
//!
//! ```text
//! from an interface: prerouting ─► route ─┬─► input                     ─► Delivered
//!                                         └─► forward ─► postrouting    ─► Forwarded
//! from a process:    output ─► route ─► postrouting ─┬─► (out)          ─► Forwarded
//!                                                    └─► lo: prerouting ─► input ─► Delivered
//! ```
//!
//! The world is a value: addresses, routes, connections, elements that rules added, and the time.
//! Random numbers are an input, so that all of them can be tried ([`trace_all`]).
//!
//! **Does not** know fragments, ICMP errors about other packets, nor interfaces that filter.

mod choices;
mod conntrack;
mod explain;
mod hooks;
mod machine;
mod packet;
mod world;

use crate::{Data, Hook, Name, RejectWith, Ruleset};
pub use choices::Choices;
pub use conntrack::{Connection, Tuple};
pub use packet::{Origin, Packet, icmp, tcp};
use std::net::SocketAddr;
pub use world::{DynamicElement, Interface, Route, World};

/// What became of a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// What became of it
    pub fate: Fate,
    /// Packet mark at the end
    pub mark: u32,
    /// What it passed, in order
    pub path: Vec<Step>,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// A process of this machine gets it
    Delivered {
        /// As the process sees it
        source: SocketAddr,
        /// As the process sees it
        destination: SocketAddr,
    },
    /// It leaves by an interface
    Forwarded {
        /// As the receiver sees it
        source: SocketAddr,
        /// As the receiver sees it
        destination: SocketAddr,
        /// Name of the interface
        interface: Name,
    },
    /// The sender is told
    Refused(RejectWith),
    /// The sender is not told
    Dropped,
    /// There is no route to the destination
    Unroutable,
}

/// One thing on a packet's way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It came to a hook
    Hook(Hook),
    /// Each expression of a rule held
    Rule {
        /// Name of the chain
        chain: Name,
        /// Number of the rule, from 0
        rule: usize,
    },
    /// An element was found
    Element {
        /// Name of the set
        set: Name,
        /// Key of the element
        key: Data,
    },
}

/// Sends a packet: what becomes of it, with the connection and the dynamic elements that it leaves
/// behind in the world.
pub fn send(
    ruleset: &Ruleset,
    world: &mut World,
    packet: &Packet,
    choices: &mut Choices,
) -> Outcome {
    hooks::walk(ruleset, world, packet, choices)
}

/// Sends a packet once for each sequence of random numbers that its rules may draw, always into
/// the same world; gives each outcome with the world after it. At most `limit` of them.
pub fn trace_all(
    ruleset: &Ruleset,
    world: &World,
    packet: &Packet,
    limit: usize,
) -> Vec<(Outcome, World)> {
    let mut found = Vec::new();
    let mut next = Some(Choices::default());
    while let Some(mut choices) = next.take().filter(|_| found.len() < limit) {
        let mut after = world.clone();
        let outcome = send(ruleset, &mut after, packet, &mut choices);
        found.push((outcome, after));
        next = choices.next();
    }
    found
}

#[cfg(test)]
mod tests;
