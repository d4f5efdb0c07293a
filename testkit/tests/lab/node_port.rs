//! NodePorts.

use crate::objects::{ep, service};
use crate::world::{world, world_with};
use kernel::lab::{Answer, Protocol, Shape};
use proxy::kernel::NodePortAddresses;

#[test]
fn every_node_answers_also_those_without_endpoints() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1), ep(3)]);
    for node in ["node1", "node2", "node3"] {
        for to in world.sockets(node, 30010) {
            world.expect_served(
                &["client", "pod1", "pod6", "node1", "node3"],
                to,
                &["pod1", "pod3"],
            );
        }
    }
}

#[test]
fn the_endpoint_sees_the_node_that_was_asked() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(3)]);
    for node in ["node1", "node3"] {
        for to in world.sockets(node, 30010) {
            let seen = world.at(node).addresses.like(to.ip());
            world.expect_seen(&["client", "pod6"], to, seen);
        }
    }
}

#[test]
fn only_chosen_addresses_answer() {
    let Some(mut world) = world_with(Shape::default(), |settings| {
        // Of both families' addresses, the IPv4 one.
        let chosen = settings.node_ips.iter().copied().filter(|ip| ip.is_ipv4());
        settings.node_port_addresses = NodePortAddresses::These(chosen.collect());
    }) else {
        return;
    };
    world.serve(service("web", 10, "NodePort"), &[ep(1)]);
    let [v4, v6] = world.sockets("node2", 30010);
    world.expect_served(&["client", "pod5"], v4, &["pod1"]);
    world.expect_refused(&["client", "pod5"], v6);
}

#[test]
fn loopback_and_other_numbers_are_the_hosts_own() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1)]);
    for to in ["127.0.0.1:30010", "[::1]:30010"] {
        let to = to.parse().expect("an address");
        assert_eq!(world.ask("node1", Protocol::Tcp, to), Answer::Refused);
    }
    for to in world.sockets("node1", 30011) {
        world.expect_refused(&["client", "pod1"], to);
    }
    // What a Pod asks of somebody else's port of that number is not ours.
    for to in world.sockets("pod3", 30010) {
        world.expect_refused(&["pod1", "client"], to);
    }
}
