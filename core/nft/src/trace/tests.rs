use super::*;
use crate::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// A small Service proxy: 10.96.0.1:80 with three endpoints, one of them on this machine.
fn ruleset() -> Ruleset {
    let services = map("services", &[IPV4, PROTO, PORT], SetValue::Verdict);
    let endpoints = map("endpoints", &[IPV4, PROTO, PORT, NUMBER], to_endpoint());
    let affinity = dynamic("affinity", &[IPV4, IPV4, PROTO, PORT], 60_000, 0);
    let mut ruleset = Ruleset::default();
    ruleset.sets.extend([services, endpoints, affinity]);
    let verdicts = [
        (80, "cluster-3"),
        (81, "refuse"),
        (82, "sticky"),
        (83, "hashed"),
    ];
    for (port, chain) in verdicts {
        let key = vip(port);
        add(
            &mut ruleset,
            "services",
            key,
            Value::Verdict(Verdict::Goto(chain.into())),
        );
        for (slot, address) in ["10.0.0.2", "10.0.0.3", "10.0.1.4"].into_iter().enumerate() {
            let value = Data::EMPTY.address(ip(address)).port(8080);
            add(
                &mut ruleset,
                "endpoints",
                key.number(slot as u32),
                Value::Data(value),
            );
        }
    }
    let find = Expr::VerdictMap {
        set: "services".into(),
        sreg: Reg(5),
    };
    let ask = [identity()[1..].to_vec(), vec![find]].concat();
    ruleset.chains.extend([
        base(
            "prerouting",
            Hook::Prerouting,
            ChainKind::Nat,
            -100,
            vec![ask.clone()],
        ),
        base("output", Hook::Output, ChainKind::Nat, -100, vec![ask]),
        base(
            "postrouting",
            Hook::Postrouting,
            ChainKind::Nat,
            100,
            vec![masquerade()],
        ),
        plain(
            "cluster-3",
            vec![
                hairpin_mark(),
                choose(Expr::Random {
                    dreg: Reg(8),
                    modulus: 3,
                }),
            ],
        ),
        plain(
            "hashed",
            vec![choose(Expr::Hash {
                sreg: Reg(4),
                len: 4,
                dreg: Reg(8),
                modulus: 3,
                seed: 7,
            })],
        ),
        plain(
            "refuse",
            vec![vec![Expr::Reject(RejectWith::PortUnreachable)]],
        ),
        plain("sticky", sticky()),
    ]);
    ruleset
}

const IPV4: FieldType = FieldType::Ipv4Addr;
const PROTO: FieldType = FieldType::InetProto;
const PORT: FieldType = FieldType::InetService;
const NUMBER: FieldType = FieldType::Mark;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

fn vip(port: u16) -> Data {
    Data::EMPTY.address(ip("10.96.0.1")).protocol(6).port(port)
}

fn to_endpoint() -> SetValue {
    SetValue::Fields([IPV4, PORT].into())
}

fn map(name: &str, key: &[FieldType], value: SetValue) -> (Name, Set) {
    let spec = SetSpec {
        key: Arc::from(key),
        value,
        dynamic: false,
        timeout_ms: 0,
        size: 0,
        counters: false,
    };
    let elements = Default::default();
    (name.into(), Set { spec, elements })
}

fn dynamic(name: &str, key: &[FieldType], timeout_ms: u64, size: u32) -> (Name, Set) {
    let (name, mut set) = map(name, key, to_endpoint());
    (set.spec.dynamic, set.spec.timeout_ms, set.spec.size) = (true, timeout_ms, size);
    (name, set)
}

fn add(ruleset: &mut Ruleset, set: &str, key: Data, value: Value) {
    let element = Element {
        key,
        value,
        comment: None,
        timeout_ms: 0,
    };
    let set = ruleset.sets.get_mut(set).expect("a set");
    set.elements.insert(key, element);
}

fn chain(base: Option<Base>, rules: Vec<Vec<Expr>>) -> Chain {
    let rules = rules.into_iter().map(|exprs| Rule {
        exprs,
        comment: None,
    });
    Chain {
        base,
        rules: rules.collect(),
    }
}

