//! Mistakes, other people's changes, and how `nft` sees a table.

use super::*;
use nft::{CmpOp, Op, PayloadBase, Reg, Transaction, Verdict};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

fn ops(ops: impl Into<Vec<Op>>) -> Transaction {
    Transaction { ops: ops.into() }
}

fn name(name: &str) -> Name {
    name.into()
}

fn destination(last: u8) -> Data {
    Data::EMPTY.address(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
}

fn to(chain: &str) -> Value {
    Value::Verdict(Verdict::Goto(chain.into()))
}

fn element(key: Data, value: Value) -> Element {
    Element {
        key,
        value,
        comment: None,
        timeout_ms: 0,
    }
}

/// A base chain that looks destinations up, and a chain that they lead to.
fn small() -> Ruleset {
    let exprs = [
        Expr::Payload {
            base: PayloadBase::Network,
            offset: 16,
            len: 4,
            dreg: Reg(0),
        },
        Expr::VerdictMap {
            set: name("services"),
            sreg: Reg(0),
        },
    ];
    let map = spec(&[FieldType::Ipv4Addr], SetValue::Verdict);
    let elements = (1..4).map(|last| (destination(last), to("one")));
    Ruleset {
        chains: [
            (name("in"), nat(Hook::Prerouting, -100, vec![rule(exprs)])),
            (name("one"), chain(vec![rule([Expr::Counter])])),
        ]
        .into(),
        sets: [(name("services"), set_of(map, elements))].into(),
    }
}

fn opened(wanted: &Ruleset) -> Table {
    let mut table = Table::open("portolan").unwrap();
    load(&mut table, wanted);
    table
}

#[test]
fn refusals_name_the_object() {
    inside(|| {
        let wanted = small();
        let mut table = opened(&wanted);
        let fine: Vec<_> = (10..60)
            .map(|last| element(destination(last), to("one")))
            .collect();
        let mut elements = fine.clone();
        elements[33].value = to("nowhere");
        let cases = [
            (
                ops([
                    Op::AddElements(name("services"), fine),
                    Op::AddElements(name("services"), elements),
                ]),
                Some(1),
                "elements of set services, the one with key 0x0a00002b: No such file or directory \
                 (os error 2): it, or something that it names, is not there",
            ),
            (
                ops([Op::AddElements(
                    name("services"),
                    vec![element(destination(1), Value::Verdict(Verdict::Drop))],
                )]),
                Some(0),
                "elements of set services, the one with key 0x0a000001: ",
            ),
            (
                ops([Op::AddRule(
                    name("one"),
                    rule([
                        Expr::Counter,
                        Expr::Random {
                            dreg: Reg(3),
                            modulus: 2,
                        },
                        Expr::InSet {
                            set: name("unknown"),
                            sreg: Reg(3),
                            inverted: false,
                        },
                    ]),
                )]),
                Some(0),
                "rule of chain one, step 3 (lookup): No such file or directory (os error 2): it, \
                 or something that it names, is not there",
            ),
            (
                ops([Op::AddElements(
                    name("lost"),
                    vec![element(destination(1), Value::None)],
                )]),
                Some(0),
                "elements of set lost: there is no such set",
            ),
            (
                ops([Op::AddChain(name("one"), None)]),
                Some(0),
                "chain one: File exists (os error 17): something else of that name or key is there",
            ),
            (
                ops([Op::FlushChain(name("two"))]),
                Some(0),
                "chain two: No such file or directory (os error 2): it, or something that it \
                 names, is not there",
            ),
            (
                ops([Op::AddRule(name("one"), rule([Expr::Foreign(name("log"))]))]),
                Some(0),
                "rule of chain one: step 1 (log): is somebody else's and cannot be planned",
            ),
        ];
        for (transaction, op, text) in cases {
            let error = table.apply(&transaction).unwrap_err();
            assert_eq!(error.op(), op, "{error}");
            assert!(error.to_string().starts_with(text), "{error}");
            assert_eq!(
                table.read().unwrap().as_ref(),
                Some(&wanted),
                "all or nothing"
            );
        }
    });
}

#[test]
fn transaction_for_another_generation_is_not_taken() {
    inside(|| {
        let mut table = opened(&small());
        let generation = table.generation().unwrap();
        let add = |last| {
            ops([Op::AddElements(
                name("services"),
                vec![element(destination(last), to("one"))],
            )])
        };
        table.apply_at(&add(10), generation).unwrap();
        assert_eq!(table.generation().unwrap(), generation + 1);
        let error = table.apply_at(&add(11), generation).unwrap_err();
        assert!(
            matches!(error, ApplyError::Changed(old) if old == generation),
            "{error}"
        );
        table.apply(&add(11)).unwrap();
    });
}

#[test]
fn table_comes_with_the_first_transaction_and_goes() {
    inside(|| {
        let mut table = Table::open("portolan").unwrap();
        assert_eq!(table.read().unwrap(), None);
        assert!(!table.exists().unwrap());
        table.delete().unwrap();
        table.apply(&Transaction::default()).unwrap();
        assert_eq!(table.read().unwrap(), None);
        table
            .apply(&ops([Op::AddChain(name("one"), None)]))
            .unwrap();
        assert_eq!(table.read().unwrap().unwrap().chains.len(), 1);
        table.delete().unwrap();
        assert_eq!(table.read().unwrap(), None);
    });
}

#[test]
fn chain_goes_together_with_the_element_that_led_to_it() {
    inside(|| {
        let mut present = small();
        present.chains.insert(name("two"), chain(Vec::new()));
        let services = present.sets.get_mut("services").unwrap();
        services
            .elements
            .insert(destination(9), element(destination(9), to("two")));
        let mut table = opened(&present);
        let wanted = small();
        table.apply(&diff(&wanted, &present)).unwrap();
        assert_eq!(table.read().unwrap(), Some(wanted));
    });
}

#[test]
fn changes_by_others_are_told_and_own_ones_are_not() {
    inside(|| {
        let wanted = small();
        let mut table = opened(&wanted);
        let mut watch = Watch::open(&mut table).unwrap();
        table.apply(&ops([Op::FlushChain(name("one"))])).unwrap();
        let present = table.read().unwrap().unwrap();
        table.apply(&diff(&wanted, &present)).unwrap();
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);

        let mut stranger = Table::open("portolan").unwrap();
        stranger.apply(&ops([Op::FlushChain(name("one"))])).unwrap();
        let change = watch.next(PATIENCE).unwrap().unwrap();
        assert_eq!(
            change.process,
            Some(rustix::thread::gettid().as_raw_nonzero().get() as u32)
        );
        assert!(change.program.is_some() && !change.removed, "{change:?}");

        let mut other = Table::open("another").unwrap();
        other
            .apply(&ops([Op::AddChain(name("one"), None)]))
            .unwrap();
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None, "another table");

        stranger.delete().unwrap();
        assert!(watch.next(PATIENCE).unwrap().unwrap().removed);
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
        load(&mut table, &wanted);
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
        assert_eq!(table.read().unwrap(), Some(wanted));
    });
}

