//! A packet's way in words.

use super::{Fate, Outcome, Step};
use crate::{RejectWith, Ruleset};
use std::fmt::{self, Display, Formatter};

impl Outcome {
    /// The way in the words of the ruleset that it went through: hooks, the rules that held and
    /// the elements that they found, and the end.
    pub fn explain<'a>(&'a self, ruleset: &'a Ruleset) -> impl Display + 'a {
        Explanation(self, ruleset)
    }
}

struct Explanation<'a>(&'a Outcome, &'a Ruleset);

impl Display for Explanation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(outcome, ruleset) = self;
        for step in &outcome.path {
            write_step(step, ruleset, f)?;
        }
        write!(f, "{}", outcome.fate)
    }
}

fn write_step(step: &Step, ruleset: &Ruleset, f: &mut Formatter<'_>) -> fmt::Result {
    match step {
        Step::Hook(hook) => writeln!(f, "{hook}"),
        Step::Rule { chain, rule } => {
            let rules = ruleset.chains.get(chain).map(|chain| &chain.rules);
            match rules.and_then(|rules| rules.get(*rule)) {
                Some(text) => writeln!(f, "  {chain}: {text}"),
                None => writeln!(f, "  {chain}: rule {rule}"),
            }
        }
        Step::Element { set, key } => {
            let found = ruleset.sets.get(set);
            match found.and_then(|found| Some((found, found.elements.get(key)?))) {
                Some((found, element)) => {
                    writeln!(f, "    @{set}: {}", element.with_types(Some(&found.spec)))
                }
                None => writeln!(f, "    @{set}: {}", crate::text::key(found, key)),
            }
        }
    }
}

impl Display for Fate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered {
                source,
                destination,
            } => write!(f, "delivered {source} -> {destination}"),
            Self::Forwarded {
                source,
                destination,
                interface,
            } => write!(f, "forwarded by {interface} {source} -> {destination}"),
            Self::Refused(RejectWith::PortUnreachable) => f.write_str("refused"),
            Self::Refused(RejectWith::TcpReset) => f.write_str("refused with tcp reset"),
            Self::Dropped => f.write_str("dropped"),
            Self::Unroutable => f.write_str("no route"),
        }
    }
}
