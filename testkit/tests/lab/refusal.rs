//! What nobody serves.

use crate::objects::{balanced, ep, service, with};
use crate::world::{balancer_ips, cluster_ips, world};
use serde_json::json;

#[test]
fn without_endpoints_every_address_refuses() {
    let Some(mut world) = world() else { return };
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(web, &[ep(1).unready()]);
    for to in balancer_ips(10) {
        let prefix = if to.is_ipv4() { 32 } else { 128 };
        world.lab.lead(to.ip(), prefix, 0).expect("led");
    }
    let all = cluster_ips(10).into_iter().chain(balancer_ips(10));
    for to in all.chain(world.sockets("node2", 30010)) {
        world.expect_refused(&["pod2", "node1", "client"], to);
    }
    world.endpoints("web", &[ep(1)]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod2", "node1", "client"], to, &["pod1"]);
    }
    world.endpoints("web", &[]);
    for to in cluster_ips(10) {
        world.expect_refused(&["pod2", "node1", "client"], to);
    }
}

#[test]
fn a_wrong_port_refuses_and_an_unused_address_is_silent() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1)]);
    for mut to in cluster_ips(10) {
        to.set_port(81);
        world.expect_refused(&["pod2", "node1", "client"], to);
    }
    for to in cluster_ips(11) {
        world.expect_silence(&["pod2", "node1", "client"], to);
    }
}

#[test]
fn a_local_policy_without_local_endpoints_drops_but_refuses_without_any() {
    let Some(mut world) = world() else { return };
    let local = json!({"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local"});
    world.serve(with(service("web", 10, "NodePort"), local), &[ep(1)]);
    for to in world.sockets("node3", 30010) {
        world.expect_silence(&["client"], to);
    }
    for to in cluster_ips(10) {
        world.expect_silence(&["pod5", "node3"], to);
    }
    world.endpoints("web", &[]);
    for to in world.sockets("node3", 30010) {
        world.expect_refused(&["client"], to);
    }
    for to in cluster_ips(10) {
        world.expect_refused(&["pod5", "node3"], to);
    }
}