#[test]
fn foreign_flush_by_nft_is_told_with_its_program() {
    inside(|| {
        let mut table = opened(&small());
        let mut watch = Watch::open(&mut table).unwrap();
        if oracle("nft", &["flush", "ruleset"]).is_some() {
            let change = watch.next(PATIENCE).unwrap().unwrap();
            assert!(change.removed, "{change:?}");
            assert_eq!(change.program.as_deref(), Some("nft"));
        }
    });
}

#[test]
fn foreign_edits_differ_from_every_plan_and_are_repaired() {
    inside(|| {
        let wanted = small();
        let mut table = opened(&wanted);
        let edits = [
            "add rule inet portolan one ip saddr { 10.1.1.1, 10.1.1.2 } log prefix \"x\" drop",
            "add rule inet portolan one jump { drop; }",
            "add chain inet portolan in { policy drop; }",
            "add chain inet portolan own { type filter hook ingress device lo priority 0; }",
            "add table inet portolan { flags dormant; }",
            "add set inet portolan own { type ifname; elements = { \"lo\" }; }",
            "add set inet portolan own { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }",
            "add element inet portolan services { * : drop }",
            "delete element inet portolan services { 10.0.0.1 }",
            "flush chain inet portolan in",
            "add rule inet portolan in tcp dport 80 redirect to :8080",
            "add rule inet portolan one meta mark set meta mark or 0x10",
            "add rule inet portolan one ct mark set 7",
            "add rule inet portolan one numgen inc mod 2 vmap { 0 : drop, 1 : accept }",
        ];
        for edit in edits {
            if oracle("nft", &[edit]).is_none() {
                return;
            }
            let read = table.read().unwrap().unwrap();
            assert_ne!(read, wanted, "{edit}");
            let repair = diff(&wanted, &read);
            table
                .apply(&repair)
                .unwrap_or_else(|error| panic!("{edit}: {error}\n{repair}"));
            assert_eq!(table.read().unwrap().as_ref(), Some(&wanted), "{edit}");
        }
    });
}

