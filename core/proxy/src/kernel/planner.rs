//! The ruleset of a node, kept up to date Service by Service.

use super::claims::{Claimed, Claims};
use super::draft::{Draft, Shapes, SharedCounts};
use super::endpoints::Here;
use super::entry::{Entry, plan_entry};
use super::flush::UdpTargets;
use super::gone::Gone;
use super::health::{Counted, HealthPorts};
use super::hooks::{self, HookSlots, Hooks};
use super::items::{Carry, Item, Items, Shared};
use super::localhost::Localhost;
use super::skeleton::{FAMILIES, range_rules, skeleton};
use super::{ConntrackFlush, HealthPort, NoLocalEndpoints, NodeSettings, conflicts, whole};
use crate::{Changes, Frontend};
use model::{ChangedKeys, NamespacedName, Problem, Resource, Snapshot};
use nft::{Family, Name, Op, Ruleset, Transaction};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What one batch of events asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// What to change in the kernel, all or nothing
    pub transaction: Transaction,
    /// Tracked connections to forget once the transaction is in, for [`super::Forgetting`]
    pub flush: Vec<ConntrackFlush>,
    /// What changes for the userspace relay of NodePorts on loopback addresses
    pub localhost: Changes,
    /// What changes for connect hooks: frontends with their endpoints by slot; without slots, one
    /// that is left to the rules from now on. To be done once the transaction is in
    pub hooks: BTreeMap<Frontend, HookSlots>,
    /// Whether [`RulesetPlanner::health_ports`] changed
    pub health_changed: bool,
}

/// Holds what [`super::plan_ruleset`] would return, at the price of the Services that changed.
pub struct RulesetPlanner {
    pub(super) settings: NodeSettings,
    pub(super) zone: Option<String>,
    pub(super) begun: bool,
    pub(super) entries: BTreeMap<NamespacedName, Entry>,
    pub(super) claims: Claims,
    /// Services that something is wrong with
    troubled: BTreeSet<NamespacedName>,
    shapes: Shapes,
    shared: SharedCounts,
    health: HealthPorts,
    counted: Counted,
    localhost: Localhost,
    hooks: Hooks,
    gone: Gone,
}

