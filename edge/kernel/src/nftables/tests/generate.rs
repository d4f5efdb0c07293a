//! Random rulesets that a kernel takes.

use super::*;
use nft::{
    CmpOp, CtDirection, CtKey, DynsetOp, Family, FibResult, MetaKey, PayloadBase, Reg, RejectWith,
    Verdict,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const FIELDS: [FieldType; 5] = [
    FieldType::Ipv4Addr,
    FieldType::Ipv6Addr,
    FieldType::InetProto,
    FieldType::InetService,
    FieldType::Mark,
];

/// A ruleset with base chains, chains, sets, elements and rules that name each other.
pub(super) fn ruleset() -> impl Strategy<Value = Ruleset> {
    let chains = vec(option::of(base()), 0..5);
    (chains, vec(spec(), 0..6)).prop_flat_map(|(chains, specs)| {
        let sets: Vec<(Name, SetSpec)> = specs
            .into_iter()
            .enumerate()
            .map(|(index, spec)| (format!("set-{index}").into(), spec))
            .collect();
        let elements: Vec<_> = sets.iter().map(|(_, spec)| elements(spec)).collect();
        let rules: Vec<_> = chains
            .iter()
            .map(|base| vec(rule(base.is_some(), sets.clone()), 0..5))
            .collect();
        (elements, rules).prop_map(move |(elements, rules)| {
            let chains = chains.iter().copied().zip(rules).enumerate();
            let chain = |(index, (base, rules))| {
                (Name::from(format!("chain-{index}")), Chain { base, rules })
            };
            let leaf = ("leaf".into(), Chain::default());
            let set = |((name, spec), elements): ((Name, SetSpec), Vec<Element>)| {
                let elements = elements.into_iter().map(|element| (element.key, element));
                let elements = elements.collect();
                (name, Set { spec, elements })
            };
            Ruleset {
                chains: chains.map(chain).chain([leaf]).collect(),
                sets: sets.clone().into_iter().zip(elements).map(set).collect(),
            }
        })
    })
}

fn base() -> impl Strategy<Value = Base> {
    let hook = select(vec![
        Hook::Prerouting,
        Hook::Input,
        Hook::Output,
        Hook::Postrouting,
    ]);
    let kind = select(vec![ChainKind::Filter, ChainKind::Nat]);
    (kind, hook, -150..300_i32).prop_map(|(kind, hook, priority)| Base {
        kind,
        hook,
        priority,
    })
}

fn types() -> impl Strategy<Value = Arc<[FieldType]>> {
    vec(select(&FIELDS[..]), 1..=5)
        .prop_map(Arc::from)
        .prop_filter("too long for registers", |fields: &Arc<[FieldType]>| {
            fields.iter().map(|field| field.padded()).sum::<usize>() <= 60
        })
}

fn spec() -> impl Strategy<Value = SetSpec> {
    let value = prop_oneof![
        Just(SetValue::None),
        Just(SetValue::Verdict),
        types().prop_map(SetValue::Fields),
    ];
    let life = prop_oneof![
        Just((false, 0)),
        Just((true, 0)),
        Just((true, 60)),
        Just((false, 60))
    ];
    let size = select(vec![0, 512, 65_535]);
    (types(), value, life, size, any::<bool>()).prop_map(
        |(key, value, (dynamic, seconds), size, counters)| {
            let dynamic = dynamic && value != SetValue::Verdict;
            SetSpec {
                key,
                value,
                dynamic,
                timeout_ms: seconds * 1000,
                size: if dynamic && size == 0 { 100 } else { size },
                counters,
            }
        },
    )
}

fn data(fields: &[FieldType]) -> impl Strategy<Value = Data> + use<> {
    let parts: Vec<_> = fields
        .iter()
        .map(|field| vec(any::<u8>(), field.width()))
        .collect();
    parts.prop_map(|parts| {
        let joined = parts.iter();
        joined.fold(Data::EMPTY, |data, part| data.bytes(part))
    })
}

fn elements(spec: &SetSpec) -> impl Strategy<Value = Vec<Element>> + use<> {
    let value = match &spec.value {
        SetValue::None => Just(Value::None).boxed(),
        SetValue::Verdict => verdict().prop_map(Value::Verdict).boxed(),
        SetValue::Fields(fields) => data(fields).prop_map(Value::Data).boxed(),
    };
    let most = if spec.dynamic { 0 } else { 20 };
    let expires = spec.timeout_ms != 0;
    let element = (data(&spec.key), value, comment(), 0..3_u64);
    let element = element.prop_map(move |(key, value, comment, life)| Element {
        key,
        value,
        comment,
        timeout_ms: if expires { life * 7_000 } else { 0 },
    });
    vec(element, 0..=most)
}

fn comment() -> impl Strategy<Value = Option<Arc<str>>> {
    option::of("[ -~]{0,128}").prop_map(|text| text.map(Arc::from))
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![
        Verdict::Accept,
        Verdict::Drop,
        Verdict::Return,
        Verdict::Jump("leaf".into()),
        Verdict::Goto("leaf".into()),
    ])
}

