//! What rules do with packets, against what the API promises.

use super::generate::{HERE, ip, settings, value};
use super::reference::{Reference, Verdict};
use model::{Object, Snapshot};
use nft::Ruleset;
use nft::trace::{Choices, Fate, Interface, Origin, Outcome, Packet, Route, World};
use proptest::prelude::*;
use proptest::sample::select;
use proxy::kernel::plan_ruleset;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// More than the slots that a random Service has.
const TRIES: usize = 64;

/// The node: Pods behind one interface, everybody else behind another.
pub(crate) fn world() -> World {
    let interface = |name: &str, addresses: [&str; 2]| Interface {
        name: name.into(),
        addresses: addresses.map(ip).into(),
    };
    let route = |network: &str, prefix, interface: &str| Route {
        network: ip(network),
        prefix,
        interface: interface.into(),
    };
    World {
        interfaces: vec![
            interface("eth0", ["192.0.2.10", "2001:db8::10"]),
            interface("pods", ["10.244.0.254", "fd44::fe"]),
        ],
        routes: vec![
            route("10.244.0.0", 24, "pods"),
            route("fd44::", 64, "pods"),
            route("0.0.0.0", 0, "eth0"),
            route("::", 0, "eth0"),
        ],
        ..World::default()
    }
}

fn source(ipv4: bool) -> impl Strategy<Value = (Origin, IpAddr)> {
    let all: Vec<(&str, &str)> = if ipv4 {
        vec![
            ("pods", "10.244.0.1"),
            ("pods", "10.244.0.2"),
            ("pods", "10.244.0.77"),
            ("eth0", "203.0.113.7"),
            ("eth0", "203.0.113.8"),
            ("eth0", "198.51.100.9"),
            ("", "192.0.2.10"),
            ("", "10.244.0.254"),
            ("", "198.51.100.1"),
        ]
    } else {
        vec![
            ("pods", "fd44::1"),
            ("pods", "fd44::77"),
            ("eth0", "2001:db8:1::7"),
            ("eth0", "2001:db8:9::7"),
            ("", "2001:db8::10"),
            ("", "fd44::fe"),
        ]
    };
    select(all).prop_map(|(interface, address)| {
        let origin = if interface.is_empty() {
            Origin::Local
        } else {
            Origin::Interface(interface.into())
        };
        (origin, ip(address))
    })
}

fn destination(ipv4: bool) -> impl Strategy<Value = SocketAddr> {
    let addresses: Vec<&str> = if ipv4 {
        vec![
            "10.96.0.0",
            "10.96.0.1",
            "10.96.0.2",
            "10.96.0.1",
            "10.96.0.9",
            "198.51.100.1",
            "198.51.100.2",
            "192.0.2.10",
            "192.0.2.10",
            "192.0.2.77",
            "10.244.0.254",
            "127.0.0.1",
            "203.0.113.50",
        ]
    } else {
        vec![
            "fd96::",
            "fd96::1",
            "fd96::2",
            "fd96::9",
            "2001:db8:2::1",
            "2001:db8::10",
            "2001:db8::10",
            "fd44::fe",
            "::1",
            "2001:db8:7::1",
        ]
    };
    let ports = select(vec![80, 80, 81, 82, 30000, 30001, 30002]);
    (select(addresses), ports).prop_map(|(address, port)| SocketAddr::new(ip(address), port))
}

fn packet() -> impl Strategy<Value = Packet> {
    let protocol = select(vec![6, 6, 17, 132]);
    any::<bool>()
        .prop_flat_map(|ipv4| (source(ipv4), destination(ipv4)))
        .prop_map(|((origin, source), destination)| (origin, source, destination))
        .prop_flat_map(move |parts| (Just(parts), protocol.clone()))
        .prop_map(|((origin, source, destination), protocol)| Packet {
            protocol,
            ..Packet::udp(origin, SocketAddr::new(source, 40_000), destination)
        })
        // Nobody but this machine may write to loopback.
        .prop_filter("martian", |packet| {
            !packet.destination.ip().is_loopback() || packet.origin == Origin::Local
        })
}

fn snapshot(values: &[serde_json::Value]) -> Snapshot {
    let objects: Vec<Arc<Object>> = values.iter().map(testkit::object).collect();
    Snapshot::from_objects(&objects)
}

/// What a trace says, in the words of the reference.
fn verdict(outcome: &Outcome, packet: &Packet, masquerade: impl Fn(&str) -> IpAddr) -> Verdict {
    let (source, destination, own) = match &outcome.fate {
        Fate::Refused(_) => return Verdict::Refused,
        Fate::Dropped => return Verdict::Dropped,
        Fate::Unroutable => panic!("{packet:?} has no route"),
        Fate::Delivered {
            source,
            destination,
        } => (source, destination, packet.source.ip()),
        Fate::Forwarded {
            source,
            destination,
            interface,
        } => (source, destination, masquerade(interface)),
    };
    if *destination == packet.destination {
        assert_eq!(*source, packet.source, "{packet:?}");
        return Verdict::Untouched;
    }
    // What has the node's address already cannot be told from what was given it.
    let rewritten = source.ip() != packet.source.ip();
    assert!(!rewritten || source.ip() == own, "{packet:?} {outcome:?}");
    Verdict::To(*destination, rewritten)
}