impl RulesetPlanner {
    /// A planner that knows of no Service yet and takes the kernel's table for empty.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            zone: None,
            begun: false,
            entries: BTreeMap::new(),
            claims: Claims::default(),
            troubled: BTreeSet::new(),
            shapes: Shapes::default(),
            shared: SharedCounts::default(),
            health: HealthPorts::default(),
            counted: Counted::default(),
            localhost: Localhost::default(),
            hooks: Hooks::default(),
            gone: Gone::default(),
        }
    }

    /// Takes in what changed in `snapshot`. The first call also makes the skeleton. Chains that
    /// fell out of use are removed by a later call, which may come without changes; see
    /// [`RulesetPlanner::has_leftovers`].
    pub fn update(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) -> Update {
        let mut draft = Draft::default();
        if !self.begun {
            self.begun = true;
            begin(&self.settings, &mut draft);
        }
        if changed.has(Resource::NODES) {
            let zone = Here::new(snapshot, &self.settings.node_name).zone;
            if zone != self.zone.as_deref() {
                // Zone hints mean something else now, for every Service.
                self.zone = zone.map(str::to_owned);
                let mut services = changed.services.clone();
                services.extend(snapshot.services.keys().cloned());
                return self.replan(snapshot, &services, draft);
            }
        }
        self.replan(snapshot, &changed.services, draft)
    }

    /// Goes over to other settings, and plans every Service again where that may change something.
    pub fn set_settings(&mut self, snapshot: &Snapshot, settings: NodeSettings) -> Update {
        let old = std::mem::replace(&mut self.settings, settings);
        if !self.begun {
            return Update::default();
        }
        let mut draft = Draft::default();
        let prefixes = self.prefixes();
        let before = skeleton(&old, &prefixes);
        let after = skeleton(&self.settings, &prefixes);
        change_skeleton(&before, &after, &mut draft);
        for shape in self.shapes.existing() {
            let rules = shape.rules(&self.settings);
            if rules != shape.rules(&old) {
                draft.rewrite(&shape.name(), rules);
            }
        }
        let mut services = BTreeSet::new();
        let zone = Here::new(snapshot, &self.settings.node_name).zone;
        if !old.plans_like(&self.settings) || zone != self.zone.as_deref() {
            self.zone = zone.map(str::to_owned);
            services.extend(self.entries.keys().cloned());
            services.extend(snapshot.services.keys().cloned());
        }
        self.replan_with(snapshot, &services, draft, &old)
    }

    /// The settings in force.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// Whether chains wait for their removal: kernels before 6.2 refuse to delete a chain in the
    /// transaction that removes the last element naming it, and for a moment afterwards. Ask for
    /// an update without changes a second later.
    pub fn has_leftovers(&self) -> bool {
        self.shapes.has_unused()
    }

    /// The whole ruleset that the kernel should hold, for comparison with what it holds. Chains
    /// that wait for their removal are not in it.
    pub fn desired(&self) -> Ruleset {
        whole::ruleset(&self.entries, &self.settings)
    }

    /// Every Problem, in order of its object.
    pub fn problems(&self) -> Vec<Problem> {
        let troubled = self.troubled.iter();
        let troubled = troubled.filter_map(|id| Some((id, self.entries.get(id)?)));
        conflicts::problems(troubled, &self.claims)
    }

    /// All that connect hooks should lead: frontends with their endpoints by slot.
    pub fn hooks(&self) -> BTreeMap<Frontend, HookSlots> {
        hooks::whole(&self.entries, &self.settings)
    }

    /// Servers that should listen on `spec.healthCheckNodePort`s, by port.
    pub fn health_ports(&self) -> &BTreeMap<u16, HealthPort> {
        self.health.ports()
    }

    /// Service ports without endpoints here, in one address family.
    pub fn no_local_endpoints(&self, ipv4: bool) -> NoLocalEndpoints {
        self.counted.of(ipv4)
    }

    fn replan(
        &mut self,
        snapshot: &Snapshot,
        services: &BTreeSet<NamespacedName>,
        draft: Draft,
    ) -> Update {
        let settings = self.settings.clone();
        self.replan_with(snapshot, services, draft, &settings)
    }

    /// Plans these Services again, and those that want the same things. `old` are the settings
    /// that present elements were made by.
    fn replan_with(
        &mut self,
        snapshot: &Snapshot,
        services: &BTreeSet<NamespacedName>,
        mut draft: Draft,
        old: &NodeSettings,
    ) -> Update {
        let unused_before = self.shapes.unused();
        let mut flows = UdpTargets::default();
        let mut steps: Vec<Replaced> = Vec::with_capacity(services.len());
        let mut rivals = BTreeSet::new();
        for id in services {
            let before = self.entries.remove(id).unwrap_or_default();
            self.claims.remove(id, &before, &mut rivals);
            steps.push(Replaced {
                id: id.clone(),
                before,
                after: None,
            });
        }
        for step in &mut steps {
            if let Some(entry) = plan_entry(snapshot, &step.id, &self.settings) {
                self.claims.add(&step.id, &entry, &mut rivals);
                step.after = Some(entry);
            }
        }
        for id in rivals.difference(services) {
            if let Some(entry) = self.entries.remove(id) {
                steps.push(Replaced {
                    id: id.clone(),
                    before: entry.clone(),
                    after: Some(entry),
                });
            }
        }
        for Replaced { id, before, after } in steps {
            let mut after = after;
            if let Some(after) = after.as_mut().filter(|_| rivals.contains(&id)) {
                self.claims.grant(&id, after);
            }
            self.change(&id, &before, after.as_ref(), old, &mut draft);
            flows.change(&before, after.as_ref());
            if let Some(after) = after {
                self.entries.insert(id, after);
            }
        }
        self.finish(draft, flows, &unused_before)
    }

    /// Notes what is different about one Service.
    fn change(
        &mut self,
        id: &NamespacedName,
        before: &Entry,
        after: Option<&Entry>,
        old: &NodeSettings,
        draft: &mut Draft,
    ) {
        let empty = Entry::default();
        let entry = after.unwrap_or(&empty);
        self.change_besides(id, before, entry, old);
        self.change_elements(id, before, entry, old, draft);
    }

    /// Notes what is different besides elements.
    pub(super) fn change_besides(
        &mut self,
        id: &NamespacedName,
        before: &Entry,
        entry: &Entry,
        old: &NodeSettings,
    ) {
        if conflicts::is_troubled(entry) {
            self.troubled.insert(id.clone());
        } else {
            self.troubled.remove(id);
        }
        self.health.change(id, before.health, entry.health);
        self.counted.change(before, entry);
        self.localhost
            .change(id, before, entry, old, &self.settings);
        self.hooks.change(before, entry, old, &self.settings);
        self.gone.change(before, entry, &self.settings);
    }

    /// Puts into the draft which elements come and go.
    pub(super) fn change_elements(
        &mut self,
        id: &NamespacedName,
        before: &Entry,
        entry: &Entry,
        old: &NodeSettings,
        draft: &mut Draft,
    ) {
        let present = Items::of(before, old);
        let wanted = Items::of(entry, &self.settings);
        let is_in = |all: &[Shared], thing| all.binary_search(thing).is_ok();
        for thing in &present.shared {
            if !is_in(&wanted.shared, thing) {
                self.shared.less(*thing, draft);
            }
        }
        for thing in &wanted.shared {
            if !is_in(&present.shared, thing) {
                self.shared.more(*thing, draft);
            }
        }
        let name = |of: &Entry, item: &Item| -> Option<Box<str>> {
            let index = item.port?;
            of.ports.get(index as usize).map(|port| port.name.clone())
        };
        let same = |old: &Item, new: &Item| {
            old.carry == new.carry && name(before, old) == name(entry, new)
        };
        compare(present.own, wanted.own, same, |step| match step {
            Step::Go(item) => {
                if let Carry::Shape(shape) = item.carry {
                    self.shapes.leave(shape);
                }
                draft.delete(item.set, super::items::bare(item.key));
            }
            Step::Come(item) => {
                if let Carry::Shape(shape) = item.carry {
                    self.shapes.take(shape, &mut draft.fresh);
                }
                draft.add(item.set, item.element(id, entry));
            }
        });
    }

    pub(super) fn finish(
        &mut self,
        mut draft: Draft,
        flows: UdpTargets,
        unused_before: &BTreeSet<super::shape::Shape>,
    ) -> Update {
        if draft.prefixes_changed {
            let prefixes = self.prefixes();
            for family in FAMILIES {
                let chain: Name = super::shape::ranges_chain(family).into();
                draft.rewrite(&chain, range_rules(family, &prefixes));
            }
        }
        self.gone.settle(&mut draft);
        drop_for_missing_sets(&mut draft);
        Update {
            transaction: draft.finish(&mut self.shapes, unused_before, &self.settings),
            flush: flows.into_flushes(&self.settings),
            localhost: self.localhost.take_changes(),
            hooks: self.hooks.take_changes(),
            health_changed: self.health.take_changed(),
        }
    }

    fn prefixes(&self) -> BTreeSet<(Family, u8)> {
        let prefix = |thing| match thing {
            Shared::Prefix(family, prefix) => Some((family, prefix)),
            _ => None,
        };
        self.shared.present().filter_map(prefix).collect()
    }

    /// Who has an address and port.
    pub(super) fn holder(&self, claimed: Claimed) -> Option<(&NamespacedName, &Entry)> {
        self.entries.get_key_value(self.claims.winner(claimed)?)
    }
}