/// A rule that loads all registers and then does something with them.
fn rule(base: bool, sets: Vec<(Name, SetSpec)>) -> impl Strategy<Value = Rule> {
    let step = prop_oneof![load_step(), match_step(), set_step(sets)];
    let end = option::of(if base {
        verdict().prop_map(Expr::Verdict).boxed()
    } else {
        prop_oneof![verdict().prop_map(Expr::Verdict), nat_step()].boxed()
    });
    (vec(step, 0..6), end, comment()).prop_map(|(steps, end, comment)| {
        let filled = (0..4).map(|register| Expr::Immediate {
            dreg: Reg(register * 4),
            data: Data::new(&[register; 16]),
        });
        let steps = steps.into_iter().flatten();
        Rule {
            exprs: filled.chain(steps).chain(end).collect(),
            comment,
        }
    })
}

fn reg() -> impl Strategy<Value = Reg> {
    (0..16_u8).prop_map(Reg)
}

fn load_step() -> impl Strategy<Value = Option<Expr>> {
    let base = select(vec![PayloadBase::Network, PayloadBase::Transport]);
    let dir = select(vec![CtDirection::Original, CtDirection::Reply]);
    let ct = (0..9_u8, dir).prop_map(|(which, dir)| match which {
        0 => CtKey::State,
        1 => CtKey::Status,
        2 => CtKey::Direction,
        3 => CtKey::Mark,
        4 => CtKey::SrcIp(Family::Ipv4, dir),
        5 => CtKey::DstIp(Family::Ipv4, dir),
        6 => CtKey::Protocol,
        7 => CtKey::ProtoSrc(dir),
        _ => CtKey::ProtoDst(dir),
    });
    let ct6 = select(vec![
        CtKey::SrcIp(Family::Ipv6, CtDirection::Reply),
        CtKey::DstIp(Family::Ipv6, CtDirection::Original),
    ]);
    let meta = select(vec![MetaKey::NfProto, MetaKey::L4Proto, MetaKey::Mark]);
    let name = select(vec![MetaKey::IifName, MetaKey::OifName]);
    let fib = select(vec![FibResult::SourceType, FibResult::DestinationType]);
    prop_oneof![
        (base, 0..60_u32, 1..=16_u32, 0..=12_u8).prop_map(|(base, offset, len, reg)| {
            Expr::Payload {
                base,
                offset,
                len,
                dreg: Reg(reg),
            }
        }),
        (meta, reg()).prop_map(|(key, dreg)| Expr::Meta { key, dreg }),
        (name, 0..=12_u8).prop_map(|(key, reg)| Expr::Meta {
            key,
            dreg: Reg(reg)
        }),
        (ct, reg()).prop_map(|(key, dreg)| Expr::Ct { key, dreg }),
        (ct6, 0..=12_u8).prop_map(|(key, reg)| Expr::Ct {
            key,
            dreg: Reg(reg)
        }),
        (1..=4_u8, 0..=12_u8, vec(any::<u8>(), 16)).prop_map(|(words, reg, bytes)| {
            let data = Data::new(&bytes[..usize::from(words) * 4]);
            Expr::Immediate {
                dreg: Reg(reg),
                data,
            }
        }),
        (reg(), 1..u32::MAX).prop_map(|(dreg, modulus)| Expr::Random { dreg, modulus }),
        (reg(), 1..=4_u8, 1..=4_u8, 1..u32::MAX, any::<u32>()).prop_map(
            |(dreg, words, from, modulus, seed)| Expr::Hash {
                sreg: Reg(from),
                len: words * 4,
                dreg,
                modulus,
                seed,
            }
        ),
        (fib, reg()).prop_map(|(result, dreg)| Expr::Fib { result, dreg }),
        reg().prop_map(|sreg| Expr::SetMark { sreg }),
    ]
    .prop_map(Some)
}

