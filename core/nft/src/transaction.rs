//! Steps from one ruleset to another.

use crate::{Base, Element, Name, Rule, SetSpec};

/// One step. All are about one table, which the first batch makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Make a chain
    AddChain(Name, Option<Base>),
    /// Make a set
    AddSet(Name, SetSpec),
    /// Take elements out of a set; only their keys count
    DeleteElements(Name, Vec<Element>),
    /// Put elements into a set
    AddElements(Name, Vec<Element>),
    /// Take all rules out of a chain
    FlushChain(Name),
    /// Put a rule at the end of a chain
    AddRule(Name, Rule),
    /// Remove an empty chain that nothing jumps to
    DeleteChain(Name),
    /// Remove a set that no rule names
    DeleteSet(Name),
}

impl Op {
    /// Name of the chain or set that it is about.
    pub fn object(&self) -> &Name {
        match self {
            Self::AddChain(name, _)
            | Self::AddSet(name, _)
            | Self::DeleteElements(name, _)
            | Self::AddElements(name, _)
            | Self::FlushChain(name)
            | Self::AddRule(name, _)
            | Self::DeleteChain(name)
            | Self::DeleteSet(name) => name,
        }
    }
}

/// Steps that the kernel takes all or none of, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The steps
    pub ops: Vec<Op>,
}

impl Transaction {
    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// This transaction without the chain removals at its end, and those. Kernels before 6.2
    /// refuse to remove a chain in the batch that removes the map elements that led to it.
    pub fn split_removals(mut self) -> (Self, Self) {
        let removal = |op: &Op| matches!(op, Op::DeleteChain(_));
        let last = self.ops.iter().rposition(|op| !removal(op));
        let later = self.ops.split_off(last.map_or(0, |last| last + 1));
        (self, Self { ops: later })
    }
}
