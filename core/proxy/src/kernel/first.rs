//! The first ruleset of a node, in parts.

use super::draft::Draft;
use super::endpoints::Here;
use super::entry::{Entry, plan_entry};
use super::flush::UdpTargets;
use super::planner::begin;
use super::{NodeSettings, RulesetPlanner, Update};
use model::{ChangedKeys, NamespacedName, Snapshot};
use nft::Transaction;
use std::collections::{BTreeMap, BTreeSet};

/// A good size of parts: a kernel takes one in some ten milliseconds.
pub const PART: usize = 5_000;

impl RulesetPlanner {
    /// Plans a node that has no table yet, like [`RulesetPlanner::update`] on a new planner, and
    /// hands out parts of about `size` elements, which a kernel can take while the next ones are
    /// planned. They fill sets that nothing looks at before the rules come, which is with the
    /// update's own transaction: to be taken last, and only if all parts were taken.
    pub fn first(
        &mut self,
        snapshot: &Snapshot,
        changed: &ChangedKeys,
        size: usize,
        part: &mut dyn FnMut(Transaction),
    ) -> Update {
        if self.begun {
            return self.update(snapshot, changed);
        }
        self.begun = true;
        self.zone = Here::new(snapshot, &self.settings.node_name)
            .zone
            .map(str::to_owned);
        let mut coming = Coming {
            draft: Draft::default(),
            settings: self.settings.clone(),
        };
        begin(&self.settings, &mut coming.draft);
        let mut rivals = BTreeSet::new();
        let mut held = BTreeMap::new();
        for id in &changed.services {
            let Some(entry) = plan_entry(snapshot, id, &self.settings) else {
                continue;
            };
            self.claims.add(id, &entry, &mut rivals);
            if rivals.contains(id) {
                held.insert(id.clone(), entry);
                continue;
            }
            self.come(id, &Entry::default(), entry, &mut coming);
            if coming.draft.additions() >= size {
                part(coming.draft.take_part());
            }
        }
        if !rivals.is_empty() {
            // What some of them have to give back must be there.
            part(coming.draft.take_part());
            self.grant_rivals(rivals, held, &mut coming);
        }
        let flows = self.come_along(&coming.settings);
        self.finish(coming.draft, flows, &BTreeSet::new())
    }

    /// Of those that want the same, the first to come was taken for the only one, and the others
    /// were held back. Now everyone is known.
    fn grant_rivals(
        &mut self,
        rivals: BTreeSet<NamespacedName>,
        mut held: BTreeMap<NamespacedName, Entry>,
        coming: &mut Coming,
    ) {
        for id in rivals {
            let before = self.entries.remove(&id).unwrap_or_default();
            let mut after = held.remove(&id).unwrap_or_else(|| before.clone());
            self.claims.grant(&id, &mut after);
            self.come(&id, &before, after, coming);
        }
    }

    fn come(&mut self, id: &NamespacedName, before: &Entry, entry: Entry, coming: &mut Coming) {
        let Coming { draft, settings } = coming;
        self.change_elements(id, before, &entry, settings, draft);
        self.entries.insert(id.clone(), entry);
    }

    /// What there is besides elements.
    fn come_along(&mut self, settings: &NodeSettings) -> UdpTargets {
        let mut flows = UdpTargets::default();
        let (none, entries) = (Entry::default(), std::mem::take(&mut self.entries));
        for (id, entry) in &entries {
            self.change_besides(id, &none, entry, settings);
            flows.change(&none, Some(entry));
        }
        self.entries = entries;
        flows
    }
}

/// What is on its way to the kernel.
struct Coming {
    draft: Draft,
    settings: NodeSettings,
}