/// One Service on its way from one plan to another.
struct Replaced {
    id: NamespacedName,
    before: Entry,
    after: Option<Entry>,
}

enum Step {
    Go(Item),
    Come(Item),
}

/// What leads from some items to others.
fn compare(
    mut present: Vec<Item>,
    mut wanted: Vec<Item>,
    same: impl Fn(&Item, &Item) -> bool,
    mut each: impl FnMut(Step),
) {
    if !present.is_empty() {
        let order = |a: &Item, b: &Item| (a.set, &a.key).cmp(&(b.set, &b.key));
        present.sort_unstable_by(order);
        wanted.sort_unstable_by(order);
    }
    let mut present = present.into_iter().peekable();
    for item in wanted {
        loop {
            let Some(old) = present.peek() else {
                each(Step::Come(item));
                break;
            };
            match (old.set, &old.key).cmp(&(item.set, &item.key)) {
                Ordering::Less => each(Step::Go(*old)),
                Ordering::Equal if same(old, &item) => {
                    present.next();
                    break;
                }
                Ordering::Equal => {
                    each(Step::Go(*old));
                    each(Step::Come(item));
                    present.next();
                    break;
                }
                Ordering::Greater => {
                    each(Step::Come(item));
                    break;
                }
            }
            present.next();
        }
    }
    present.for_each(|old| each(Step::Go(old)));
}

