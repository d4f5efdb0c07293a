//! Needs the right to make namespaces; where the kernel refuses, says so and passes.

use super::*;
use crate::netns::may_create;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn lab(shape: Shape) -> Option<Lab> {
    if let Err(why) = may_create() {
        eprintln!("skipped: {why}");
        return None;
    }
    let begun = Instant::now();
    let lab = Lab::build(shape).expect("built");
    eprintln!("built in {:?}", begun.elapsed());
    Some(lab)
}

fn ask(from: &Machine, protocol: Protocol, to: IpAddr, port: u16) -> Answer {
    let asking = Asking {
        from: &from.namespace,
        source: None,
        protocol,
        to: SocketAddr::new(to, port),
        patience: Duration::from_secs(5),
    };
    asking.ask()
}

/// Every machine asks every Pod, and the Pod sees the asker's own address.
fn everybody_reaches_every_pod(lab: &Lab) {
    for pod in &lab.pods {
        let _echo = Echo::start(&pod.machine, &[80]).expect("serves");
        for from in lab.machines() {
            for to in pod.machine.addresses.both() {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    let answer = ask(from, protocol, to, 80);
                    let text = format!("{} → {to} {protocol:?}: {answer}", from.name);
                    assert_eq!(answer.who(), Some(pod.machine.name.as_str()), "{text}");
                    if from.name != "router" && !from.name.starts_with("node") {
                        assert_eq!(answer.seen(), Some(from.addresses.like(to)), "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn all_reach_all_over_routes() {
    let Some(lab) = lab(Shape::default()) else {
        return;
    };
    assert_eq!((lab.nodes.len(), lab.pods.len()), (3, 6));
    let names: BTreeSet<&str> = lab.machines().map(|m| m.name.as_str()).collect();
    assert_eq!(names.len(), 11);
    everybody_reaches_every_pod(&lab);
}

#[test]
fn all_reach_all_over_bridges() {
    let shape = Shape {
        nodes: 2,
        pods_per_node: 2,
        bridge: true,
    };
    let Some(lab) = lab(shape) else {
        return;
    };
    everybody_reaches_every_pod(&lab);
}

#[test]
fn a_port_without_server_refuses_and_a_foreign_address_leads_to_a_node() {
    let Some(lab) = lab(Shape::default()) else {
        return;
    };
    let pod = &lab.pods[0].machine;
    for to in pod.addresses.both() {
        assert_eq!(ask(&lab.client, Protocol::Tcp, to, 81), Answer::Refused);
        assert_eq!(ask(&lab.client, Protocol::Udp, to, 81), Answer::Refused);
    }
    let vip: IpAddr = "198.51.100.1".parse().expect("an address");
    lab.lead(vip, 32, 1).expect("led");
    assert!(lab.lead(vip, 32, 2).is_err());
    let node = &lab.nodes[1].machine;
    let mut links = Links::open(&node.namespace).expect("opened");
    let lo = links.index("lo").expect("lo");
    links.add_address(lo, vip, 32).expect("added");
    let _echo = Echo::start_at(node, "vip", &[vip], &[80]).expect("serves");
    assert_eq!(ask(&lab.client, Protocol::Tcp, vip, 80).who(), Some("vip"));
    lab.stop_leading(vip, 32, 1).expect("stopped");
}

#[test]
fn too_large_a_laboratory_is_refused() {
    for (nodes, pods_per_node) in [(0, 1), (51, 1), (1, 101)] {
        let shape = Shape {
            nodes,
            pods_per_node,
            bridge: false,
        };
        let error = Lab::build(shape).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