fn plain(name: &str, rules: Vec<Vec<Expr>>) -> (Name, Chain) {
    (name.into(), chain(None, rules))
}

fn base(
    name: &str,
    hook: Hook,
    kind: ChainKind,
    priority: i32,
    rules: Vec<Vec<Expr>>,
) -> (Name, Chain) {
    let base = Base {
        kind,
        hook,
        priority,
    };
    (name.into(), chain(Some(base), rules))
}

fn load(offset: u32, len: u32, dreg: u8) -> Expr {
    Expr::Payload {
        base: PayloadBase::Network,
        offset,
        len,
        dreg: Reg(dreg),
    }
}

fn th(offset: u32, dreg: u8) -> Expr {
    Expr::Payload {
        base: PayloadBase::Transport,
        offset,
        len: 2,
        dreg: Reg(dreg),
    }
}

fn equal(sreg: u8, data: Data) -> Expr {
    let len = data.len() as u8;
    Expr::Cmp {
        op: CmpOp::Eq,
        sreg: Reg(sreg),
        data,
        len,
    }
}

/// Source in register 4, the frontend in 5 to 7.
fn identity() -> Vec<Expr> {
    let protocol = Expr::Meta {
        key: MetaKey::L4Proto,
        dreg: Reg(6),
    };
    vec![load(12, 4, 4), load(16, 4, 5), protocol, th(2, 7)]
}

fn to_chosen() -> Vec<Expr> {
    let dnat = Expr::Dnat {
        family: Family::Ipv4,
        address: Reg(8),
        port: Reg(9),
    };
    vec![dnat]
}

/// A slot in register 8, and DNAT to its endpoint.
fn choose(slot: Expr) -> Vec<Expr> {
    let find = Expr::Map {
        set: "endpoints".into(),
        sreg: Reg(5),
        dreg: Reg(8),
    };
    [identity(), vec![slot, find], to_chosen()].concat()
}

fn mark() -> Data {
    Data::EMPTY.number(0x4000)
}

fn masquerade() -> Vec<Expr> {
    let mark_is = Expr::Meta {
        key: MetaKey::Mark,
        dreg: Reg(0),
    };
    vec![
        mark_is,
        equal(0, mark()),
        Expr::Masquerade { fully_random: true },
    ]
}

/// Endpoints that talk to themselves get the mark.
fn hairpin_mark() -> Vec<Expr> {
    let set = Expr::Immediate {
        dreg: Reg(0),
        data: mark(),
    };
    let own = equal(4, Data::EMPTY.address(ip("10.0.0.2")));
    vec![load(12, 4, 4), own, set, Expr::SetMark { sreg: Reg(0) }]
}

fn sticky() -> Vec<Vec<Expr>> {
    let known = Expr::Map {
        set: "affinity".into(),
        sreg: Reg(4),
        dreg: Reg(8),
    };
    let keep = Expr::Dynset {
        set: "affinity".into(),
        op: DynsetOp::Update,
        key: Reg(4),
        data: Some(Reg(8)),
        timeout_ms: 0,
    };
    let random = Expr::Random {
        dreg: Reg(8),
        modulus: 3,
    };
    let mut fresh = choose(random);
    fresh.insert(fresh.len() - 1, keep.clone());
    vec![[identity(), vec![known, keep], to_chosen()].concat(), fresh]
}

/// Pods of this node are behind "pods", the others and the rest behind "eth0".
fn world() -> World {
    let interface = |name: &str, addresses: &[&str]| Interface {
        name: name.into(),
        addresses: addresses.iter().map(|address| ip(address)).collect(),
    };
    let route = |network: &str, prefix, interface: &str| Route {
        network: ip(network),
        prefix,
        interface: interface.into(),
    };
    World {
        interfaces: vec![
            interface("pods", &["10.0.0.1"]),
            interface("eth0", &["192.168.0.10"]),
        ],
        routes: vec![route("0.0.0.0", 0, "eth0"), route("10.0.0.0", 24, "pods")],
        ..World::default()
    }
}

fn from_pods() -> Origin {
    Origin::Interface("pods".into())
}

