//! Whatever a kernel says is read to its end.

use super::generate::ruleset;
use super::*;
use crate::netlink::{Message, Messages};
use proptest::prelude::*;

/// All that decoders make of a message.
fn decoded(message: &Message<'_>, specs: &[SetSpec]) -> usize {
    let elements = specs
        .iter()
        .map(|spec| decode::elements(message, spec).count());
    let some = [
        decode::chain(message).is_some(),
        decode::rule(message).is_some(),
        decode::set(message).is_some(),
        decode::table_of(message).is_some(),
    ];
    elements.sum::<usize>() + some.iter().filter(|some| **some).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn damaged_tables_are_read_to_their_end(
        wanted in ruleset(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let ops = diff(&wanted, &Ruleset::default()).ops;
        let mut batch = Batch::begin("portolan", 1, None);
        let lengths = |op: &Op| match op {
            Op::AddElements(name, _) => wanted.sets.get(name).map(|set| Lengths::of(&set.spec)),
            _ => None,
        };
        for (index, op) in ops.iter().enumerate() {
            batch.op(index, op, lengths(op));
        }
        let mut bytes = batch.end().unwrap().to_vec();
        let specs: Vec<_> = wanted.sets.values().map(|set| set.spec.clone()).collect();
        let whole: usize = Messages::new(&bytes).map(|message| decoded(&message, &specs)).sum();
        prop_assert!(whole > ops.len());
        for (at, with) in damage {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        let most = bytes.len() * (specs.len() + 4);
        let read: usize = Messages::new(&bytes).map(|message| decoded(&message, &specs)).sum();
        prop_assert!(read <= most);
    }
}
