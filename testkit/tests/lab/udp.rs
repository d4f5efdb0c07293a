//! UDP flows that last, while endpoints and Services change under them.

use crate::objects::{Ep, balanced, ep, service, slices};
use crate::world::{World, balancer_ips, cluster_ips, world};
use kernel::lab::{Answer, Protocol};
use std::net::{SocketAddr, UdpSocket};

/// A socket of a machine that stays connected to `to`.
fn flow(world: &World, from: &str, to: SocketAddr) -> UdpSocket {
    let asking = world.asking(from, Protocol::Udp, to);
    asking.socket().expect("a socket")
}

fn who(flow: &UdpSocket) -> Option<String> {
    Answer::on_socket(flow).who().map(str::to_owned)
}

/// Flows from inside and outside to all kinds of addresses of Service 10.
fn flows(world: &World) -> Vec<UdpSocket> {
    let mut flows = Vec::new();
    for to in cluster_ips(10) {
        flows.extend(["pod2", "node3", "client"].map(|from| flow(world, from, to)));
    }
    for to in world.sockets("node3", 30010) {
        flows.extend(["pod2", "client"].map(|from| flow(world, from, to)));
    }
    for to in balancer_ips(10) {
        flows.extend(["pod2", "node3"].map(|from| flow(world, from, to)));
    }
    flows
}

#[test]
fn flows_follow_their_service_to_other_endpoints_to_none_and_back() {
    let Some(mut world) = world() else { return };
    let web = balanced(service("web", 10, "LoadBalancer"), 10, "VIP");
    world.serve(web, &[ep(1)]);
    let flows = flows(&world);
    let all = |who_answers: Option<&str>| {
        for flow in &flows {
            assert_eq!(who(flow).as_deref(), who_answers, "{flow:?}");
        }
    };
    all(Some("pod1"));
    // The endpoint goes and another one comes.
    world.endpoints("web", &[ep(5)]);
    all(Some("pod5"));
    // Nobody is left: refused, not a black hole.
    world.endpoints("web", &[]);
    for flow in &flows {
        assert_eq!(Answer::on_socket(flow), Answer::Refused, "{flow:?}");
    }
    world.endpoints("web", &[ep(3)]);
    all(Some("pod3"));
}

#[test]
fn a_flow_to_an_endpoint_that_still_serves_is_left_alone() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1)]);
    for to in cluster_ips(10) {
        let flow = flow(&world, "pod2", to);
        assert_eq!(who(&flow).as_deref(), Some("pod1"));
        world.endpoints("web", &[ep(1), ep(3), ep(5)]);
        assert_eq!(who(&flow).as_deref(), Some("pod1"));
        world.endpoints("web", &[ep(1).terminating(true), ep(3)]);
        assert_eq!(who(&flow).as_deref(), Some("pod1"));
        world.endpoints("web", &[ep(3)]);
        assert_eq!(who(&flow).as_deref(), Some("pod3"));
        world.endpoints("web", &[ep(1)]);
    }
}

#[test]
fn a_flow_to_an_endpoint_that_comes_while_others_are_forgotten_is_left_alone() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "ClusterIP"), &[ep(1), ep(3)]);
    let [v4, v6] = cluster_ips(10).map(|to| flow(&world, "pod2", to));
    // Entries of IPv4 come first, and those of IPv6 are not yet looked at.
    who(&v4).expect("served");
    let plan = |world: &mut World, endpoints: &[Ep]| {
        let slices = slices(&world.lab, "web", endpoints);
        world.plan(&slices);
    };
    plan(&mut world, &[ep(1)]);
    let forgetter = world.agents[0].forgetter.clone();
    let mut begun = false;
    forgetter.pass_with(|| {
        plan(&mut world, &[ep(1).terminating(true), ep(5)]);
        assert_eq!(who(&v6).as_deref(), Some("pod5"));
        begun = true;
    });
    assert!(begun, "there was an entry");
    plan(
        &mut world,
        &[ep(1).terminating(true), ep(5).terminating(true), ep(3)],
    );
    assert_eq!(who(&v6).as_deref(), Some("pod5"), "while it serves");
}

#[test]
fn a_flow_to_a_deleted_service_ends() {
    let Some(mut world) = world() else { return };
    let web = service("web", 10, "NodePort");
    world.serve(web.clone(), &[ep(1)]);
    let [node_port, _] = world.sockets("node2", 30010);
    let flows = [
        flow(&world, "pod2", node_port),
        flow(&world, "client", node_port),
    ];
    for flow in &flows {
        assert_eq!(who(flow).as_deref(), Some("pod1"));
    }
    world.delete(std::slice::from_ref(&web));
    for flow in &flows {
        assert_eq!(Answer::on_socket(flow), Answer::Refused, "{flow:?}");
    }
    // What was sent meanwhile does not keep the new Service from being reached.
    world.apply(&[web]);
    for flow in &flows {
        assert_eq!(who(flow).as_deref(), Some("pod1"));
    }
}

#[test]
fn what_is_sent_before_a_service_is_there_does_not_stick() {
    let Some(mut world) = world() else { return };
    let to = cluster_ips(10);
    let flows = to.map(|to| flow(&world, "pod2", to));
    for flow in &flows {
        flow.send(b"?\n").expect("sent");
    }
    world.serve(service("web", 10, "ClusterIP"), &[ep(1)]);
    for flow in &flows {
        assert_eq!(who(flow).as_deref(), Some("pod1"));
    }
}