fn pod_opens(port: u16) -> Packet {
    Packet::tcp(
        from_pods(),
        at("10.0.0.9:5000"),
        SocketAddr::new(ip("10.96.0.1"), port),
    )
}

/// Where it gets to, for each choice.
fn destinations(ruleset: &Ruleset, world: &World, packet: &Packet) -> BTreeSet<String> {
    let all = trace_all(ruleset, world, packet, 100);
    all.into_iter()
        .map(|(outcome, _)| outcome.fate.to_string())
        .collect()
}

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_choice_is_tried() {
    let wanted = texts(&[
        "forwarded by pods 10.0.0.9:5000 -> 10.0.0.2:8080",
        "forwarded by pods 10.0.0.9:5000 -> 10.0.0.3:8080",
        "forwarded by eth0 10.0.0.9:5000 -> 10.0.1.4:8080",
    ]);
    assert_eq!(destinations(&ruleset(), &world(), &pod_opens(80)), wanted);
}

#[test]
fn the_way_reads_as_rules_and_elements() {
    let ruleset = ruleset();
    let outcome = send(
        &ruleset,
        &mut world(),
        &pod_opens(80),
        &mut Choices::new(&[2]),
    );
    let wanted = "\
prerouting
  prerouting: r5 = ip daddr; r6 = meta l4proto; r7 = th dport; r5.. vmap @services
    @services: 10.96.0.1 . tcp . 80 : goto cluster-3
  cluster-3: r4 = ip saddr; r5 = ip daddr; r6 = meta l4proto; r7 = th dport; r8 = numgen random mod 3; r8 = @endpoints[r5..]; dnat ip to r8:r9
    @endpoints: 10.96.0.1 . tcp . 80 . 2 : 10.0.1.4 . 8080
forward
postrouting
forwarded by eth0 10.0.0.9:5000 -> 10.0.1.4:8080";
    assert_eq!(outcome.explain(&ruleset).to_string(), wanted);
}

#[test]
fn later_packets_and_answers_follow_the_connection() {
    let (mut ruleset, mut world) = (ruleset(), world());
    send(
        &ruleset,
        &mut world,
        &pod_opens(80),
        &mut Choices::new(&[2]),
    );
    ruleset.chains.clear();
    let again = destinations(&ruleset, &world, &pod_opens(80));
    assert_eq!(
        again,
        texts(&["forwarded by eth0 10.0.0.9:5000 -> 10.0.1.4:8080"])
    );
    let answer = Packet::tcp(
        Origin::Interface("eth0".into()),
        at("10.0.1.4:8080"),
        at("10.0.0.9:5000"),
    );
    let answered = destinations(&ruleset, &world, &answer);
    assert_eq!(
        answered,
        texts(&["forwarded by pods 10.96.0.1:80 -> 10.0.0.9:5000"])
    );
}

#[test]
fn hairpins_come_from_the_machine_and_go_back() {
    let (ruleset, mut world) = (ruleset(), world());
    let own = Packet::tcp(from_pods(), at("10.0.0.2:5000"), at("10.96.0.1:80"));
    let there = send(&ruleset, &mut world, &own, &mut Choices::new(&[0]));
    assert_eq!(
        there.fate.to_string(),
        "forwarded by pods 10.0.0.1:5000 -> 10.0.0.2:8080"
    );
    assert_eq!(there.mark, 0x4000);
    let answer = Packet::tcp(from_pods(), at("10.0.0.2:8080"), at("10.0.0.1:5000"));
    let back = send(&ruleset, &mut world, &answer, &mut Choices::default());
    assert_eq!(
        back.fate.to_string(),
        "forwarded by pods 10.96.0.1:80 -> 10.0.0.2:5000"
    );
}

#[test]
fn masqueraded_connections_are_kept_apart_by_ports() {
    let (ruleset, mut world) = (ruleset(), world());
    let own = Packet::tcp(from_pods(), at("10.0.0.2:5000"), at("10.96.0.1:80"));
    let local = Packet::tcp(Origin::Local, at("10.0.0.1:5000"), at("10.0.0.2:8080"));
    send(&ruleset, &mut world, &local, &mut Choices::default());
    let there = send(&ruleset, &mut world, &own, &mut Choices::new(&[0]));
    assert_eq!(
        there.fate.to_string(),
        "forwarded by pods 10.0.0.1:5001 -> 10.0.0.2:8080"
    );
}

