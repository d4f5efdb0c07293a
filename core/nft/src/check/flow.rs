//! Ways between chains, from hooks on.

use super::Found;
use crate::{Base, Chain, ChainKind, Expr, Hook, Name, RejectWith, Ruleset, Set, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Deepest nesting of jumps (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

pub(super) fn check(ruleset: &Ruleset, found: &mut Found) {
    let edges: BTreeMap<&Name, Edges<'_>> = ruleset
        .chains
        .iter()
        .map(|(name, chain)| (name, ways(ruleset, chain)))
        .collect();
    let mut walk = Walk {
        edges: &edges,
        deepest: BTreeMap::new(),
        open: Vec::new(),
        found,
    };
    for name in ruleset.chains.keys() {
        walk.depth(name);
    }
    for (name, chain) in &ruleset.chains {
        if let Some(base) = chain.base {
            check_base(ruleset, name, base, &edges, found);
        }
    }
}

/// Chains that a chain leads to, and whether by jump.
type Edges<'a> = BTreeSet<(&'a Name, bool)>;

fn ways<'a>(ruleset: &'a Ruleset, chain: &'a Chain) -> Edges<'a> {
    let verdicts = chain.rules.iter().flat_map(|rule| &rule.exprs);
    let mut edges = Edges::new();
    for expr in verdicts {
        match expr {
            Expr::Verdict(verdict) => edges.extend(way(verdict)),
            Expr::VerdictMap { set, .. } => {
                let elements = ruleset.sets.get(set).map(|set: &Set| set.elements.values());
                let verdicts = elements.into_iter().flatten().map(|element| &element.value);
                edges.extend(verdicts.filter_map(|value| match value {
                    crate::Value::Verdict(verdict) => way(verdict),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    edges
}

fn way(verdict: &Verdict) -> Option<(&Name, bool)> {
    match verdict {
        Verdict::Jump(to) => Some((to, true)),
        Verdict::Goto(to) => Some((to, false)),
        _ => None,
    }
}

/// Depth-first search for loops and for the deepest nesting.
struct Walk<'a, 'f> {
    edges: &'a BTreeMap<&'a Name, Edges<'a>>,
    deepest: BTreeMap<&'a Name, usize>,
    open: Vec<&'a Name>,
    found: &'f mut Found,
}

impl<'a> Walk<'a, '_> {
    /// Jumps below a chain at most.
    fn depth(&mut self, name: &'a Name) -> usize {
        if let Some(known) = self.deepest.get(name) {
            return *known;
        }
        if self.open.contains(&name) {
            self.found.at(name, None);
            self.found.say("leads back to itself");
            return 0;
        }
        self.open.push(name);
        let edges = self.edges.get(name).into_iter().flatten();
        let mut deepest = 0;
        for (to, jump) in edges {
            deepest = deepest.max(self.depth(to) + usize::from(*jump));
        }
        self.open.pop();
        if deepest >= DEPTH {
            self.found.at(name, None);
            self.found.say(format!(
                "{deepest} jumps deep, fewer than {DEPTH} are taken"
            ));
        }
        self.deepest.insert(name, deepest);
        deepest
    }
}

/// Expressions of all chains that a hook gets to must be taken there.
fn check_base(
    ruleset: &Ruleset,
    name: &Name,
    base: Base,
    edges: &BTreeMap<&Name, Edges<'_>>,
    found: &mut Found,
) {
    if base.kind == ChainKind::Nat && base.hook == Hook::Forward {
        found.at(name, None);
        found.say("there is no NAT in forward");
    }
    let mut seen = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(at) = open.pop() {
        let rules = ruleset.chains.get(at).map(|chain| &chain.rules);
        for (number, rule) in rules.into_iter().flatten().enumerate() {
            let refused = rule.exprs.iter().find(|expr| !taken(expr, base));
            if let Some(expr) = refused {
                found.at(at, Some(number));
                found.say(format!(
                    "{name} gets here, and {} does not take {expr}",
                    base.hook
                ));
            }
        }
        let next = edges.get(at).into_iter().flatten();
        open.extend(next.map(|(to, _)| *to).filter(|to| seen.insert(to)));
    }
}

fn taken(expr: &Expr, base: Base) -> bool {
    use Hook::{Output, Postrouting, Prerouting};
    match expr {
        Expr::Dnat { .. } => {
            base.kind == ChainKind::Nat && matches!(base.hook, Prerouting | Output)
        }
        Expr::Masquerade { .. } => base.kind == ChainKind::Nat && base.hook == Postrouting,
        Expr::Reject(RejectWith::PortUnreachable | RejectWith::TcpReset) => {
            base.hook != Postrouting
        }
        Expr::Notrack => {
            base.kind == ChainKind::Filter
                && matches!(base.hook, Prerouting | Output)
                && base.priority < -200
        }
        _ => true,
    }
}
