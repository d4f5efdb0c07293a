//! What turns one ruleset into another.

use crate::{Chain, Element, Name, Op, Ruleset, Set, SetValue, Transaction};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

/// Steps from `present` to `wanted`, in an order that the kernel takes in one batch: first whatever
/// stands in the way goes (rules of changed chains, elements, objects of the same name but another
/// kind), then new chains, sets and elements come, then rules, and what nobody names any more goes
/// last.
///
/// A chain with another hook and a set with another specification are made anew, together with
/// the rules and elements that name them. Elements of dynamic sets are the kernel's own business.
pub fn diff(wanted: &Ruleset, present: &Ruleset) -> Transaction {
    let remade = Remade::find(wanted, present);
    let mut ops = Vec::new();
    let rewritten = flush_chains(wanted, present, &remade, &mut ops);
    delete_elements(wanted, present, &remade, &mut ops);
    remade.delete(&mut ops);
    add_objects(wanted, present, &remade, &mut ops);
    add_elements(wanted, present, &remade, &mut ops);
    for name in rewritten {
        let rules = wanted.chains[name].rules.iter().cloned();
        ops.extend(rules.map(|rule| Op::AddRule(name.clone(), rule)));
    }
    delete_objects(wanted, present, &mut ops);
    Transaction { ops }
}

/// Objects that stay by name but not by kind.
struct Remade<'a> {
    chains: BTreeSet<&'a Name>,
    sets: BTreeSet<&'a Name>,
}

impl<'a> Remade<'a> {
    fn find(wanted: &'a Ruleset, present: &'a Ruleset) -> Self {
        let chains = wanted.chains.iter().filter(|(name, chain)| {
            let old = present.chains.get(*name);
            old.is_some_and(|old| old.base != chain.base)
        });
        let sets = wanted.sets.iter().filter(|(name, set)| {
            let old = present.sets.get(*name);
            old.is_some_and(|old| old.spec != set.spec)
        });
        Self {
            chains: chains.map(|(name, _)| name).collect(),
            sets: sets.map(|(name, _)| name).collect(),
        }
    }

    /// True when a rule of the chain names an object that is made anew.
    fn touch(&self, chain: &Chain) -> bool {
        let nothing = self.chains.is_empty() && self.sets.is_empty();
        !nothing
            && chain.rules.iter().any(|rule| {
                rule.sets().any(|set| self.sets.contains(set))
                    || rule.targets().any(|target| self.chains.contains(target))
            })
    }

    fn touches(&self, element: &Element) -> bool {
        !self.chains.is_empty()
            && element
                .target()
                .is_some_and(|target| self.chains.contains(target))
    }

    fn delete(&self, ops: &mut Vec<Op>) {
        let sets = self.sets.iter().map(|name| Op::DeleteSet((*name).clone()));
        ops.extend(sets);
        let chains = self.chains.iter();
        ops.extend(chains.map(|name| Op::DeleteChain((*name).clone())));
    }
}

/// Flushes chains whose rules do not stay; gives those that get rules.
fn flush_chains<'a>(
    wanted: &'a Ruleset,
    present: &Ruleset,
    remade: &Remade<'_>,
    ops: &mut Vec<Op>,
) -> Vec<&'a Name> {
    let stays = |name: &Name, old: &Chain| {
        let new = wanted.chains.get(name);
        new.is_some_and(|new| new == old) && !remade.touch(old)
    };
    let flushed = present.chains.iter();
    let flushed = flushed.filter(|(name, old)| !old.rules.is_empty() && !stays(name, old));
    ops.extend(flushed.map(|(name, _)| Op::FlushChain(name.clone())));
    let written = wanted.chains.iter().filter(|(name, new)| {
        let old = present.chains.get(*name);
        !new.rules.is_empty() && !old.is_some_and(|old| stays(name, old))
    });
    written.map(|(name, _)| name).collect()
}

