//! Session affinity by client address.

use crate::objects::{Ep, ep, service, with};
use crate::world::{PROTOCOLS, World, cluster_ips, world};
use kernel::lab::Protocol;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

fn sticky(kind: &str, seconds: u32) -> Value {
    let config = json!({"clientIP": {"timeoutSeconds": seconds}});
    let spec = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config});
    with(service("web", 10, kind), spec)
}

fn all() -> [Ep; 6] {
    [1, 2, 3, 4, 5, 6].map(ep)
}

/// The one server that `from` gets, many times in a row.
fn only(world: &World, from: &str, protocol: Protocol, to: SocketAddr) -> String {
    let servers = world.servers(from, protocol, to, 12);
    assert_eq!(servers.len(), 1, "{from} → {to}: {servers:?}");
    servers.into_iter().next().expect("one")
}

#[test]
fn each_client_stays_and_clients_differ() {
    let Some(mut world) = world() else { return };
    world.serve(sticky("NodePort", 10800), &all());
    for to in cluster_ips(10) {
        for protocol in PROTOCOLS {
            let froms = [
                "pod1", "pod2", "pod3", "pod4", "pod5", "pod6", "node1", "node2", "node3",
            ];
            let got: BTreeSet<String> = froms
                .iter()
                .map(|from| only(&world, from, protocol, to))
                .collect();
            // Nine clients on one of six by chance: below one in a million.
            assert!(got.len() > 1, "{got:?}");
        }
    }
    for to in world.sockets("node2", 30010) {
        only(&world, "client", Protocol::Tcp, to);
        only(&world, "client", Protocol::Udp, to);
    }
}

#[test]
fn all_addresses_of_a_service_share_a_clients_endpoint() {
    let Some(mut world) = world() else { return };
    world.serve(sticky("NodePort", 10800), &all());
    for (cluster, node) in cluster_ips(10)
        .into_iter()
        .zip(world.sockets("node1", 30010))
    {
        let by_cluster = only(&world, "pod1", Protocol::Tcp, cluster);
        assert_eq!(only(&world, "pod1", Protocol::Tcp, node), by_cluster);
    }
}

#[test]
fn a_client_moves_when_its_endpoint_goes_and_stays_with_the_new_one() {
    let Some(mut world) = world() else { return };
    for to in cluster_ips(10) {
        for protocol in PROTOCOLS {
            world.serve(sticky("ClusterIP", 10800), &all());
            let first = only(&world, "pod1", protocol, to);
            let left: Vec<Ep> = (1..=6)
                .filter(|n| format!("pod{n}") != first)
                .map(ep)
                .collect();
            world.endpoints("web", &left);
            let second = only(&world, "pod1", protocol, to);
            assert_ne!(second, first);
            // The first one comes back: no reason to move again.
            world.endpoints("web", &all());
            assert_eq!(only(&world, "pod1", protocol, to), second);
        }
    }
}

#[test]
fn a_client_is_forgotten_after_its_time() {
    let Some(mut world) = world() else { return };
    world.serve(sticky("ClusterIP", 1), &all());
    let [to, _] = cluster_ips(10);
    let mut got = BTreeSet::new();
    // The same one of six eight times over by chance: one in 280,000.
    for _ in 0..8 {
        got.append(&mut world.servers("pod1", Protocol::Tcp, to, 1));
        if got.len() > 1 {
            return;
        }
        // Nothing tells when the kernel lets an element go; it is its own clock.
        std::thread::sleep(Duration::from_millis(1100));
    }
    panic!("always {got:?}");
}

#[test]
fn each_connection_begins_the_time_anew() {
    let Some(mut world) = world() else { return };
    world.serve(sticky("ClusterIP", 3), &all());
    let [to, _] = cluster_ips(10);
    let first = only(&world, "pod1", Protocol::Tcp, to);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(250));
        let again = world.servers("pod1", Protocol::Tcp, to, 1);
        assert_eq!(again, BTreeSet::from([first.clone()]));
    }
}

#[test]
fn local_policy_keeps_clients_on_local_endpoints() {
    let Some(mut world) = world() else { return };
    let local = json!({"externalTrafficPolicy": "Local"});
    world.serve(with(sticky("NodePort", 10800), local), &all());
    for to in world.sockets("node1", 30010) {
        for protocol in PROTOCOLS {
            let home = only(&world, "client", protocol, to);
            assert!(["pod1", "pod2"].contains(&home.as_str()), "{home}");
            // It goes: the neighbour on the same node takes over.
            let left: Vec<Ep> = (1..=6)
                .filter(|n| format!("pod{n}") != home)
                .map(ep)
                .collect();
            world.endpoints("web", &left);
            let next = only(&world, "client", protocol, to);
            assert!(
                next != home && ["pod1", "pod2"].contains(&next.as_str()),
                "{next}"
            );
            world.endpoints("web", &all());
        }
    }
}
