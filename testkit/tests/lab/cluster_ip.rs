//! ClusterIPs.

use crate::objects::{ep, labelled, service, slices_with, with};
use crate::world::{PROTOCOLS, TARGET, cluster_ips, world, world_with};
use kernel::lab::{Echo, Protocol, Shape};
use kernel::link::Links;
use serde_json::json;

#[test]
fn pods_and_hosts_reach_all_endpoints_everywhere() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1), ep(3), ep(5)]);
    for to in cluster_ips(10) {
        world.expect_served(
            &["pod2", "pod4", "node1", "node3"],
            to,
            &["pod1", "pod3", "pod5"],
        );
    }
}

#[test]
fn pods_and_hosts_keep_their_own_addresses() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(3)]);
    for to in cluster_ips(10) {
        for from in ["pod1", "pod4", "node1", "node2"] {
            world.expect_seen(&[from], to, world.at(from).addresses.like(to.ip()));
        }
    }
}

#[test]
fn the_same_number_over_tcp_and_udp_leads_to_different_ports() {
    let Some(mut world) = world() else { return };
    let ports = json!([
        {"name": "a", "protocol": "TCP", "port": 53, "targetPort": 8080},
        {"name": "b", "protocol": "UDP", "port": 53, "targetPort": 8081},
        {"name": "c", "protocol": "TCP", "port": 54, "targetPort": 8081},
    ]);
    world.apply(&[with(
        service("dns", 10, "ClusterIP"),
        json!({"ports": ports}),
    )]);
    let targets = json!([
        {"name": "a", "protocol": "TCP", "port": 8080},
        {"name": "b", "protocol": "UDP", "port": 8081},
        {"name": "c", "protocol": "TCP", "port": 8081},
    ]);
    let slices = slices_with(&world.lab, "dns", "", &[ep(3)], &targets);
    world.apply(&slices);
    let machine = &world.at("pod3");
    let addresses = machine.addresses.both();
    let _second = Echo::start_at(machine, "second", &addresses, &[8081]).expect("serves");
    for mut to in cluster_ips(10) {
        for (port, protocol, who) in [
            (53, Protocol::Tcp, "pod3"),
            (53, Protocol::Udp, "second"),
            (54, Protocol::Tcp, "second"),
        ] {
            to.set_port(port);
            for from in ["pod1", "node1"] {
                assert_eq!(
                    world.ask(from, protocol, to).who(),
                    Some(who),
                    "{from} {to}"
                );
            }
        }
    }
}

#[test]
fn a_named_port_is_another_number_in_each_pod() {
    let Some(mut world) = world() else { return };
    world.apply(&[service("web", 10, "ClusterIP")]);
    for (suffix, pod, port) in [("-a", 1, TARGET), ("-b", 3, 9090)] {
        let ports = json!([
            {"name": "tcp", "protocol": "TCP", "port": port},
            {"name": "udp", "protocol": "UDP", "port": port},
        ]);
        let slices = slices_with(&world.lab, "web", suffix, &[ep(pod)], &ports);
        world.apply(&slices);
    }
    // Only this one is right: on 8080 the Pod would answer under its own name.
    let machine = world.at("pod3");
    let addresses = machine.addresses.both();
    let _other = Echo::start_at(machine, "other", &addresses, &[9090]).expect("serves");
    for to in cluster_ips(10) {
        world.expect_served(&["pod2", "node2"], to, &["pod1", "other"]);
    }
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1)]);
    let node = world.at("node1").addresses;
    for to in cluster_ips(10) {
        world.expect_served(&["pod1"], to, &["pod1"]);
        world.expect_seen(&["pod1"], to, node.like(to.ip()));
        // Its neighbour is no hairpin and keeps its address.
        let neighbour = world.at("pod2").addresses.like(to.ip());
        world.expect_seen(&["pod2"], to, neighbour);
    }
}

#[test]
fn a_pod_on_a_bridge_reaches_itself_too() {
    let shape = Shape {
        nodes: 1,
        pods_per_node: 2,
        bridge: true,
    };
    let Some(mut world) = world_with(Shape { nodes: 2, ..shape }, |_| {}) else {
        return;
    };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1)]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod1"], to, &["pod1"]);
        for protocol in PROTOCOLS {
            let seen = world.ask("pod1", protocol, to).seen();
            assert_ne!(seen, Some(world.at("pod1").addresses.like(to.ip())));
        }
    }
}