#[test]
fn packets_of_the_machine_pass_output() {
    let (ruleset, mut world) = (ruleset(), world());
    let opens = Packet::tcp(Origin::Local, at("192.168.0.10:5000"), at("10.96.0.1:80"));
    let there = send(&ruleset, &mut world, &opens, &mut Choices::new(&[1]));
    assert_eq!(
        there.fate.to_string(),
        "forwarded by pods 192.168.0.10:5000 -> 10.0.0.3:8080"
    );
    assert_eq!(there.path[0], Step::Hook(Hook::Output));
}

#[test]
fn what_stays_on_the_machine_arrives_by_loopback() {
    let (mut ruleset, mut world) = (ruleset(), world());
    let own = Data::EMPTY.address(ip("192.168.0.10")).port(6443);
    add(
        &mut ruleset,
        "endpoints",
        vip(80).number(0),
        Value::Data(own),
    );
    let opens = Packet::tcp(Origin::Local, at("192.168.0.10:5000"), at("10.96.0.1:80"));
    let there = send(&ruleset, &mut world, &opens, &mut Choices::new(&[0]));
    assert_eq!(
        there.fate.to_string(),
        "delivered 192.168.0.10:5000 -> 192.168.0.10:6443"
    );
    let hooks = there.path.iter().filter_map(|step| match step {
        Step::Hook(hook) => Some(*hook),
        _ => None,
    });
    let wanted = [
        Hook::Output,
        Hook::Postrouting,
        Hook::Prerouting,
        Hook::Input,
    ];
    assert_eq!(hooks.collect::<Vec<_>>(), wanted);
}

#[test]
fn refused_packets_leave_no_connection() {
    let (ruleset, mut world) = (ruleset(), world());
    let refused = send(
        &ruleset,
        &mut world,
        &pod_opens(81),
        &mut Choices::default(),
    );
    assert_eq!(refused.fate, Fate::Refused(RejectWith::PortUnreachable));
    assert_eq!(world.connections, []);
}

#[test]
fn sticky_clients_come_back_until_their_time_is_over() {
    let (ruleset, mut world) = (ruleset(), world());
    send(
        &ruleset,
        &mut world,
        &pod_opens(82),
        &mut Choices::new(&[1]),
    );
    world.connections.clear();
    let same = texts(&["forwarded by pods 10.0.0.9:5000 -> 10.0.0.3:8080"]);
    world.now_ms = 59_999;
    send(
        &ruleset,
        &mut world,
        &pod_opens(82),
        &mut Choices::new(&[0]),
    );
    world.connections.clear();
    world.now_ms = 59_999 + 59_999;
    assert_eq!(destinations(&ruleset, &world, &pod_opens(82)), same);
    world.now_ms += 1;
    assert_eq!(destinations(&ruleset, &world, &pod_opens(82)).len(), 3);
}

#[test]
fn a_full_set_ends_the_rule_that_adds() {
    let (mut ruleset, mut world) = (ruleset(), world());
    ruleset
        .sets
        .extend([dynamic("affinity", &[IPV4, IPV4, PROTO, PORT], 60_000, 1)]);
    send(
        &ruleset,
        &mut world,
        &pod_opens(82),
        &mut Choices::new(&[1]),
    );
    let other = Packet::tcp(from_pods(), at("10.0.0.8:5000"), at("10.96.0.1:82"));
    let through = destinations(&ruleset, &world, &other);
    let wanted = texts(&["forwarded by eth0 10.0.0.8:5000 -> 10.96.0.1:82"]);
    assert_eq!(through, wanted);
}