#[test]
fn batch_that_is_too_large_for_the_socket_goes_in_parts() {
    inside(|| {
        let mut wanted = small();
        let services = wanted.sets.get_mut("services").unwrap();
        for last in 0..20_000_u32 {
            let key = Data::EMPTY.address(Ipv4Addr::from(0x0b00_0000 + last).into());
            services.elements.insert(key, element(key, to("one")));
        }
        let mut table = Table::open("portolan").unwrap();
        let transaction = diff(&wanted, &Ruleset::default());
        let lengths = table.lengths(&transaction.ops).unwrap();
        let mut batch = table.encode(&transaction.ops, &lengths, None);
        assert!(batch.end().unwrap().len() > 800_000);
        let parts = batch.parts(200_000);
        assert!(parts.len() > 3);
        for part in parts {
            let bytes = part.writer.finish().unwrap();
            assert!(bytes.len() <= 200_000);
            table.socket.send(bytes).unwrap();
            table.outcome(batch.first_seq(), part.last).unwrap();
        }
        assert!(table.read().unwrap().unwrap() == wanted);
    });
}

#[test]
fn nft_shows_maps_verdicts_concatenations_and_comments() {
    inside(|| {
        let wanted = shown();
        let _table = opened(&wanted);
        let Some(listing) = oracle("nft", &["list", "table", "inet", "portolan"]) else {
            return;
        };
        let listing: Vec<&str> = listing
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(
            listing.join("\n"),
            LISTING.trim(),
            "as the nft of Debian 12 prints it"
        );
    });
}

const LISTING: &str = r#"
table inet portolan {
map counted {
type ipv4_addr . inet_proto . inet_service : verdict
counter
elements = { 10.96.0.1 . tcp . 443 counter packets 0 bytes 0 comment "shop/web:https" : goto one }
}
map dynamic {
type ipv4_addr . inet_proto . inet_service : ipv6_addr . inet_service
size 100
flags dynamic,timeout
timeout 3h
}
map ports {
type inet_service : mark
elements = { 80 : 0x00000002 }
}
map services {
type ipv4_addr : verdict
elements = { 10.0.0.1 : goto one, 10.0.0.2 : goto one,
10.0.0.3 : goto one }
}
map slots {
type ipv6_addr . inet_service . mark : ipv6_addr . inet_service
elements = { fd00::1 . 53 . 0x00000007 : fd00::2 . 5353 }
}
chain in {
type nat hook prerouting priority dstnat; policy accept;
@nh,128,32 vmap @services
}
chain one {
counter packets 0 bytes 0 comment "counts"
@nh,96,32 0xa000007 drop
}
}
"#;

fn shown() -> Ruleset {
    let mut ruleset = small();
    let service = [
        FieldType::Ipv4Addr,
        FieldType::InetProto,
        FieldType::InetService,
    ];
    let v6 = [FieldType::Ipv6Addr, FieldType::InetService, FieldType::Mark];
    let vip = || {
        Data::EMPTY
            .address(Ipv4Addr::new(10, 96, 0, 1).into())
            .protocol(6)
            .port(443)
    };
    let far = || {
        Data::EMPTY
            .address("fd00::1".parse().unwrap())
            .port(53)
            .number(7)
    };
    let dynamic = SetSpec {
        dynamic: true,
        size: 100,
        timeout_ms: 10_800_000,
        ..spec(&service, SetValue::Fields(fields(&v6[..2])))
    };
    let counted = SetSpec {
        counters: true,
        ..spec(&service, SetValue::Verdict)
    };
    let sets = [
        (
            "ports",
            set_of(
                spec(&service[2..], SetValue::Fields(fields(&[FieldType::Mark]))),
                [(Data::EMPTY.port(80), Value::Data(Data::EMPTY.number(2)))],
            ),
        ),
        (
            "slots",
            set_of(
                spec(&v6, SetValue::Fields(fields(&v6[..2]))),
                [(
                    far(),
                    Value::Data(Data::EMPTY.address("fd00::2".parse().unwrap()).port(5353)),
                )],
            ),
        ),
        ("dynamic", set_of(dynamic, [])),
        ("counted", set_of(counted, [(vip(), to("one"))])),
    ];
    ruleset
        .sets
        .extend(sets.map(|(set, found)| (name(set), found)));
    let counted = ruleset.sets.get_mut("counted").unwrap();
    counted.elements.get_mut(&vip()).unwrap().comment = Some("shop/web:https".into());
    let one = ruleset.chains.get_mut("one").unwrap();
    one.rules[0].comment = Some("counts".into());
    one.rules.push(rule([
        Expr::Payload {
            base: PayloadBase::Network,
            offset: 12,
            len: 4,
            dreg: Reg(0),
        },
        Expr::Cmp {
            op: CmpOp::Eq,
            sreg: Reg(0),
            data: destination(7),
            len: 4,
        },
        Expr::Verdict(Verdict::Drop),
    ]));
    ruleset
}