#[test]
fn services_of_another_proxy_and_without_address_are_left_alone() {
    let Some(mut world) = world() else { return };
    let other = labelled(
        service("other", 10, "ClusterIP"),
        "service.kubernetes.io/service-proxy-name",
        "somebody",
    );
    world.serve(other.clone(), &[ep(1)]);
    let none = json!({"clusterIP": "None", "clusterIPs": ["None"]});
    world.serve(with(service("headless", 11, "ClusterIP"), none), &[ep(1)]);
    let alias = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "alias", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "example.com"},
    });
    world.apply(&[alias]);
    for to in cluster_ips(10) {
        world.expect_silence(&["pod1", "node1"], to);
    }
    // Without the label it is ours at once, and with it no more.
    world.apply(&[service("other", 10, "ClusterIP")]);
    for to in cluster_ips(10) {
        world.expect_served(&["pod2"], to, &["pod1"]);
    }
    world.apply(&[other]);
    for to in cluster_ips(10) {
        world.expect_silence(&["pod2"], to);
    }
}

#[test]
fn endpoints_in_the_nodes_own_network_serve_everybody() {
    let Some(mut world) = world() else { return };
    world.apply(&[service("api", 10, "ClusterIP")]);
    let node = world.at("node2").clone();
    let _api = Echo::start_at(&node, "api", &node.addresses.both(), &[6443]).expect("serves");
    let ports = json!([
        {"name": "tcp", "protocol": "TCP", "port": 6443},
        {"name": "udp", "protocol": "UDP", "port": 6443},
    ]);
    let mut slices = slices_with(&world.lab, "api", "", &[ep(3)], &ports);
    for (slice, address) in slices.iter_mut().zip(node.addresses.both()) {
        slice["endpoints"][0]["addresses"] = json!([address]);
    }
    world.apply(&slices);
    for to in cluster_ips(10) {
        // Also the node that it runs on, and that node's own Pods.
        world.expect_served(&["pod1", "pod3", "node1", "node2", "client"], to, &["api"]);
        world.expect_seen(&["pod3"], to, world.at("pod3").addresses.like(to.ip()));
    }
}

#[test]
fn a_datagram_in_fragments_arrives_whole() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(3)]);
    for to in cluster_ips(10) {
        let socket = world
            .asking("pod1", Protocol::Udp, to)
            .socket()
            .expect("a socket");
        socket.send(&[b'x'; 6000]).expect("sent");
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).expect("answered");
        assert!(buffer[..len].starts_with(b"pod3 "), "{to}");
    }
}

#[test]
fn the_nodes_own_dns_server_is_asked_without_rewriting_or_tracking() {
    let addresses = cluster_ips(10).map(|to| to.ip());
    let Some(mut world) = world_with(Shape::default(), |settings| {
        settings.dns_addresses = addresses.to_vec();
    }) else {
        return;
    };
    let ports = json!([{"name": "udp", "protocol": "UDP", "port": 53, "targetPort": 8080},
        {"name": "tcp", "protocol": "TCP", "port": 53, "targetPort": 8080}]);
    world.serve(
        with(
            service("kube-dns", 10, "ClusterIP"),
            json!({"ports": ports}),
        ),
        &[ep(3)],
    );
    let node = world.at("node1").clone();
    let mut links = Links::open(&node.namespace).expect("opened");
    let lo = links.index("lo").expect("lo");
    for ip in addresses {
        let prefix = if ip.is_ipv4() { 32 } else { 128 };
        links.add_address(lo, ip, prefix).expect("added");
    }
    let _dns = Echo::start_at(&node, "dns", &addresses, &[53]).expect("serves");
    for ip in addresses {
        let to = std::net::SocketAddr::new(ip, 53);
        world.expect_served(&["pod1", "node1"], to, &["dns"]);
        world.expect_seen(&["pod1"], to, world.at("pod1").addresses.like(ip));
    }
    let conntrack = node.namespace.make(kernel::conntrack::Conntrack::open);
    let mut tracked = Vec::new();
    let mut conntrack = conntrack.expect("inside").expect("opened");
    conntrack
        .each(None, |entry| tracked.push(entry.original))
        .expect("listed");
    tracked.retain(|tuple| tuple.destination_port == 53);
    assert_eq!(tracked, []);
}
