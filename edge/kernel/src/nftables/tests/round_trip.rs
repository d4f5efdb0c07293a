//! What is applied reads back equal.

use super::generate::ruleset;
use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

fn same(read: Option<Ruleset>, wanted: &Ruleset) -> Result<(), TestCaseError> {
    let read = read.ok_or_else(|| TestCaseError::fail("no table"))?;
    prop_assert_eq!(read.to_string(), wanted.to_string());
    prop_assert_eq!(&read, wanted);
    Ok(())
}

#[test]
fn random_rulesets_read_back_equal_and_lead_to_each_other() {
    inside(|| {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 50,
            ..ProptestConfig::default()
        });
        let table = RefCell::new(Table::open("portolan").unwrap());
        let pairs = (ruleset(), ruleset());
        let outcome = runner.run(&pairs, |(first, second)| {
            let mut table = table.borrow_mut();
            table.delete().unwrap();
            let mut present = Ruleset::default();
            for wanted in [&first, &second] {
                let transaction = diff(wanted, &present);
                if transaction.is_empty() {
                    continue;
                }
                let applied = table.apply(&transaction);
                prop_assert!(applied.is_ok(), "{}\n{transaction}", applied.unwrap_err());
                same(table.read().unwrap(), wanted)?;
                present = wanted.clone();
            }
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    });
}
