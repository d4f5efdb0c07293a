//! Which chains and sets rules and elements name.

use crate::{Element, Expr, Name, Rule, Value, Verdict};

impl Verdict {
    /// The chain that it leads to.
    pub fn target(&self) -> Option<&Name> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

impl Expr {
    /// The set that it looks into or changes.
    pub fn set(&self) -> Option<&Name> {
        match self {
            Self::InSet { set, .. }
            | Self::Map { set, .. }
            | Self::VerdictMap { set, .. }
            | Self::Dynset { set, .. } => Some(set),
            _ => None,
        }
    }

    /// The chain that it leads to by itself; those of verdict maps stand in their elements.
    pub fn target(&self) -> Option<&Name> {
        match self {
            Self::Verdict(verdict) => verdict.target(),
            _ => None,
        }
    }
}

impl Rule {
    /// The sets that it names.
    pub fn sets(&self) -> impl Iterator<Item = &Name> {
        self.exprs.iter().filter_map(Expr::set)
    }

    /// The chains that it leads to by itself.
    pub fn targets(&self) -> impl Iterator<Item = &Name> {
        self.exprs.iter().filter_map(Expr::target)
    }
}

impl Element {
    /// The chain that it leads to.
    pub fn target(&self) -> Option<&Name> {
        match &self.value {
            Value::Verdict(verdict) => verdict.target(),
            _ => None,
        }
    }
}