fn delete_elements(wanted: &Ruleset, present: &Ruleset, remade: &Remade<'_>, ops: &mut Vec<Op>) {
    for (name, old) in present.sets.iter().filter(|(_, set)| !set.spec.dynamic) {
        let new = wanted
            .sets
            .get(name)
            .filter(|_| !remade.sets.contains(name));
        let gone: Vec<Element> = match new {
            Some(new) => pairs(&old.elements, &new.elements)
                .filter_map(|(old, new)| {
                    old.filter(|_| new.is_none_or(|new| changed(old, new, remade)))
                })
                .cloned()
                .collect(),
            // Kernels before 6.4 release the chains of a map's elements too late for the same
            // batch, so these go one by one.
            None if old.spec.value == SetValue::Verdict => old.elements.values().cloned().collect(),
            None => Vec::new(),
        };
        if !gone.is_empty() {
            ops.push(Op::DeleteElements(name.clone(), gone));
        }
    }
}

fn changed(old: Option<&Element>, new: &Element, remade: &Remade<'_>) -> bool {
    old.is_none_or(|old| old != new || remade.touches(new))
}

fn add_objects(wanted: &Ruleset, present: &Ruleset, remade: &Remade<'_>, ops: &mut Vec<Op>) {
    for (name, chain) in &wanted.chains {
        if !present.chains.contains_key(name) || remade.chains.contains(name) {
            ops.push(Op::AddChain(name.clone(), chain.base));
        }
    }
    for (name, set) in &wanted.sets {
        if !present.sets.contains_key(name) || remade.sets.contains(name) {
            ops.push(Op::AddSet(name.clone(), set.spec.clone()));
        }
    }
}

fn add_elements(wanted: &Ruleset, present: &Ruleset, remade: &Remade<'_>, ops: &mut Vec<Op>) {
    let nothing = BTreeMap::new();
    for (name, new) in wanted.sets.iter().filter(|(_, set)| !set.spec.dynamic) {
        let old = present
            .sets
            .get(name)
            .filter(|_| !remade.sets.contains(name));
        let old = old.map_or(&nothing, |old: &Set| &old.elements);
        let fresh: Vec<Element> = pairs(old, &new.elements)
            .filter_map(|(old, new)| new.filter(|new| changed(old, new, remade)))
            .cloned()
            .collect();
        if !fresh.is_empty() {
            ops.push(Op::AddElements(name.clone(), fresh));
        }
    }
}

fn delete_objects(wanted: &Ruleset, present: &Ruleset, ops: &mut Vec<Op>) {
    let sets = present.sets.keys();
    let sets = sets.filter(|name| !wanted.sets.contains_key(*name));
    ops.extend(sets.map(|name| Op::DeleteSet(name.clone())));
    let chains = present.chains.keys();
    let chains = chains.filter(|name| !wanted.chains.contains_key(*name));
    ops.extend(chains.map(|name| Op::DeleteChain(name.clone())));
}

/// Both sides of two ordered maps, key by key.
struct Pairs<A: Iterator, B: Iterator> {
    left: Peekable<A>,
    right: Peekable<B>,
}

fn pairs<'a, K: Ord, V>(
    left: &'a BTreeMap<K, V>,
    right: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (Option<&'a V>, Option<&'a V>)> {
    Pairs {
        left: left.iter().peekable(),
        right: right.iter().peekable(),
    }
}

impl<'a, K: Ord + 'a, V: 'a, A, B> Iterator for Pairs<A, B>
where
    A: Iterator<Item = (&'a K, &'a V)>,
    B: Iterator<Item = (&'a K, &'a V)>,
{
    type Item = (Option<&'a V>, Option<&'a V>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.left.peek(), self.right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((left, _)), Some((right, _))) => left.cmp(right),
        };
        let left = if order.is_le() {
            self.left.next()
        } else {
            None
        };
        let right = if order.is_ge() {
            self.right.next()
        } else {
            None
        };
        Some((left.map(|(_, value)| value), right.map(|(_, value)| value)))
    }
}

#[cfg(test)]
mod tests;