/// Sent with every possible choice.
fn traced(rules: &Ruleset, world: &World, packet: &Packet) -> BTreeSet<Verdict> {
    let all = nft::trace::trace_all(rules, world, packet, TRIES);
    let own = |interface: &str| own_address(world, interface, packet.source.ip());
    all.iter()
        .map(|(outcome, _)| verdict(outcome, packet, own))
        .collect()
}

fn own_address(world: &World, interface: &str, like: IpAddr) -> IpAddr {
    let mut interfaces = world.interfaces.iter();
    let interface = interfaces.find(|i| &*i.name == interface);
    let mut addresses = interface.into_iter().flat_map(|i| &i.addresses);
    let own = addresses.find(|address| address.is_ipv4() == like.is_ipv4());
    own.copied().unwrap_or(like)
}

/// Service, port, protocol and client: what affinity goes by.
type Seat = (String, u16, String, IpAddr);

/// Whether masquerading shows: not where the client has the address that it would get.
fn visible(verdicts: BTreeSet<Verdict>, world: &World, packet: &Packet) -> BTreeSet<Verdict> {
    let shown = |verdict| match verdict {
        Verdict::To(at, masqueraded) => {
            let interface = world.route(at.ip()).cloned().unwrap_or_default();
            let own = own_address(world, &interface, packet.source.ip());
            Verdict::To(at, masqueraded && own != packet.source.ip())
        }
        other => other,
    };
    verdicts.into_iter().map(shown).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rules_do_what_the_api_promises(
        values in prop::collection::vec(value(), 4..20),
        settings in settings(),
        packets in prop::collection::vec(packet(), 100),
    ) {
        prop_assert_eq!(&settings.node_name, HERE);
        let snapshot = snapshot(&values);
        let (rules, _) = plan_ruleset(&snapshot, &settings);
        let world = world();
        let reference = Reference { snapshot: &snapshot, settings: &settings, world: &world };
        for packet in &packets {
            let allowed = visible(reference.verdicts(packet), &world, packet);
            let got = traced(&rules, &world, packet);
            let by_hash = reference.find(packet).is_some_and(|found| {
                let balance = found.service.meta.annotations.get("portolan.dev/balance");
                balance.is_some_and(|balance| balance.starts_with("consistent"))
            });
            if by_hash {
                prop_assert_eq!(got.len(), 1);
                prop_assert!(got.is_subset(&allowed), "{:?}: {:?} of {:?}", packet, got, allowed);
            } else {
                prop_assert!(got == allowed, "{packet:?}:\n got {got:?}\nwant {allowed:?}\n{rules}");
            }
        }
    }

    #[test]
    fn clients_keep_their_endpoint(
        values in prop::collection::vec(value(), 4..20),
        settings in settings(),
        packets in prop::collection::vec((packet(), 0..8u32, 0..40_000u64), 60),
    ) {
        let snapshot = snapshot(&values);
        let (rules, _) = plan_ruleset(&snapshot, &settings);
        let mut world = world();
        let still = world.clone();
        let reference = Reference { snapshot: &snapshot, settings: &settings, world: &still };
        let mut seats: Vec<(Seat, SocketAddr, u64)> = Vec::new();
        for (number, (packet, choice, pause)) in packets.iter().enumerate() {
            let mut packet = packet.clone();
            packet.source.set_port(40_000 + number as u16);
            world.now_ms += pause;
            let outcome = nft::trace::send(&rules, &mut world, &packet, &mut Choices::new(&[*choice]));
            let Some(found) = reference.find(&packet) else { continue };
            if found.service.affinity_seconds.is_none() {
                continue;
            }
            let own = |interface: &str| own_address(&still, interface, packet.source.ip());
            let Verdict::To(at, masqueraded) = verdict(&outcome, &packet, own) else { continue };
            let allowed = visible(reference.verdicts(&packet), &still, &packet);
            prop_assert!(allowed.contains(&Verdict::To(at, masqueraded)));
            let protocol = found.port.protocol.as_str().to_owned();
            let key = (found.service.id.to_string(), found.port.port, protocol, packet.source.ip());
            let seat = seats.iter().position(|(known, _, _)| *known == key);
            if let Some((_, before, seen)) = seat.map(|seat| seats.remove(seat)) {
                let fresh = world.now_ms < seen + 60_000;
                let good = allowed.iter().any(|v| matches!(v, Verdict::To(to, _) if *to == before));
                prop_assert!(!fresh || !good || at == before, "{packet:?}: {at}, was {before}");
            }
            seats.push((key, at, world.now_ms));
        }
    }
}
