//! Real packets through a small ruleset: a client, a router that has it, and two endpoints.

use super::*;
use crate::conntrack::Conntrack;
use crate::link::{Links, Route, forward};
use nft::{CmpOp, DynsetOp, Family, MetaKey, PayloadBase, Reg, RejectWith, Verdict};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const MARK: u32 = 0x4000;
const TCP: u8 = 6;
const UDP: u8 = 17;

struct Bed {
    client: Namespace,
    router: Namespace,
    server: Namespace,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bed() -> Option<Bed> {
    if let Err(reason) = may_create() {
        eprintln!("skipped: {reason}");
        return None;
    }
    let make = || Namespace::create().unwrap();
    let bed = Bed {
        client: make(),
        router: make(),
        server: make(),
    };
    forward(&bed.router).unwrap();
    let mut links = Links::open(&bed.router).unwrap();
    for (side, name, net) in [(&bed.client, "client", 1), (&bed.server, "server", 2)] {
        links.add_veth(name, "eth0", side).unwrap();
        let near = links.index(name).unwrap();
        let mut far = Links::open(side).unwrap();
        let eth0 = far.index("eth0").unwrap();
        for (router, host, prefix) in [
            (format!("10.0.{net}.1"), format!("10.0.{net}.2"), 24),
            (format!("fd00:{net}::1"), format!("fd00:{net}::2"), 64),
        ] {
            links.add_address(near, ip(&router), prefix).unwrap();
            far.add_address(eth0, ip(&host), prefix).unwrap();
            let default = match ip(&router) {
                IpAddr::V4(_) => Route::default_v4(),
                IpAddr::V6(_) => Route::default_v6(),
            };
            far.add_route(&default.via(ip(&router))).unwrap();
        }
    }
    Some(bed)
}

/// Where things are in packets and registers of a family.
struct Layout {
    family: Family,
    address: FieldType,
    len: u8,
    source: u32,
    destination: u32,
}

impl Layout {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self {
                family: Family::Ipv4,
                address: FieldType::Ipv4Addr,
                len: 4,
                source: 12,
                destination: 16,
            },
            IpAddr::V6(_) => Self {
                family: Family::Ipv6,
                address: FieldType::Ipv6Addr,
                len: 16,
                source: 8,
                destination: 24,
            },
        }
    }

    fn load(&self, offset: u32) -> Expr {
        Expr::Payload {
            base: PayloadBase::Network,
            offset,
            len: u32::from(self.len),
            dreg: Reg(0),
        }
    }

    /// Register behind an address that begins there.
    fn behind(&self, reg: u8) -> Reg {
        Reg(reg + self.len / 4)
    }
}

/// Address and port that rules lead to two endpoints, and another that they refuse.
fn service(vip: IpAddr, endpoints: [SocketAddr; 2]) -> Ruleset {
    let at = Layout::of(vip);
    let key = |protocol, port| Data::EMPTY.address(vip).protocol(protocol).port(port);
    let goto = |chain: &str| Value::Verdict(Verdict::Goto(chain.into()));
    let value = |to: SocketAddr| Value::Data(Data::EMPTY.address(to.ip()).port(to.port()));
    let frontends = SetSpec {
        counters: true,
        ..spec(
            &[at.address, FieldType::InetProto, FieldType::InetService],
            SetValue::Verdict,
        )
    };
    let endpoint = SetValue::Fields(fields(&[at.address, FieldType::InetService]));
    let affinity = SetSpec {
        dynamic: true,
        size: 1000,
        timeout_ms: 100_000,
        ..spec(&[at.address], endpoint.clone())
    };
    let slots = (0..2).map(|slot| (Data::EMPTY.number(slot), value(endpoints[slot as usize])));
    let sets = [
        (
            "services",
            set_of(
                frontends,
                [
                    (key(TCP, 80), goto("sticky")),
                    (key(UDP, 53), goto("sticky")),
                    (key(TCP, 81), goto("refuse")),
                    (key(TCP, 82), goto("reset")),
                ],
            ),
        ),
        (
            "endpoints",
            set_of(spec(&[FieldType::Mark], endpoint), slots),
        ),
        ("affinity", set_of(affinity, [])),
    ];
    let refuse = |with| chain(vec![rule([Expr::Counter, Expr::Reject(with)])]);
    let chains = [
        (
            "prerouting",
            nat(Hook::Prerouting, -100, vec![frontend(&at)]),
        ),
        ("sticky", chain(vec![known(&at), chosen(&at)])),
        ("refuse", refuse(RejectWith::PortUnreachable)),
        ("reset", refuse(RejectWith::TcpReset)),
        (
            "postrouting",
            nat(Hook::Postrouting, 100, vec![masquerade()]),
        ),
    ];
    Ruleset {
        chains: chains.map(|(name, chain)| (name.into(), chain)).into(),
        sets: sets.map(|(name, set)| (name.into(), set)).into(),
    }
}

