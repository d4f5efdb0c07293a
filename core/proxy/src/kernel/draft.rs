//! A transaction in the making.

use super::NodeSettings;
use super::items::{SetKey, Shared, bare, shared_element};
use super::sets::{SetId, set_name};
use super::shape::Shape;
use nft::{Element, Name, Op, Rule, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// How many elements name each shape, and which chains exist.
#[derive(Default)]
pub(super) struct Shapes {
    used: BTreeMap<Shape, usize>,
    /// Those that no element names any more
    unused: BTreeSet<Shape>,
}

impl Shapes {
    /// One element more names the chain, which is made if it is not there.
    pub(super) fn take(&mut self, shape: Shape, fresh: &mut BTreeSet<Shape>) {
        shape.with_parts(|part| match self.used.get_mut(&part) {
            Some(count) => *count += 1,
            None => {
                if !self.unused.remove(&part) {
                    fresh.insert(part);
                }
                self.used.insert(part, 1);
            }
        });
    }

    /// One element less names the chain.
    pub(super) fn leave(&mut self, shape: Shape) {
        shape.with_parts(|part| {
            let Some(count) = self.used.get_mut(&part) else {
                return;
            };
            *count -= 1;
            if *count == 0 {
                self.used.remove(&part);
                self.unused.insert(part);
            }
        });
    }

    /// Chains that are there, in use or not.
    pub(super) fn existing(&self) -> impl Iterator<Item = Shape> {
        self.used.keys().chain(&self.unused).copied()
    }

    /// Whether chains wait for their removal.
    pub(super) fn has_unused(&self) -> bool {
        !self.unused.is_empty()
    }

    /// Chains that were out of use already.
    pub(super) fn unused(&self) -> BTreeSet<Shape> {
        self.unused.clone()
    }

    /// Forgets those of `before` that are still out of use, and gives them.
    fn remove_unused(&mut self, before: &BTreeSet<Shape>) -> Vec<Shape> {
        let gone = before.iter().copied();
        gone.filter(|shape| self.unused.remove(shape)).collect()
    }
}

/// Counts of things that Services have in common.
#[derive(Default)]
pub(super) struct SharedCounts {
    counts: BTreeMap<Shared, u32>,
}

impl SharedCounts {
    /// Things that are there.
    pub(super) fn present(&self) -> impl Iterator<Item = Shared> {
        self.counts.keys().copied()
    }

    /// One Service more wants the thing.
    pub(super) fn more(&mut self, thing: Shared, draft: &mut Draft) {
        let count = self.counts.entry(thing).or_insert(0);
        *count += 1;
        if *count > 1 {
            return;
        }
        match shared_element(thing) {
            Some((set, key)) => draft.add(set, bare(key)),
            None => draft.prefixes_changed = true,
        }
    }

    /// One Service less wants it.
    pub(super) fn less(&mut self, thing: Shared, draft: &mut Draft) {
        let Some(count) = self.counts.get_mut(&thing) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.counts.remove(&thing);
        // Should another Service want it later in the same batch, it goes and comes; whoever loses
        // it had it before, so that it never comes and goes.
        match shared_element(thing) {
            Some((set, key)) => draft.delete(set, bare(key)),
            None => draft.prefixes_changed = true,
        }
    }
}

/// What a transaction will hold, by kind of step.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) deletes: BTreeMap<SetKey, Vec<Element>>,
    pub(super) adds: BTreeMap<SetKey, Vec<Element>>,
    /// Chains to make
    pub(super) fresh: BTreeSet<Shape>,
    /// Steps before all others
    pub(super) first: Vec<Op>,
    /// Steps after chains were made, before elements
    pub(super) rules: Vec<Op>,
    /// Steps after all others
    pub(super) last: Vec<Op>,
    /// A length of source ranges came or went
    pub(super) prefixes_changed: bool,
    /// Number of elements in `adds`
    additions: usize,
}

impl Draft {
    pub(super) fn delete(&mut self, set: SetKey, element: Element) {
        self.deletes.entry(set).or_default().push(element);
    }

    pub(super) fn add(&mut self, set: SetKey, element: Element) {
        self.adds.entry(set).or_default().push(element);
        self.additions += 1;
    }

    /// Number of elements that come.
    pub(super) fn additions(&self) -> usize {
        self.additions
    }

    /// Takes out what can come before all rules: new sets, and elements, none of which leads to a
    /// chain yet.
    pub(super) fn take_part(&mut self) -> Transaction {
        let is_set = |op: &mut Op| matches!(op, Op::AddSet(..));
        let mut ops: Vec<Op> = self.first.extract_if(.., is_set).collect();
        ops.extend(additions(std::mem::take(&mut self.adds)));
        self.additions = 0;
        Transaction { ops }
    }

    /// Rules of a chain, in the place of those it has.
    pub(super) fn rewrite(&mut self, chain: &Name, rules: Vec<Rule>) {
        self.rules.push(Op::FlushChain(chain.clone()));
        self.fill(chain, rules);
    }

    /// Rules of a chain that has none.
    pub(super) fn fill(&mut self, chain: &Name, rules: Vec<Rule>) {
        let add = |rule| Op::AddRule(chain.clone(), rule);
        self.rules.extend(rules.into_iter().map(add));
    }

    /// The steps in an order in which nothing is named before it is there, nor after it went.
    pub(super) fn finish(
        mut self,
        shapes: &mut Shapes,
        unused_before: &BTreeSet<Shape>,
        settings: &NodeSettings,
    ) -> Transaction {
        let mut ops = std::mem::take(&mut self.first);
        let fresh: Vec<Shape> = std::mem::take(&mut self.fresh).into_iter().collect();
        ops.extend(fresh.iter().map(|shape| Op::AddChain(shape.name(), None)));
        for shape in &fresh {
            self.fill(&shape.name(), shape.rules(settings));
            self.add((SetId::Shapes, shape.family()), shape.element());
        }
        // Those that went out of use in this very transaction wait for the next one.
        let gone = shapes.remove_unused(unused_before);
        for shape in &gone {
            self.delete((SetId::Shapes, shape.family()), shape.element());
        }
        ops.append(&mut self.rules);
        for ((set, family), elements) in self.deletes {
            ops.push(Op::DeleteElements(set_name(set, family), elements));
        }
        ops.extend(additions(self.adds));
        ops.extend(gone.iter().map(|shape| Op::FlushChain(shape.name())));
        ops.extend(gone.iter().map(|shape| Op::DeleteChain(shape.name())));
        ops.append(&mut self.last);
        Transaction { ops }
    }
}

fn additions(adds: BTreeMap<SetKey, Vec<Element>>) -> impl Iterator<Item = Op> {
    let add = |((set, family), elements)| Op::AddElements(set_name(set, family), elements);
    adds.into_iter().map(add)
}
