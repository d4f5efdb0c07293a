//! What goes beyond equal chances: weights, consistent choice, counters.

use crate::objects::{annotated, ep, service, slices};
use crate::world::{PROTOCOLS, cluster_ips, world, world_with};
use kernel::lab::{Protocol, Shape};
use std::collections::BTreeMap;

#[test]
fn weights_give_unequal_shares() {
    let Some(mut world) = world() else { return };
    let web = annotated(
        service("web", 10, "ClusterIP"),
        proxy::kernel::WEIGHTS,
        "pod1=9,pod5=0",
    );
    world.serve(web, &[ep(1), ep(3), ep(5)]);
    for to in cluster_ips(10) {
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..300 {
            let answer = world.ask("pod2", Protocol::Tcp, to);
            *shares
                .entry(answer.who().expect("served").to_owned())
                .or_default() += 1;
        }
        assert!(!shares.contains_key("pod5"), "{shares:?}");
        // 270 expected, with a standard deviation of 5.2.
        let heavy = shares.get("pod1").copied().unwrap_or_default();
        assert!((230..=299).contains(&heavy), "{shares:?}");
    }
}

#[test]
fn a_slice_weighs_its_endpoints() {
    let Some(mut world) = world() else { return };
    world.apply(&[service("web", 10, "ClusterIP")]);
    let light = slices(&world.lab, "web", &[ep(1)]);
    world.apply(&light.map(|slice| annotated(slice, proxy::kernel::WEIGHT, "0")));
    let heavy = crate::objects::slices_with(
        &world.lab,
        "web",
        "-2",
        &[ep(3)],
        &serde_json::json!([
            {"name": "tcp", "protocol": "TCP", "port": 8080},
            {"name": "udp", "protocol": "UDP", "port": 8080},
        ]),
    );
    world.apply(&heavy);
    for to in cluster_ips(10) {
        world.expect_served(&["pod2"], to, &["pod3"]);
    }
}

#[test]
fn a_consistent_service_sends_a_client_to_one_endpoint_from_every_node() {
    let Some(mut world) = world() else { return };
    let web = annotated(
        service("web", 10, "NodePort"),
        proxy::kernel::BALANCE,
        "consistent",
    );
    world.serve(web, &[1, 2, 3, 4, 5, 6].map(ep));
    for to in cluster_ips(10) {
        for protocol in PROTOCOLS {
            let mut homes = BTreeMap::new();
            for from in ["pod1", "pod2", "pod3", "pod4", "pod5", "pod6"] {
                let servers = world.servers(from, protocol, to, 8);
                assert_eq!(servers.len(), 1, "{from}: {servers:?}");
                homes.insert(from, servers);
            }
            // One endpoint goes: its clients move, the others hardly do.
            world.endpoints("web", &[1, 2, 3, 4, 5].map(ep));
            let moved = homes.iter().filter(|(from, home)| {
                !home.contains("pod6") && world.servers(from, protocol, to, 1) != **home
            });
            assert!(moved.count() <= 2, "{homes:?}");
            world.endpoints("web", &[1, 2, 3, 4, 5, 6].map(ep));
        }
    }
    // Whichever node the client comes in by.
    let (to1, to3) = (
        world.sockets("node1", 30010)[0],
        world.sockets("node3", 30010)[0],
    );
    let by_one = world.servers("client", Protocol::Tcp, to1, 4);
    assert_eq!(world.servers("client", Protocol::Tcp, to3, 4), by_one);
}

#[test]
fn packets_of_each_service_are_counted() {
    let Some(mut world) = world_with(Shape::default(), |s| s.counters = true) else {
        return;
    };
    world.serve(service("web", 10, "ClusterIP"), &[ep(3)]);
    world.serve(service("idle", 11, "ClusterIP"), &[ep(3)]);
    let counted = |world: &mut crate::world::World, set: &str, service: u16| -> u64 {
        let agent = &mut world.agents[0];
        let counters = agent.table.counters(set, false).expect("counters");
        let name = if service == 10 { "web" } else { "idle" };
        let of_service = counters.iter().filter(|(key, _)| {
            let port = agent.planner.port_of_element(set, key).expect("known");
            port.service.name.as_ref() == name
        });
        of_service.map(|(_, counter)| counter.packets).sum()
    };
    for (to, set) in cluster_ips(10).into_iter().zip(["counters4", "counters6"]) {
        let before = counted(&mut world, set, 10);
        for _ in 0..5 {
            assert_eq!(world.ask("pod1", Protocol::Tcp, to).who(), Some("pod3"));
        }
        let tcp = counted(&mut world, set, 10);
        // At least SYN, acknowledgement, question and end, five times.
        assert!(tcp >= before + 20, "{before} → {tcp}");
        for _ in 0..5 {
            assert_eq!(world.ask("pod1", Protocol::Udp, to).who(), Some("pod3"));
        }
        assert!(counted(&mut world, set, 10) >= tcp + 5);
        assert_eq!(counted(&mut world, set, 11), 0);
    }
}