fn frontend(at: &Layout) -> Rule {
    let protocol = at.behind(0);
    rule([
        at.load(at.destination),
        Expr::Meta {
            key: MetaKey::L4Proto,
            dreg: protocol,
        },
        Expr::Payload {
            base: PayloadBase::Transport,
            offset: 2,
            len: 2,
            dreg: Reg(protocol.0 + 1),
        },
        Expr::VerdictMap {
            set: "services".into(),
            sreg: Reg(0),
        },
    ])
}

/// A client that was here before goes where it went then.
fn known(at: &Layout) -> Rule {
    let found = Expr::Map {
        set: "affinity".into(),
        sreg: Reg(0),
        dreg: Reg(8),
    };
    rule([vec![at.load(at.source), found], rewrite(at)].concat())
}

fn chosen(at: &Layout) -> Rule {
    let choice = vec![
        at.load(at.source),
        Expr::Random {
            dreg: Reg(15),
            modulus: 2,
        },
        Expr::Map {
            set: "endpoints".into(),
            sreg: Reg(15),
            dreg: Reg(8),
        },
        Expr::Dynset {
            set: "affinity".into(),
            op: DynsetOp::Update,
            key: Reg(0),
            data: Some(Reg(8)),
            timeout_ms: 0,
        },
    ];
    rule([choice, rewrite(at)].concat())
}

fn rewrite(at: &Layout) -> Vec<Expr> {
    vec![
        Expr::Immediate {
            dreg: Reg(15),
            data: Data::EMPTY.number(MARK),
        },
        Expr::SetMark { sreg: Reg(15) },
        Expr::Dnat {
            family: at.family,
            address: Reg(8),
            port: at.behind(8),
        },
    ]
}

fn masquerade() -> Rule {
    rule([
        Expr::Meta {
            key: MetaKey::Mark,
            dreg: Reg(0),
        },
        Expr::Bitwise {
            sreg: Reg(0),
            dreg: Reg(0),
            mask: Data::EMPTY.number(MARK),
            xor: Data::EMPTY.number(0),
            len: 4,
        },
        Expr::Cmp {
            op: CmpOp::Neq,
            sreg: Reg(0),
            data: Data::EMPTY.number(0),
            len: 4,
        },
        Expr::Masquerade { fully_random: true },
    ])
}

