use crate::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A ruleset as choices, so that what names something names what is there.
#[derive(Clone, Debug)]
struct Plan {
    chains: BTreeMap<u8, (bool, Vec<(u8, u8)>)>,
    sets: BTreeMap<u8, (u8, BTreeMap<u8, u8>)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let chains = btree_map(
        0..5_u8,
        (any::<bool>(), vec((0..6_u8, any::<u8>()), 0..4)),
        0..5,
    );
    let sets = btree_map(
        0..4_u8,
        (0..4_u8, btree_map(0..8_u8, any::<u8>(), 0..6)),
        0..4,
    );
    (chains, sets).prop_map(|(chains, sets)| Plan { chains, sets })
}

fn chain(number: u8) -> Name {
    format!("chain-{number}").into()
}

fn set(number: u8) -> Name {
    format!("set-{number}").into()
}

fn pick(from: impl Iterator<Item = u8>, choice: u8) -> Option<u8> {
    let all: Vec<u8> = from.collect();
    (!all.is_empty()).then(|| all[usize::from(choice) % all.len()])
}

/// Targets are chains without a hook and with a higher number, as the kernel takes no loops.
fn target(plan: &Plan, from: Option<u8>, choice: u8) -> Option<Name> {
    let chains = plan.chains.iter();
    let plain =
        chains.filter(|(number, (base, _))| !base && from.is_none_or(|from| **number > from));
    pick(plain.map(|(number, _)| *number), choice).map(chain)
}

fn rule(plan: &Plan, at: u8, kind: u8, choice: u8) -> Rule {
    let load = Expr::Immediate {
        dreg: Reg(0),
        data: Data::EMPTY.number(u32::from(choice)),
    };
    let named = pick(plan.sets.keys().copied(), choice);
    let end = match (kind, named, target(plan, Some(at), choice)) {
        (0 | 1, Some(number), _) => match plan.sets[&number].0 {
            0 => Expr::InSet {
                set: set(number),
                sreg: Reg(0),
                inverted: false,
            },
            1 => Expr::Map {
                set: set(number),
                sreg: Reg(0),
                dreg: Reg(1),
            },
            2 => Expr::VerdictMap {
                set: set(number),
                sreg: Reg(0),
            },
            _ => Expr::Dynset {
                set: set(number),
                op: DynsetOp::Add,
                key: Reg(0),
                data: None,
                timeout_ms: 0,
            },
        },
        (2 | 3, _, Some(target)) => Expr::Verdict(Verdict::Goto(target)),
        _ => Expr::Verdict(Verdict::Drop),
    };
    Rule {
        exprs: vec![load, end],
        comment: (choice < 100).then(|| "note".into()),
    }
}

fn elements(plan: &Plan, kind: u8, choices: &BTreeMap<u8, u8>) -> BTreeMap<Data, Element> {
    let element = |(key, choice): (&u8, &u8)| {
        let key = Data::EMPTY.number(u32::from(*key));
        let value = match (kind, target(plan, None, *choice)) {
            (1, _) => Value::Data(Data::EMPTY.number(u32::from(*choice % 3))),
            (2, Some(target)) => Value::Verdict(Verdict::Goto(target)),
            (2, None) => Value::Verdict(Verdict::Drop),
            _ => Value::None,
        };
        let comment = (*choice % 5 == 0).then(|| Arc::from("note"));
        let element = Element {
            key,
            value,
            comment,
            timeout_ms: 0,
        };
        (key, element)
    };
    choices.iter().filter(|_| kind != 3).map(element).collect()
}

fn build(plan: &Plan) -> Ruleset {
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: 0,
    };
    let chains = plan.chains.iter().map(|(number, (based, rules))| {
        let rules = rules.iter();
        let rules = rules.map(|(kind, choice)| rule(plan, *number, *kind, *choice));
        let made = Chain {
            base: based.then_some(base),
            rules: rules.collect(),
        };
        (chain(*number), made)
    });
    let sets = plan.sets.iter().map(|(number, (kind, choices))| {
        let value = match kind {
            1 => SetValue::Fields([FieldType::Mark].into()),
            2 => SetValue::Verdict,
            _ => SetValue::None,
        };
        let spec = SetSpec {
            key: [FieldType::Mark].into(),
            value,
            dynamic: *kind == 3,
            timeout_ms: 0,
            size: 0,
            counters: false,
        };
        let elements = elements(plan, *kind, choices);
        (set(*number), Set { spec, elements })
    });
    Ruleset {
        chains: chains.collect(),
        sets: sets.collect(),
    }
}

