use crate::*;
use std::sync::Arc;

fn rule(exprs: Vec<Expr>) -> Rule {
    Rule {
        exprs,
        comment: None,
    }
}

fn set(value: SetValue, dynamic: bool) -> Set {
    let key = [FieldType::Ipv4Addr, FieldType::InetService].into();
    let spec = SetSpec {
        key,
        value,
        dynamic,
        timeout_ms: 0,
        size: 0,
        counters: false,
    };
    let elements = Default::default();
    Set { spec, elements }
}

fn ruleset(rules: Vec<Vec<Expr>>) -> Ruleset {
    let base = Base {
        kind: ChainKind::Nat,
        hook: Hook::Prerouting,
        priority: -100,
    };
    let based = Chain {
        base: Some(base),
        rules: rules.into_iter().map(rule).collect(),
    };
    let values = SetValue::Fields([FieldType::Ipv6Addr].into());
    Ruleset {
        chains: [("base".into(), based), ("plain".into(), Chain::default())].into(),
        sets: [
            ("set".into(), set(SetValue::None, false)),
            ("map".into(), set(values, false)),
            ("verdicts".into(), set(SetValue::Verdict, false)),
            ("seen".into(), set(SetValue::None, true)),
        ]
        .into(),
    }
}

fn texts(ruleset: &Ruleset) -> Vec<String> {
    check(ruleset).iter().map(ToString::to_string).collect()
}

fn load(reg: u8, bytes: usize) -> Expr {
    Expr::Immediate {
        dreg: Reg(reg),
        data: Data::new(&vec![1; bytes]),
    }
}

fn find(name: &str, sreg: u8) -> Expr {
    Expr::InSet {
        set: name.into(),
        sreg: Reg(sreg),
        inverted: false,
    }
}

fn map(sreg: u8, dreg: u8) -> Expr {
    Expr::Map {
        set: "map".into(),
        sreg: Reg(sreg),
        dreg: Reg(dreg),
    }
}

fn dnat(address: u8, port: u8) -> Expr {
    Expr::Dnat {
        family: Family::Ipv6,
        address: Reg(address),
        port: Reg(port),
    }
}

fn verdict(verdict: Verdict) -> Vec<Expr> {
    vec![Expr::Verdict(verdict)]
}

#[test]
fn rules_that_load_what_they_read_are_fine() {
    let rules = vec![
        vec![load(0, 8), map(0, 4), load(8, 2), dnat(4, 8)],
        vec![load(0, 8), find("set", 0)],
        verdict(Verdict::Jump("plain".into())),
    ];
    assert_eq!(texts(&ruleset(rules)), Vec::<String>::new());
}

#[test]
fn registers_that_were_not_loaded_are_told() {
    let rules = vec![
        vec![load(0, 4), find("set", 0)],
        vec![load(0, 8), map(0, 4), dnat(4, 8)],
        vec![load(0, 8), map(0, 13)],
        vec![Expr::SetMark { sreg: Reg(3) }],
    ];
    let wanted = [
        "base, rule 0: r0.. in @set: reads 2 registers from r0, not all are loaded",
        "base, rule 1: dnat ip6 to r4:r8: reads 1 registers from r8, not all are loaded",
        "base, rule 2: r13 = @map[r0..]: loads past the last register",
        "base, rule 3: meta mark = r3: reads 1 registers from r3, not all are loaded",
    ];
    assert_eq!(texts(&ruleset(rules)), wanted);
}

#[test]
fn sets_must_be_there_and_of_the_kind() {
    let add = Expr::Dynset {
        set: "set".into(),
        op: DynsetOp::Add,
        key: Reg(0),
        data: None,
        timeout_ms: 0,
    };
    let vmap = Expr::VerdictMap {
        set: "seen".into(),
        sreg: Reg(0),
    };
    let rules = vec![
        vec![load(0, 8), find("none", 0)],
        vec![load(0, 8), find("verdicts", 0)],
        vec![load(0, 8), vmap],
        vec![load(0, 8), add],
    ];
    let wanted = [
        "base, rule 0: r0.. in @none: no set none",
        "base, rule 1: r0.. in @verdicts: verdicts is no set",
        "base, rule 2: r0.. vmap @seen: seen is no map of verdicts",
        "base, rule 3: add @set { r0.. }: set is not dynamic",
    ];
    assert_eq!(texts(&ruleset(rules)), wanted);
}

#[test]
fn ways_must_end_somewhere() {
    let mut looped = ruleset(vec![
        verdict(Verdict::Goto("nowhere".into())),
        verdict(Verdict::Goto("base".into())),
    ]);
    let plain = looped.chains.get_mut("plain").expect("a chain");
    plain.rules = vec![rule(verdict(Verdict::Jump("other".into())))];
    let back = Chain {
        base: None,
        rules: vec![rule(verdict(Verdict::Jump("plain".into())))],
    };
    looped.chains.insert("other".into(), back);
    let wanted = [
        "base, rule 0: no chain nowhere to lead to",
        "base, rule 1: base has a hook, so nothing may lead to it",
        "base: leads back to itself",
        "other: leads back to itself",
    ];
    assert_eq!(texts(&looped), wanted);
}

#[test]
fn jumps_nest_only_so_deep() {
    let mut deep = Ruleset::default();
    for number in 0..17 {
        let to = Verdict::Jump(format!("c{:02}", number + 1).into());
        let chain = Chain {
            base: None,
            rules: vec![rule(verdict(to))],
        };
        deep.chains.insert(format!("c{number:02}").into(), chain);
    }
    deep.chains.insert("c17".into(), Chain::default());
    let wanted = [
        "c01: 16 jumps deep, fewer than 16 are taken",
        "c00: 17 jumps deep, fewer than 16 are taken",
    ];
    assert_eq!(texts(&deep), wanted);
}

#[test]
fn hooks_take_only_what_fits_them() {
    let masquerade = Expr::Masquerade {
        fully_random: false,
    };
    let mut wrong = ruleset(vec![verdict(Verdict::Goto("plain".into()))]);
    let plain = wrong.chains.get_mut("plain").expect("a chain");
    plain.rules = vec![rule(vec![masquerade]), rule(vec![Expr::Notrack])];
    let wanted = [
        "plain, rule 0: base gets here, and prerouting does not take masquerade",
        "plain, rule 1: base gets here, and prerouting does not take notrack",
    ];
    assert_eq!(texts(&wrong), wanted);
}

#[test]
fn texts_and_elements_must_fit() {
    let long: Arc<str> = "x".repeat(256).into();
    let mut wrong = Ruleset::default();
    wrong.chains.insert(long.clone(), Chain::default());
    let mut unfit = set(SetValue::Verdict, false);
    let key = Data::EMPTY.number(1);
    let element = Element {
        key,
        value: Value::Verdict(Verdict::Goto("lost".into())),
        comment: Some(long.clone()),
        timeout_ms: 0,
    };
    unfit.elements.insert(key, element);
    wrong.sets.insert("unfit".into(), unfit);
    let found = texts(&wrong);
    assert_eq!(found[0], "unfit: a comment has at most 128 bytes");
    assert_eq!(
        found[1],
        format!("unfit: the element {key:?} does not fit the set")
    );
    assert_eq!(found[2], "unfit: no chain lost to lead to");
    assert_eq!(found[3], format!("{long}: a name has 1 to 255 bytes"));
    assert_eq!(found.len(), 4);
}
