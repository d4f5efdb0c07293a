//! Which endpoints are chosen: traffic policies, terminating endpoints, zones.

use crate::objects::{balanced, ep, node, service, with};
use crate::world::{balancer_ips, cluster_ips, world};
use serde_json::json;

#[test]
fn external_policy_local_keeps_the_source_and_stays_on_the_node() {
    let Some(mut world) = world() else { return };
    let local = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 32000});
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(with(web, local), &[ep(1), ep(3)]);
    for to in balancer_ips(10) {
        let prefix = if to.is_ipv4() { 32 } else { 128 };
        world.lab.lead(to.ip(), prefix, 1).expect("led");
        world.expect_served(&["client"], to, &["pod3"]);
        world.expect_seen(&["client"], to, world.at("client").addresses.like(to.ip()));
        // Pods and nodes are inside: they get all endpoints, wherever they are.
        world.expect_served(&["pod5", "node3", "pod1", "node1"], to, &["pod1", "pod3"]);
    }
    for to in world.sockets("node2", 30010) {
        world.expect_served(&["client"], to, &["pod3"]);
        world.expect_seen(&["client"], to, world.at("client").addresses.like(to.ip()));
    }
    for to in world.sockets("node3", 30010) {
        world.expect_silence(&["client"], to);
        world.expect_served(&["pod5", "node3"], to, &["pod1", "pod3"]);
    }
    for (agent, local) in world.agents.iter().zip([1, 1, 0]) {
        let port = agent
            .planner
            .health_ports()
            .get(&32000)
            .expect("a health port");
        assert_eq!(port.local_endpoints, local);
    }
}

#[test]
fn internal_policy_local_stays_on_the_node() {
    let Some(mut world) = world() else { return };
    let local = json!({"internalTrafficPolicy": "Local"});
    world.serve(
        with(service("web", 10, "NodePort"), local),
        &[ep(1), ep(2), ep(3)],
    );
    for to in cluster_ips(10) {
        world.expect_served(&["pod1", "node1"], to, &["pod1", "pod2"]);
        world.expect_served(&["pod4", "node2"], to, &["pod3"]);
        world.expect_silence(&["pod5", "node3"], to);
    }
    // The external policy is another one.
    for to in world.sockets("node3", 30010) {
        world.expect_served(&["client"], to, &["pod1", "pod2", "pod3"]);
    }
}

#[test]
fn terminating_endpoints_serve_when_nobody_else_does() {
    let Some(mut world) = world() else { return };
    let web = service("web", 10, "NodePort");
    world.serve(
        web,
        &[
            ep(1).terminating(true),
            ep(3).terminating(false),
            ep(5).unready(),
        ],
    );
    for to in cluster_ips(10)
        .into_iter()
        .chain(world.sockets("node3", 30010))
    {
        world.expect_served(&["pod2", "node2"], to, &["pod1"]);
    }
    world.endpoints("web", &[ep(1).terminating(true), ep(3)]);
    for to in cluster_ips(10)
        .into_iter()
        .chain(world.sockets("node3", 30010))
    {
        world.expect_served(&["pod2", "node2"], to, &["pod3"]);
    }
}

#[test]
fn local_policy_falls_back_to_its_own_terminating_endpoints() {
    let Some(mut world) = world() else { return };
    let local = json!({"externalTrafficPolicy": "Local"});
    let web = with(service("web", 10, "NodePort"), local);
    world.serve(web, &[ep(1).terminating(true), ep(3)]);
    for to in world.sockets("node1", 30010) {
        world.expect_served(&["client"], to, &["pod1"]);
    }
    for to in world.sockets("node2", 30010) {
        world.expect_served(&["client"], to, &["pod3"]);
    }
    for to in cluster_ips(10) {
        world.expect_served(&["pod1"], to, &["pod3"]);
    }
}

#[test]
fn hints_keep_traffic_in_its_zone() {
    let Some(mut world) = world() else { return };
    world.apply(&[node("node1", "a"), node("node2", "b"), node("node3", "c")]);
    let hinted = [
        ep(1).for_zone("a"),
        ep(2).for_zone("a"),
        ep(3).for_zone("b"),
    ];
    world.serve(service("web", 10, "NodePort"), &hinted);
    for to in cluster_ips(10) {
        world.expect_served(&["pod1", "node1"], to, &["pod1", "pod2"]);
        world.expect_served(&["pod3", "node2"], to, &["pod3"]);
        // No hint names zone c: all of them.
        world.expect_served(&["pod5", "node3"], to, &["pod1", "pod2", "pod3"]);
    }
    // One without hint spoils it.
    world.endpoints("web", &[ep(1).for_zone("a"), ep(3).for_zone("b"), ep(5)]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod1"], to, &["pod1", "pod3", "pod5"]);
    }
    // A node that moves into another zone follows its hints.
    world.endpoints("web", &[ep(1).for_zone("a"), ep(3).for_zone("b")]);
    world.apply(&[node("node3", "b")]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod5"], to, &["pod3"]);
    }
}

#[test]
fn hints_for_a_node_come_before_those_for_its_zone() {
    let Some(mut world) = world() else { return };
    world.apply(&[node("node1", "a"), node("node2", "a"), node("node3", "b")]);
    let hinted = [
        ep(1).for_zone("a").for_node("node1"),
        ep(3).for_zone("a").for_node("node2"),
    ];
    world.serve(service("web", 10, "ClusterIP"), &hinted);
    for to in cluster_ips(10) {
        world.expect_served(&["pod2", "node1"], to, &["pod1"]);
        world.expect_served(&["pod4", "node2"], to, &["pod3"]);
        world.expect_served(&["pod6", "node3"], to, &["pod1", "pod3"]);
    }
    world.endpoints("web", &[ep(1).for_zone("a").for_node("node1")]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod4"], to, &["pod1"]);
    }
}
