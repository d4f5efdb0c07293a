//! Load balancers' addresses and external addresses.

use crate::objects::{balanced, ep, service, with};
use crate::world::{World, balancer_ips, cluster_ips, ip, world, world_with};
use kernel::lab::{Answer, Echo, Protocol, Shape};
use kernel::link::Links;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};

/// Lets the client reach these by way of a node.
fn lead(world: &World, addresses: [SocketAddr; 2], node: usize) {
    for to in addresses {
        let prefix = if to.is_ipv4() { 32 } else { 128 };
        world.lab.lead(to.ip(), prefix, node).expect("led");
    }
}

/// A balancer outside that has these addresses itself, and answers there under `balancer`.
fn balancer(world: &World, addresses: [SocketAddr; 2]) -> Echo {
    let router = &world.lab.router;
    let mut links = Links::open(&router.namespace).expect("opened");
    let lo = links.index("lo").expect("lo");
    let ips = addresses.map(|address| address.ip());
    for ip in ips {
        let prefix = if ip.is_ipv4() { 32 } else { 128 };
        links.add_address(lo, ip, prefix).expect("added");
    }
    Echo::start_at(router, "balancer", &ips, &[80]).expect("serves")
}

#[test]
fn an_address_answers_on_the_way_and_from_outside() {
    let Some(mut world) = world() else { return };
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(web, &[ep(1), ep(3)]);
    lead(&world, balancer_ips(10), 2);
    for to in balancer_ips(10) {
        world.expect_served(&["pod2", "node1", "client", "node3"], to, &["pod1", "pod3"]);
        let node = world.at("node3").addresses.like(to.ip());
        world.expect_seen(&["client"], to, node);
    }
}

#[test]
fn a_proxying_balancer_is_not_gone_round() {
    let Some(mut world) = world() else { return };
    let _balancer = balancer(&world, balancer_ips(10));
    let proxying = balanced(service("web", 10, "LoadBalancer"), 10, "Proxy");
    world.serve(proxying, &[ep(1)]);
    for to in balancer_ips(10) {
        world.expect_served(&["pod2", "node1"], to, &["balancer"]);
    }
    world.apply(&[balanced(service("web", 10, "LoadBalancer"), 10, "VIP")]);
    for to in balancer_ips(10) {
        world.expect_served(&["pod2", "node1"], to, &["pod1"]);
    }
}

#[test]
fn source_ranges_guard_the_address_and_nothing_else() {
    let Some(mut world) = world() else { return };
    let ranges = json!({"loadBalancerSourceRanges": [
        "203.0.113.10/32", "10.244.1.0/24", "2001:db8:113::10/128", "fd00:10:244:1::/64",
    ]});
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(with(web, ranges), &[ep(3)]);
    lead(&world, balancer_ips(10), 0);
    for to in balancer_ips(10) {
        world.expect_served(&["client", "pod1"], to, &["pod3"]);
        world.expect_silence(&["pod5", "node1", "node3"], to);
        for protocol in crate::world::PROTOCOLS {
            let mut asking = world.asking("client", protocol, to);
            let second = match to.ip() {
                IpAddr::V4(_) => ip("203.0.113.11"),
                IpAddr::V6(_) => ip("2001:db8:113::11"),
            };
            asking.source = Some(SocketAddr::new(second, 0));
            asking.patience = std::time::Duration::from_millis(250);
            assert_eq!(asking.ask(), Answer::TimedOut);
        }
    }
    for to in world
        .sockets("node1", 30010)
        .into_iter()
        .chain(cluster_ips(10))
    {
        world.expect_served(&["pod5", "node3"], to, &["pod3"]);
    }
}

#[test]
fn external_addresses_need_a_switch() {
    let external: [SocketAddr; 2] =
        [ip("192.0.2.7"), ip("2001:db8:7::7")].map(|ip| (ip, 80).into());
    let spec = || json!({"externalIPs": [external[0].ip(), external[1].ip()]});
    for on in [false, true] {
        let Some(mut world) = world_with(Shape::default(), |s| s.external_ips = on) else {
            return;
        };
        let _owner = balancer(&world, external);
        world.serve(
            with(service("web", 10, "ClusterIP"), spec()),
            &[ep(1), ep(3)],
        );
        for to in external {
            match on {
                false => world.expect_served(&["pod2", "node3"], to, &["balancer"]),
                true => world.expect_served(&["pod2", "node3"], to, &["pod1", "pod3"]),
            }
        }
    }
}

#[test]
fn an_external_address_is_masqueraded_from_outside() {
    let Some(mut world) = world_with(Shape::default(), |s| s.external_ips = true) else {
        return;
    };
    let external: [SocketAddr; 2] =
        [ip("192.0.2.7"), ip("2001:db8:7::7")].map(|ip| (ip, 80).into());
    let spec = json!({"externalIPs": [external[0].ip(), external[1].ip()]});
    world.serve(with(service("web", 10, "ClusterIP"), spec), &[ep(1)]);
    lead(&world, external, 1);
    for to in external {
        world.expect_served(&["client"], to, &["pod1"]);
        world.expect_seen(&["client"], to, world.at("node2").addresses.like(to.ip()));
    }
}

#[test]
fn a_balancer_needs_no_node_port() {
    let Some(mut world) = world() else { return };
    let ports = json!([{"name": "tcp", "protocol": "TCP", "port": 80, "targetPort": 8080}]);
    let spec = json!({"allocateLoadBalancerNodePorts": false, "ports": ports});
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(with(web, spec), &[ep(1)]);
    lead(&world, balancer_ips(10), 1);
    for to in balancer_ips(10) {
        for from in ["client", "pod2", "node3"] {
            assert_eq!(
                world.ask(from, Protocol::Tcp, to).who(),
                Some("pod1"),
                "{from}"
            );
        }
    }
    for to in world.sockets("node1", 30010) {
        world.expect_refused(&["client"], to);
    }
}

#[test]
fn a_node_in_range_may_ask_from_the_balancers_own_address() {
    let Some(mut world) = world() else { return };
    let node = world.at("node1").addresses;
    let in_range = json!({"loadBalancerSourceRanges": [
        format!("{}/32", node.v4), format!("{}/128", node.v6),
    ]});
    let web = || balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(with(web(), in_range), &[ep(1)]);
    // As a load balancer that works on this node itself does it. The answers' source is then an
    // address of the node, which IPv4 takes from outside only if told so.
    let machine = world.at("node1").clone();
    kernel::link::sysctl(&machine.namespace, "ipv4/conf/all/accept_local", "1").expect("set");
    let mut links = Links::open(&machine.namespace).expect("opened");
    let lo = links.index("lo").expect("lo");
    for to in balancer_ips(10) {
        let prefix = if to.is_ipv4() { 32 } else { 128 };
        links.add_address(lo, to.ip(), prefix).expect("added");
    }
    let answers = |world: &World, patience: u64| -> Vec<Answer> {
        let ask = |to: SocketAddr| {
            let mut asking = world.asking("node1", Protocol::Tcp, to);
            asking.source = Some(SocketAddr::new(to.ip(), 0));
            asking.patience = std::time::Duration::from_millis(patience);
            asking.ask()
        };
        balancer_ips(10).into_iter().map(ask).collect()
    };
    for answer in answers(&world, 5_000) {
        assert_eq!(answer.who(), Some("pod1"), "{answer}");
    }
    let elsewhere = json!({"loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8:1::/64"]});
    world.apply(&[with(web(), elsewhere)]);
    assert_eq!(answers(&world, 250), [Answer::TimedOut, Answer::TimedOut]);
}
