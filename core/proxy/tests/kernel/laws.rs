//! The laws that the planner keeps.

use super::generate::{history, settings, value};
use model::{ChangedKeys, Object, Snapshot};
use nft::Ruleset;
use proptest::prelude::*;
use proxy::kernel::{NodeSettings, RulesetPlanner, Update, plan_ruleset};
use proxy::{Frontend, Route};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A kernel and a relay that do what they are told.
#[derive(Default)]
struct Edge {
    table: Ruleset,
    relay: BTreeMap<Frontend, Arc<Route>>,
}

impl Edge {
    fn take(&mut self, update: &Update) {
        if let Err(error) = self.table.apply(&update.transaction) {
            panic!("{error}\n{}", update.transaction);
        }
        update.localhost.apply_to(&mut self.relay);
    }

    /// The table without what rules and time change.
    fn planned(&self) -> Ruleset {
        let mut table = self.table.clone();
        for set in table.sets.values_mut().filter(|set| set.spec.dynamic) {
            set.elements.clear();
        }
        table
    }
}

/// Takes everything in, and removes leftovers.
fn settle(planner: &mut RulesetPlanner, edge: &mut Edge, snapshot: &Snapshot) {
    if planner.has_leftovers() {
        edge.take(&planner.update(snapshot, &ChangedKeys::default()));
    }
    assert!(!planner.has_leftovers());
}

fn assert_same(got: &Ruleset, want: &Ruleset) -> Result<(), TestCaseError> {
    if got != want {
        let steps = nft::diff(want, got);
        return Err(TestCaseError::fail(format!("missing steps:\n{steps}")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_service_at_a_time_is_all_at_once(history in history(), settings in settings()) {
        let mut planner = RulesetPlanner::new(settings.clone());
        let mut edge = Edge::default();
        let mut snapshot = Snapshot::default();
        for (value, gone) in &history {
            let mut changed = ChangedKeys::default();
            snapshot.apply(&testkit::event(value, *gone), &mut changed);
            edge.take(&planner.update(&snapshot, &changed));
            let (whole, problems) = plan_ruleset(&snapshot, &settings);
            assert_same(&planner.desired(), &whole)?;
            prop_assert_eq!(planner.problems(), problems);
        }
        settle(&mut planner, &mut edge, &snapshot);
        if !history.is_empty() {
            let (whole, _) = plan_ruleset(&snapshot, &settings);
            assert_same(&edge.planned(), &whole)?;
        }
        let again = planner.update(&snapshot, &ChangedKeys::default());
        prop_assert!(history.is_empty() || again == Update::default());
    }

    #[test]
    fn the_first_ruleset_in_parts_is_the_first_at_once(
        values in prop::collection::vec(value(), 0..40),
        settings in settings(),
        size in 1_usize..60,
    ) {
        let mut snapshot = Snapshot::default();
        let mut changed = ChangedKeys::default();
        for value in &values {
            snapshot.apply(&testkit::event(value, false), &mut changed);
        }
        let (mut once, mut parts) = (Edge::default(), Edge::default());
        let mut planner = RulesetPlanner::new(settings.clone());
        let update = planner.update(&snapshot, &changed);
        once.take(&update);
        let mut in_parts = RulesetPlanner::new(settings);
        let last = in_parts.first(&snapshot, &changed, size, &mut |transaction| {
            let rules = transaction.ops.iter().filter(|op| {
                !matches!(op, nft::Op::AddSet(..) | nft::Op::AddElements(..))
            });
            assert_eq!(rules.count(), 0, "{transaction}");
            let update = Update { transaction, ..Update::default() };
            parts.take(&update);
        });
        parts.take(&last);
        settle(&mut in_parts, &mut parts, &snapshot);
        assert_same(&parts.planned(), &once.planned())?;
        prop_assert_eq!(&parts.relay, &once.relay);
        prop_assert_eq!(in_parts.desired(), planner.desired());
        prop_assert_eq!(in_parts.problems(), planner.problems());
        prop_assert_eq!(in_parts.hooks(), planner.hooks());
        prop_assert_eq!(in_parts.health_ports(), planner.health_ports());
        prop_assert_eq!((last.flush, last.hooks), (update.flush, update.hooks));
    }

    #[test]
    fn the_kernel_takes_every_ruleset(
        values in prop::collection::vec(value(), 0..16), settings in settings()
    ) {
        let objects: Vec<Arc<Object>> = values.iter().map(testkit::object).collect();
        let (whole, _) = plan_ruleset(&Snapshot::from_objects(&objects), &settings);
        let violations = nft::check(&whole);
        prop_assert!(violations.is_empty(), "{violations:?}\n{whole}");
    }

    #[test]
    fn the_order_of_objects_does_not_matter(
        values in prop::collection::vec(value(), 0..16), settings in settings()
    ) {
        // The last version of an object counts: keep one of each.
        let by_name: BTreeMap<String, _> = values
            .into_iter()
            .map(|value| (format!("{}{}", value["kind"], value["metadata"]["name"]), value))
            .collect();
        let objects: Vec<Arc<Object>> = by_name.values().map(testkit::object).collect();
        let backward: Vec<&Arc<Object>> = objects.iter().rev().collect();
        let forward = plan_ruleset(&Snapshot::from_objects(&objects), &settings);
        prop_assert!(forward == plan_ruleset(&Snapshot::from_objects(backward), &settings));
    }

    #[test]
    fn other_settings_are_taken_over(
        history in history(), before in settings(), after in settings()
    ) {
        let mut planner = RulesetPlanner::new(before);
        let mut edge = Edge::default();
        let mut snapshot = Snapshot::default();
        let mut changed = ChangedKeys::default();
        for (value, gone) in &history {
            snapshot.apply(&testkit::event(value, *gone), &mut changed);
        }
        edge.take(&planner.update(&snapshot, &changed));
        edge.take(&planner.set_settings(&snapshot, after.clone()));
        settle(&mut planner, &mut edge, &snapshot);
        let (whole, problems) = plan_ruleset(&snapshot, &after);
        assert_same(&edge.planned(), &whole)?;
        prop_assert_eq!(planner.problems(), problems);
        let mut fresh = RulesetPlanner::new(after);
        let mut relay = BTreeMap::new();
        fresh.update(&snapshot, &changed).localhost.apply_to(&mut relay);
        prop_assert_eq!(&edge.relay, &relay);
        prop_assert_eq!(planner.health_ports(), fresh.health_ports());
        for ipv4 in [true, false] {
            prop_assert_eq!(planner.no_local_endpoints(ipv4), fresh.no_local_endpoints(ipv4));
        }
    }
}

#[test]
fn a_planner_without_services_makes_the_skeleton_once() {
    let mut planner = RulesetPlanner::new(NodeSettings::default());
    let mut edge = Edge::default();
    edge.take(&planner.update(&Snapshot::default(), &ChangedKeys::default()));
    let (whole, _) = plan_ruleset(&Snapshot::default(), &NodeSettings::default());
    assert_eq!(edge.table, whole);
    let again = planner.update(&Snapshot::default(), &ChangedKeys::default());
    assert_eq!(again, Update::default());
}
