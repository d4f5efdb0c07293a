//! Large sets. Times are printed, for `--nocapture`, and not judged.

use super::*;
use crate::nftables::read::Unread;
use nft::{Op, Transaction};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// So many Services of three endpoints, as a node's ruleset holds them.
fn services(count: u32) -> Ruleset {
    let address = |from: u32, n: u32| IpAddr::from(Ipv4Addr::from(from + n));
    let key = |n| {
        Data::EMPTY
            .address(address(0x0a60_0000, n))
            .protocol(6)
            .port(80)
    };
    let goto = || Value::Verdict(nft::Verdict::Goto("service".into()));
    let endpoint = |n: u32, slot: u32| {
        let to = Data::EMPTY
            .address(address(0x0af4_0000, n * 3 + slot))
            .port(8080);
        (key(n).number(slot), Value::Data(to))
    };
    let frontend = [
        FieldType::Ipv4Addr,
        FieldType::InetProto,
        FieldType::InetService,
    ];
    let slot = [&frontend[..], &[FieldType::Mark]].concat();
    let value = SetValue::Fields(fields(&[FieldType::Ipv4Addr, FieldType::InetService]));
    let frontends = (0..count).map(|n| (key(n), goto()));
    let endpoints = (0..count).flat_map(|n| (0..3).map(move |slot| endpoint(n, slot)));
    let sets = [
        (
            "services4",
            set_of(spec(&frontend, SetValue::Verdict), frontends),
        ),
        ("endpoints4", set_of(spec(&slot, value), endpoints)),
    ];
    Ruleset {
        chains: [("service".into(), chain(Vec::new()))].into(),
        sets: sets.map(|(name, set)| (name.into(), set)).into(),
    }
}

#[test]
fn thousands_of_elements_are_applied_read_and_changed() {
    inside(|| {
        let count = std::env::var("SERVICES").map_or(10_000, |count| count.parse().unwrap());
        let wanted = services(count);
        let all = diff(&wanted, &Ruleset::default());
        let mut table = Table::open("portolan").unwrap();
        let mut watch = Watch::open(&mut table).unwrap();
        let begun = Instant::now();
        table.apply(&all).unwrap();
        eprintln!("applied {} elements in {:?}", count * 4, begun.elapsed());
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
        let begun = Instant::now();
        let read = table.read().unwrap().unwrap();
        eprintln!("read them in {:?}", begun.elapsed());
        if count <= 10_000 {
            assert!(read == wanted);
        }
        anew(&mut table, &wanted);
        one_by_one(&mut table, &wanted);
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
        Table::open("portolan").unwrap().delete().unwrap();
        assert!(watch.next(Duration::ZERO).unwrap().unwrap().removed);
    });
}

/// All of the table, however large.
fn whole(table: &mut Table) -> Ruleset {
    let unread = Unread {
        most: usize::MAX,
        wanted: None,
        in_step: false,
    };
    table.read_with(unread).unwrap().unwrap()
}

/// A set that is too large to be read is made anew, with all that names it.
fn anew(table: &mut Table, wanted: &Ruleset) {
    let mut reading = |in_step| {
        let unread = Unread {
            most: 20_000,
            wanted: Some(wanted),
            in_step,
        };
        table.read_with(unread).unwrap().unwrap()
    };
    assert!(reading(true) == *wanted);
    let read = reading(false);
    let again = diff(wanted, &read);
    let made = |op: &&Op| matches!(op, Op::AddSet(..));
    assert!(again.ops.iter().filter(made).count() >= 1);
    let begun = Instant::now();
    table.apply(&again).unwrap();
    eprintln!("made anew in {:?}", begun.elapsed());
    let present = whole(table);
    assert!(present == *wanted);
}

/// Replaces endpoints, each in a transaction of its own.
fn one_by_one(table: &mut Table, wanted: &Ruleset) {
    let set: Name = "endpoints4".into();
    let some: Vec<&Element> = wanted.sets[&set].elements.values().take(1000).collect();
    let begun = Instant::now();
    for element in &some {
        let other = Element {
            value: Value::Data(Data::EMPTY.address(IpAddr::from([10, 9, 9, 9])).port(1)),
            ..(*element).clone()
        };
        let ops = vec![
            Op::DeleteElements(set.clone(), vec![(*element).clone()]),
            Op::AddElements(set.clone(), vec![other]),
        ];
        table.apply(&Transaction { ops }).unwrap();
    }
    eprintln!("replaced one in {:?}", begun.elapsed() / some.len() as u32);
    let read = whole(table);
    let changed = diff(wanted, &read);
    let count = |op: &Op| match op {
        Op::AddElements(_, elements) => elements.len(),
        _ => 0,
    };
    assert_eq!(changed.ops.iter().map(count).sum::<usize>(), some.len());
    table.apply(&changed).unwrap();
    assert!(whole(table) == *wanted);
}