proptest! {
    #[test]
    fn nothing_differs_from_itself(plan in plans()) {
        let ruleset = build(&plan);
        prop_assert!(diff(&ruleset, &ruleset).is_empty());
    }

    #[test]
    fn each_step_is_legal_and_they_lead_there(wanted in plans(), present in plans()) {
        let (wanted, mut present) = (build(&wanted), build(&present));
        let steps = diff(&wanted, &present);
        prop_assert_eq!(present.apply(&steps), Ok(()), "{}", steps);
        prop_assert_eq!(present, wanted);
    }

    #[test]
    fn all_from_nothing_and_back(plan in plans()) {
        let (wanted, mut present) = (build(&plan), Ruleset::default());
        prop_assert_eq!(present.apply(&diff(&wanted, &present)), Ok(()));
        prop_assert_eq!(&present, &wanted);
        prop_assert_eq!(present.apply(&diff(&Ruleset::default(), &present)), Ok(()));
        prop_assert_eq!(present, Ruleset::default());
    }

    #[test]
    fn removals_at_the_end_may_wait(wanted in plans(), present in plans()) {
        let (wanted, mut present) = (build(&wanted), build(&present));
        let (now, later) = diff(&wanted, &present).split_removals();
        prop_assert_eq!(present.apply(&now), Ok(()));
        prop_assert_eq!(present.apply(&later), Ok(()));
        prop_assert_eq!(present, wanted);
    }

    #[test]
    fn only_what_changed_is_written(plan in plans(), keys in btree_set(100..120_u8, 1..4)) {
        let present = build(&plan);
        let mut wanted = present.clone();
        let Some((name, set)) = wanted.sets.iter_mut().find(|(_, set)| !set.spec.dynamic) else {
            return Ok(());
        };
        let name = name.clone();
        let value = match set.spec.value {
            SetValue::None => Value::None,
            SetValue::Fields(_) => Value::Data(Data::EMPTY.number(1)),
            SetValue::Verdict => Value::Verdict(Verdict::Accept),
        };
        let fresh: Vec<Element> = keys.iter().map(|key| Element {
            key: Data::EMPTY.number(u32::from(*key)),
            value: value.clone(),
            comment: None,
            timeout_ms: 0,
        }).collect();
        set.elements.extend(fresh.iter().map(|element| (element.key, element.clone())));
        prop_assert_eq!(diff(&wanted, &present).ops, vec![Op::AddElements(name, fresh)]);
    }
}

fn plain(names: &[&str]) -> Ruleset {
    let chains = names
        .iter()
        .map(|name| (Name::from(*name), Chain::default()));
    Ruleset {
        chains: chains.collect(),
        sets: BTreeMap::new(),
    }
}

#[test]
fn steps_that_the_kernel_refuses_are_refused() {
    let mut ruleset = plain(&["a", "b"]);
    let goto = Rule {
        exprs: vec![Expr::Verdict(Verdict::Goto("b".into()))],
        comment: None,
    };
    let lost = Rule {
        exprs: vec![Expr::Verdict(Verdict::Goto("c".into()))],
        comment: None,
    };
    let mut refuse = |op: Op| {
        let refused = ruleset.apply(&Transaction { ops: vec![op] });
        refused.map_err(|error| error.reason)
    };
    use ApplyErrorReason::*;
    assert_eq!(refuse(Op::AddRule("a".into(), goto)), Ok(()));
    assert_eq!(
        refuse(Op::AddRule("a".into(), lost)),
        Err(NoSuchTarget("c".into()))
    );
    assert_eq!(refuse(Op::DeleteChain("b".into())), Err(ChainInUse));
    assert_eq!(refuse(Op::DeleteChain("a".into())), Err(ChainInUse));
    assert_eq!(refuse(Op::AddChain("d".into(), None)), Ok(()));
    assert_eq!(refuse(Op::AddChain("d".into(), None)), Err(ChainExists));
    assert_eq!(refuse(Op::DeleteSet("s".into())), Err(NoSuchSet));
    assert_eq!(
        refuse(Op::AddElements("s".into(), Vec::new())),
        Err(NoSuchSet)
    );
    assert_eq!(refuse(Op::FlushChain("z".into())), Err(NoSuchChain));
}