fn match_step() -> impl Strategy<Value = Option<Expr>> {
    let op = select(vec![
        CmpOp::Eq,
        CmpOp::Neq,
        CmpOp::Lt,
        CmpOp::Lte,
        CmpOp::Gt,
        CmpOp::Gte,
    ]);
    let some = |len: u8, bytes: &[u8]| Data::new(&bytes[..usize::from(len)]);
    prop_oneof![
        (op, 0..=12_u8, 1..=16_u8, vec(any::<u8>(), 16)).prop_map(move |(op, reg, len, bytes)| {
            Expr::Cmp {
                op,
                sreg: Reg(reg),
                data: some(len, &bytes),
                len,
            }
        }),
        // Kernels refuse registers that overlap and are not the same.
        (0..=3_u8, 0..=3_u8, 1..=16_u8, vec(any::<u8>(), 32)).prop_map(
            move |(from, to, len, bytes)| Expr::Bitwise {
                sreg: Reg(from * 4),
                dreg: Reg(to * 4),
                mask: some(len, &bytes[..16]),
                xor: some(len, &bytes[16..]),
                len,
            }
        ),
        Just(Expr::Counter),
    ]
    .prop_map(Some)
}

/// Something with one of the sets, if there are any.
fn set_step(sets: Vec<(Name, SetSpec)>) -> impl Strategy<Value = Option<Expr>> {
    let choice = (any::<proptest::sample::Index>(), any::<bool>(), 0..4_u64);
    choice.prop_map(move |(which, flag, number)| {
        if sets.is_empty() {
            return None;
        }
        let (set, spec) = which.get(&sets).clone();
        let sreg = Reg(0);
        if spec.dynamic && number != 3 {
            let op = [DynsetOp::Add, DynsetOp::Update, DynsetOp::Delete][number as usize];
            let data = (spec.value != SetValue::None).then_some(Reg(0));
            return Some(Expr::Dynset {
                set,
                op,
                key: sreg,
                data,
                timeout_ms: if flag { 9_000 } else { 0 },
            });
        }
        Some(match spec.value {
            SetValue::None => Expr::InSet {
                set,
                sreg,
                inverted: flag,
            },
            SetValue::Verdict => Expr::VerdictMap { set, sreg },
            SetValue::Fields(_) => Expr::Map {
                set,
                sreg,
                dreg: Reg(0),
            },
        })
    })
}

/// What only chains take that no base chain calls in these rulesets.
fn nat_step() -> impl Strategy<Value = Expr> {
    let family = select(vec![Family::Ipv4, Family::Ipv6]);
    prop_oneof![
        (family, 0..=12_u8, reg()).prop_map(|(family, address, port)| Expr::Dnat {
            family,
            address: Reg(address),
            port,
        }),
        any::<bool>().prop_map(|fully_random| Expr::Masquerade { fully_random }),
        Just(Expr::Reject(RejectWith::PortUnreachable)),
        Just(Expr::Reject(RejectWith::TcpReset)),
        Just(Expr::Notrack),
    ]
}