#[test]
fn packets_of_both_families_go_where_rules_lead_them() {
    let Some(bed) = bed() else { return };
    for (vip, server, router) in [
        ("10.96.0.1", "10.0.2.2", "10.0.2.1"),
        ("fd96::1", "fd00:2::2", "fd00:2::1"),
    ] {
        let (vip, server, router) = (ip(vip), ip(server), ip(router));
        let endpoints = [8001, 8002].map(|port| SocketAddr::new(server, port));
        let wanted = service(vip, endpoints);
        let mut table = bed.router.run(|| Table::open("portolan").unwrap()).unwrap();
        table.delete().unwrap();
        load(&mut table, &wanted);
        assert_eq!(table.read().unwrap().as_ref(), Some(&wanted));
        tcp(&bed, SocketAddr::new(vip, 80), endpoints, router);
        udp(&bed, SocketAddr::new(vip, 53), endpoints);
        let sticky = table.elements("affinity").unwrap();
        assert_eq!(sticky.len(), 1);
        assert!(
            sticky[0].expires_ms.is_some_and(|left| left > 50_000),
            "{sticky:?}"
        );
        refused(&bed, vip);
        let counted = table.counters("services", false).unwrap();
        let https = Data::EMPTY.address(vip).protocol(TCP).port(81);
        assert!(counted[&https].packets > 0, "{counted:?}");
        match table.counters("services", true) {
            Err(error) => eprintln!("counters are not reset before Linux 6.5: {error}"),
            Ok(last) => {
                assert_eq!(last, counted);
                let anew = table.counters("services", false).unwrap();
                assert!(
                    anew.values().all(|counter| counter.packets == 0),
                    "{anew:?}"
                );
            }
        }
        assert_eq!(table.read().unwrap().as_ref(), Some(&wanted));
    }
}

/// Six connections: all to one endpoint, which sees the router as its client.
fn tcp(bed: &Bed, vip: SocketAddr, endpoints: [SocketAddr; 2], router: IpAddr) {
    let listeners = endpoints.map(|endpoint| bed.server.tcp_listen(endpoint).unwrap());
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    let mut served = BTreeSet::new();
    for _ in 0..6 {
        let mut client = bed.client.tcp_connect(vip, PATIENCE).unwrap();
        let accepted = listeners.iter().find_map(|listener| {
            let (stream, peer) = listener.accept().ok()?;
            Some((stream, peer, listener.local_addr().unwrap()))
        });
        let (mut server, peer, endpoint) = accepted.expect("a connection at an endpoint");
        assert_eq!(peer.ip(), router);
        served.insert(endpoint);
        server.write_all(b"hello").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = [0; 5];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
    }
    assert_eq!(served.len(), 1, "{served:?}");
}

/// A datagram there and back; what is remembered of it is found and forgotten.
fn udp(bed: &Bed, vip: SocketAddr, endpoints: [SocketAddr; 2]) {
    let servers = endpoints.map(|endpoint| bed.server.udp_bind(endpoint).unwrap());
    let any = match vip {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let client = bed.client.udp_bind(any.parse().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"question", vip).unwrap();
    let mut bytes = [0; 16];
    let answered = servers.iter().find(|server| {
        server.set_nonblocking(true).unwrap();
        match server.recv_from(&mut bytes) {
            Ok((len, from)) => server.send_to(&bytes[..len], from).is_ok(),
            Err(_) => false,
        }
    });
    let endpoint = answered
        .expect("a datagram at an endpoint")
        .local_addr()
        .unwrap();
    let (len, from) = client.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..len], from), (&b"question"[..], vip));

    let mut conntrack = bed.router.run(|| Conntrack::open().unwrap()).unwrap();
    assert!(conntrack.count().unwrap() > 0);
    let mut seen = Vec::new();
    conntrack
        .each(Some(UDP), |entry| seen.push(*entry))
        .unwrap();
    seen.retain(|entry| entry.original.destination == vip.ip());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].original.destination_port, vip.port());
    assert_eq!(
        (seen[0].reply.source, seen[0].reply.source_port),
        (endpoint.ip(), endpoint.port())
    );
    let flush = conntrack.flush(Some(UDP), |entry| entry.original.destination == vip.ip());
    assert_eq!(flush.unwrap().deleted, 1);
    assert!(!conntrack.delete(&seen[0]).unwrap(), "was forgotten before");
    let mut tcp = 0;
    conntrack.each(Some(TCP), |_| tcp += 1).unwrap();
    assert!(tcp > 0, "others are left alone");
}

fn refused(bed: &Bed, vip: IpAddr) {
    for port in [81, 82] {
        let error = bed
            .client
            .tcp_connect(SocketAddr::new(vip, port), PATIENCE)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "port {port}");
    }
}
