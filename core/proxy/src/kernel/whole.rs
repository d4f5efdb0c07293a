//! The ruleset of everything at once.

use super::NodeSettings;
use super::claims::Claims;
use super::conflicts;
use super::entry::{Entry, plan_entry};
use super::items::{Carry, Items, Shared, bare, shared_element};
use super::sets::{SetId, set_name};
use super::shape::Shape;
use super::skeleton::skeleton;
use model::{NamespacedName, Problem, Snapshot};
use nft::{Chain, Ruleset};
use std::collections::{BTreeMap, BTreeSet};

/// The ruleset of everything, and every Problem in order of its object.
pub fn plan_ruleset(snapshot: &Snapshot, settings: &NodeSettings) -> (Ruleset, Vec<Problem>) {
    let mut claims = Claims::default();
    let mut entries = BTreeMap::new();
    for id in snapshot.services.keys() {
        if let Some(entry) = plan_entry(snapshot, id, settings) {
            claims.add(id, &entry, &mut BTreeSet::new());
            entries.insert(id.clone(), entry);
        }
    }
    for (id, entry) in &mut entries {
        claims.grant(id, entry);
    }
    let problems = conflicts::problems(&entries, &claims);
    (ruleset(&entries, settings), problems)
}

/// The ruleset of these plans.
pub(super) fn ruleset(
    entries: &BTreeMap<NamespacedName, Entry>,
    settings: &NodeSettings,
) -> Ruleset {
    let mut whole = Whole::default();
    for (id, entry) in entries {
        whole.add(id, entry, settings);
    }
    let prefixes = whole.shared.iter().filter_map(|thing| match thing {
        Shared::Prefix(family, prefix) => Some((*family, *prefix)),
        _ => None,
    });
    let mut ruleset = skeleton(settings, &prefixes.collect());
    for shape in &whole.shapes {
        let rules = shape.rules(settings);
        let chain = Chain { base: None, rules };
        if let Some(shapes) = ruleset
            .sets
            .get_mut(&set_name(SetId::Shapes, shape.family()))
        {
            let element = shape.element();
            shapes.elements.insert(element.key, element);
        }
        ruleset.chains.insert(shape.name(), chain);
    }
    whole.fill(&mut ruleset);
    ruleset
}

#[derive(Default)]
struct Whole {
    elements: BTreeMap<super::items::SetKey, Vec<nft::Element>>,
    shapes: BTreeSet<Shape>,
    shared: BTreeSet<Shared>,
}

impl Whole {
    fn add(&mut self, id: &NamespacedName, entry: &Entry, settings: &NodeSettings) {
        let items = Items::of(entry, settings);
        for item in items.own {
            if let Carry::Shape(shape) = item.carry {
                shape.with_parts(|part| {
                    self.shapes.insert(part);
                });
            }
            let element = item.element(id, entry);
            self.elements.entry(item.set).or_default().push(element);
        }
        self.shared.extend(items.shared);
    }

    fn fill(self, ruleset: &mut Ruleset) {
        let shared = self.shared.into_iter().filter_map(shared_element);
        let shared = shared.map(|(set, key)| (set, vec![bare(key)]));
        for ((set, family), elements) in self.elements.into_iter().chain(shared) {
            if let Some(set) = ruleset.sets.get_mut(&set_name(set, family)) {
                let keyed = elements.into_iter().map(|element| (element.key, element));
                set.elements.extend(keyed);
            }
        }
    }
}