#[test]
fn a_hash_chooses_by_what_it_reads() {
    let (ruleset, world) = (ruleset(), world());
    for client in ["10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12"] {
        let slot = scale(jhash(Data::EMPTY.address(ip(client)).as_slice(), 7), 3) as usize;
        let endpoint = ["10.0.0.2", "10.0.0.3", "10.0.1.4"][slot];
        let packet = Packet::tcp(
            from_pods(),
            SocketAddr::new(ip(client), 1),
            at("10.96.0.1:83"),
        );
        let there = destinations(&ruleset, &world, &packet);
        let end = format!("{client}:1 -> {endpoint}:8080");
        assert!(
            there.len() == 1 && there.iter().all(|to| to.ends_with(&end)),
            "{there:?}"
        );
    }
}

#[test]
fn untracked_packets_are_not_rewritten() {
    let mut ruleset = ruleset();
    let state = Expr::Ct {
        key: CtKey::State,
        dreg: Reg(0),
    };
    let untracked = equal(0, Data::EMPTY.number(state::UNTRACKED));
    let drop = Expr::Verdict(Verdict::Drop);
    ruleset.chains.extend([
        base(
            "raw",
            Hook::Prerouting,
            ChainKind::Filter,
            -300,
            vec![vec![Expr::Notrack]],
        ),
        base(
            "last",
            Hook::Forward,
            ChainKind::Filter,
            0,
            vec![vec![state, untracked, drop]],
        ),
    ]);
    assert_eq!(
        destinations(&ruleset, &world(), &pod_opens(80)),
        texts(&["dropped"])
    );
    ruleset.chains.remove("last");
    let wanted = texts(&["forwarded by eth0 10.0.0.9:5000 -> 10.96.0.1:80"]);
    assert_eq!(destinations(&ruleset, &world(), &pod_opens(80)), wanted);
}

#[test]
fn jumps_come_back_and_gotos_do_not() {
    let verdict = |verdict| vec![Expr::Verdict(verdict)];
    let set = |number: u32| {
        let data = Data::EMPTY.number(number);
        vec![
            Expr::Immediate { dreg: Reg(0), data },
            Expr::SetMark { sreg: Reg(0) },
        ]
    };
    let jump = verdict(Verdict::Jump("a".into()));
    let mut ruleset = Ruleset::default();
    ruleset.chains.extend([
        base("in", Hook::Input, ChainKind::Filter, 0, vec![jump, set(1)]),
        plain(
            "a",
            vec![verdict(Verdict::Goto("b".into())), verdict(Verdict::Drop)],
        ),
        plain("b", vec![verdict(Verdict::Return), verdict(Verdict::Drop)]),
    ]);
    let packet = Packet::udp(from_pods(), at("10.0.0.9:5000"), at("10.0.0.1:53"));
    let outcome = send(&ruleset, &mut world(), &packet, &mut Choices::default());
    assert_eq!(
        outcome.fate.to_string(),
        "delivered 10.0.0.9:5000 -> 10.0.0.1:53"
    );
    assert_eq!(outcome.mark, 1);
}

#[test]
fn loopback_addresses_stay_inside() {
    let (ruleset, world) = (Ruleset::default(), world());
    let martian = Packet::udp(from_pods(), at("10.0.0.9:5000"), at("127.0.0.1:53"));
    assert_eq!(
        destinations(&ruleset, &world, &martian),
        texts(&["dropped"])
    );
    let outwards = Packet::udp(Origin::Local, at("127.0.0.1:5000"), at("10.0.0.9:53"));
    assert_eq!(
        destinations(&ruleset, &world, &outwards),
        texts(&["no route"])
    );
    let inside = Packet::udp(Origin::Local, at("[::1]:5000"), at("[::1]:53"));
    assert_eq!(
        destinations(&ruleset, &world, &inside),
        texts(&["delivered [::1]:5000 -> [::1]:53"])
    );
}

#[test]
fn choices_count_like_an_odometer() {
    let mut seen = Vec::new();
    let mut next = Some(Choices::default());
    while let Some(mut choices) = next {
        let first = choices.draw(2);
        let second = if first == 1 { choices.draw(3) } else { 9 };
        seen.push((first, second));
        next = choices.next();
    }
    assert_eq!(seen, [(0, 9), (1, 0), (1, 1), (1, 2)]);
}
