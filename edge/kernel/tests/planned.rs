//! A kernel takes whatever is planned, step by step, and holds it then. Needs the right to make
//! network namespaces; where it is missing, says so and passes.

#[path = "../../../core/proxy/tests/kernel/generate.rs"]
mod generate;

use generate::{HERE, history, settings};
use kernel::netns::{Namespace, may_create};
use kernel::nftables::Table;
use model::{ChangedKeys, Snapshot};
use nft::diff;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use proxy::kernel::{NodeSettings, RulesetPlanner, Update};
use serde_json::Value;
use std::cell::RefCell;

/// Applies an update. Once nothing waits for its removal, the kernel holds what is planned.
fn take(table: &mut Table, planner: &RulesetPlanner, update: &Update) -> Result<(), TestCaseError> {
    let transaction = &update.transaction;
    let applied = table.apply(transaction);
    applied.map_err(|error| TestCaseError::fail(format!("{error}\n{transaction}")))?;
    if planner.has_leftovers() {
        return Ok(());
    }
    let read = table.read().map_err(failed)?;
    let missing = diff(&planner.desired(), &read.unwrap_or_default());
    prop_assert!(missing.is_empty(), "missing steps:\n{missing}");
    Ok(())
}

fn failed(error: impl ToString) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn live(
    table: &mut Table,
    history: &[(Value, bool)],
    settings: NodeSettings,
    later: NodeSettings,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&settings.node_name, HERE);
    let mut planner = RulesetPlanner::new(settings);
    let mut snapshot = Snapshot::default();
    let update = planner.update(&snapshot, &ChangedKeys::default());
    take(table, &planner, &update)?;
    for (value, gone) in history {
        let mut changed = ChangedKeys::default();
        snapshot.apply(&testkit::event(value, *gone), &mut changed);
        let update = planner.update(&snapshot, &changed);
        take(table, &planner, &update)?;
    }
    let update = planner.set_settings(&snapshot, later);
    take(table, &planner, &update)?;
    let update = planner.update(&snapshot, &ChangedKeys::default());
    take(table, &planner, &update)
}

#[test]
fn kernel_takes_every_plan() {
    if let Err(reason) = may_create() {
        return eprintln!("skipped: {reason}");
    }
    let cases = || {
        let config = ProptestConfig {
            cases: 32,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let table = RefCell::new(Table::open("portolan").expect("netlink"));
        let lives = (history(), settings(), settings());
        let outcome = TestRunner::new(config).run(&lives, |(history, settings, later)| {
            let mut table = table.borrow_mut();
            table.delete().map_err(failed)?;
            live(&mut table, &history, settings, later)
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    };
    let namespace = Namespace::create().expect("a namespace");
    namespace.run(cases).expect("a thread inside");
}