/// Makes what is there without Services.
pub(super) fn begin(settings: &NodeSettings, draft: &mut Draft) {
    change_skeleton(
        &Ruleset::default(),
        &skeleton(settings, &BTreeSet::new()),
        draft,
    );
}

/// Steps from one skeleton to another.
fn change_skeleton(before: &Ruleset, after: &Ruleset, draft: &mut Draft) {
    for (name, set) in &after.sets {
        if !before.sets.contains_key(name) {
            draft.first.push(Op::AddSet(name.clone(), set.spec.clone()));
        }
    }
    for (name, chain) in &after.chains {
        match before.chains.get(name) {
            None => {
                draft.first.push(Op::AddChain(name.clone(), chain.base));
                draft.fill(name, chain.rules.clone());
            }
            Some(old) if old.rules != chain.rules => draft.rewrite(name, chain.rules.clone()),
            Some(_) => {}
        }
    }
    for name in before
        .chains
        .keys()
        .filter(|name| !after.chains.contains_key(*name))
    {
        draft.rules.push(Op::FlushChain(name.clone()));
        draft.last.push(Op::DeleteChain(name.clone()));
    }
    change_addresses(before, after, draft);
    for name in before
        .sets
        .keys()
        .filter(|name| !after.sets.contains_key(*name))
    {
        draft.last.push(Op::DeleteSet(name.clone()));
    }
}

/// The skeleton's own elements.
fn change_addresses(before: &Ruleset, after: &Ruleset, draft: &mut Draft) {
    for (name, set) in &after.sets {
        let old = before.sets.get(name).map(|set| &set.elements);
        let is_old = |key| old.is_some_and(|old| old.contains_key(key));
        let come = set.elements.iter().filter(|(key, _)| !is_old(key));
        let come: Vec<_> = come.map(|(_, element)| element.clone()).collect();
        let go = old.into_iter().flatten();
        let go = go.filter(|(key, _)| !set.elements.contains_key(*key));
        let go: Vec<_> = go.map(|(_, element)| element.clone()).collect();
        if !go.is_empty() {
            draft.rules.push(Op::DeleteElements(name.clone(), go));
        }
        if !come.is_empty() {
            draft.rules.push(Op::AddElements(name.clone(), come));
        }
    }
}

/// Elements of a set that goes as a whole need not be taken out.
fn drop_for_missing_sets(draft: &mut Draft) {
    let gone: BTreeSet<Name> = draft
        .last
        .iter()
        .filter_map(|op| match op {
            Op::DeleteSet(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if !gone.is_empty() {
        draft
            .deletes
            .retain(|(set, family), _| !gone.contains(&super::sets::set_name(*set, *family)));
    }
}
