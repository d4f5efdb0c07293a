use crate::*;
use std::sync::Arc;

fn name(text: &str) -> Name {
    Arc::from(text)
}

fn fields(types: &[FieldType]) -> Arc<[FieldType]> {
    Arc::from(types)
}

fn endpoints() -> Set {
    use FieldType::{InetProto, InetService, Ipv4Addr, Mark};
    let key = Data::EMPTY.address([10, 96, 0, 1].into());
    let key = key.protocol(6).port(443).number(2);
    let value = Data::EMPTY.address([10, 0, 0, 2].into()).port(6443);
    let element = Element {
        key,
        value: Value::Data(value),
        comment: Some("default/kubernetes".into()),
        timeout_ms: 0,
    };
    Set {
        spec: SetSpec {
            key: fields(&[Ipv4Addr, InetProto, InetService, Mark]),
            value: SetValue::Fields(fields(&[Ipv4Addr, InetService])),
            dynamic: true,
            timeout_ms: 10_000_500,
            size: 65536,
            counters: true,
        },
        elements: [(key, element)].into(),
    }
}

fn chain() -> Chain {
    let bitwise = |mask: u32, xor: u32| Expr::Bitwise {
        sreg: Reg(0),
        dreg: Reg(0),
        mask: Data::EMPTY.number(mask),
        xor: Data::EMPTY.number(xor),
        len: 4,
    };
    let mark = Expr::Meta {
        key: MetaKey::Mark,
        dreg: Reg(0),
    };
    let interface = Expr::Meta {
        key: MetaKey::IifName,
        dreg: Reg(0),
    };
    let compare = |data: Data, len: u8| Expr::Cmp {
        op: CmpOp::Eq,
        sreg: Reg(0),
        data,
        len,
    };
    let state = Expr::Ct {
        key: CtKey::State,
        dreg: Reg(0),
    };
    let rules = vec![
        vec![
            mark.clone(),
            bitwise(!0, 0x4000),
            Expr::SetMark { sreg: Reg(0) },
        ],
        vec![
            mark,
            bitwise(0x4000, 0),
            compare(Data::EMPTY.number(0x4000), 4),
        ],
        vec![interface, compare(Data::new(b"veth"), 4)],
        vec![
            state,
            bitwise(state::NEW | state::RELATED, 0),
            Expr::Notrack,
        ],
    ];
    let rule = |exprs| Rule {
        exprs,
        comment: None,
    };
    Chain {
        base: Some(Base {
            kind: ChainKind::Nat,
            hook: Hook::Prerouting,
            priority: -100,
        }),
        rules: rules.into_iter().map(rule).collect(),
    }
}

#[test]
fn rulesets_read_like_nft() {
    let ruleset = Ruleset {
        chains: [(name("prerouting"), chain())].into(),
        sets: [(name("endpoints4"), endpoints())].into(),
    };
    let wanted = r#"map endpoints4 {
  type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; flags dynamic; timeout 2h46m40s500ms; size 65536; counter
  10.96.0.1 . tcp . 443 . 2 : 10.0.0.2 . 6443  # default/kubernetes
}
chain prerouting {
  type nat hook prerouting priority dstnat
  r0 = meta mark; r0 = r0 ^ 0x00004000; meta mark = r0
  r0 = meta mark; r0 = r0 & 0x00004000; r0 == 0x00004000
  r0 = meta iifname; r0 == "veth*"
  r0 = ct state; r0 = r0 & 0x0000000c; notrack
}
"#;
    assert_eq!(ruleset.to_string(), wanted);
}

#[test]
fn steps_read_by_the_types_of_their_sets() {
    let set = endpoints();
    let elements: Vec<_> = set.elements.values().cloned().collect();
    let steps = Transaction {
        ops: vec![
            Op::DeleteElements(name("endpoints4"), elements.clone()),
            Op::AddElements(name("endpoints4"), elements),
        ],
    };
    let present = Ruleset {
        sets: [(name("endpoints4"), set)].into(),
        ..Ruleset::default()
    };
    let wanted = "delete element endpoints4 { 10.96.0.1 . tcp . 443 . 2 }\n\
        add element endpoints4 { 10.96.0.1 . tcp . 443 . 2 : 10.0.0.2 . 6443  # default/kubernetes }\n";
    assert_eq!(steps.against(&present).to_string(), wanted);
    assert!(
        steps
            .to_string()
            .starts_with("delete element endpoints4 { 0x0a600001")
    );
}

#[test]
fn loads_lookups_and_ends_read_like_nft() {
    let exprs = vec![
        Expr::Payload {
            base: PayloadBase::Network,
            offset: 16,
            len: 4,
            dreg: Reg(4),
        },
        Expr::Random {
            dreg: Reg(10),
            modulus: 3,
        },
        Expr::Map {
            set: name("endpoints4"),
            sreg: Reg(4),
            dreg: Reg(10),
        },
        Expr::Hash {
            sreg: Reg(0),
            len: 16,
            dreg: Reg(1),
            modulus: 7,
            seed: 255,
        },
        Expr::Dynset {
            set: name("affinity4"),
            op: DynsetOp::Update,
            key: Reg(0),
            data: Some(Reg(10)),
            timeout_ms: 10_800_000,
        },
        Expr::Dnat {
            family: Family::Ipv4,
            address: Reg(10),
            port: Reg(14),
        },
    ];
    let rule = Rule {
        exprs,
        comment: Some("last".into()),
    };
    let wanted = "r4 = ip daddr; r10 = numgen random mod 3; r10 = @endpoints4[r4..]; \
        r1 = jhash r0..r3 mod 7 seed 0xff; update @affinity4 { r0.. timeout 3h : r10.. }; \
        dnat ip to r10:r14  # last";
    assert_eq!(rule.to_string(), wanted);
}
