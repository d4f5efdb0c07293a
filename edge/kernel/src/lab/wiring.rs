//! How a laboratory is put together.

use super::{Addresses, Lab, Machine, Node, POD_PREFIX, Pod, Shape};
use crate::link::{Links, Route, forward, instant_ipv6, sysctl};
use crate::netns::Namespace;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Routers of Pods and of nodes: link-local addresses, so that links need no networks. They
/// differ, for a machine's own address can be no router.
const POD_ROUTER: Addresses = Addresses {
    v4: Ipv4Addr::new(169, 254, 1, 1),
    v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
};
const NODE_ROUTER: Addresses = Addresses {
    v4: Ipv4Addr::new(169, 254, 0, 1),
    v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
};
/// Lengths of prefixes with one address.
const ONE: (u8, u8) = (32, 128);

pub(super) fn build(shape: Shape) -> io::Result<Lab> {
    let router = machine("router", router_addresses())?;
    route_and_answer(&router)?;
    let client = machine("client", client_addresses())?;
    cable(&router, &client, NODE_ROUTER)?;
    let second = client.addresses.both().map(next);
    give(&client, "eth0", second)?;
    for address in second {
        lead(&router, "client", address, length(address, ONE), None)?;
    }
    let mut lab = Lab {
        nodes: Vec::new(),
        pods: Vec::new(),
        client,
        router,
    };
    for number in 1..=shape.nodes {
        add_node(&mut lab, number, shape)?;
    }
    Ok(lab)
}

fn add_node(lab: &mut Lab, number: u8, shape: Shape) -> io::Result<()> {
    let node = Node {
        machine: machine(&format!("node{number}"), node_addresses(number))?,
        pod_networks: pod_addresses(number, 0),
    };
    route_and_answer(&node.machine)?;
    cable(&lab.router, &node.machine, NODE_ROUTER)?;
    for network in node.pod_networks.both() {
        let prefix = length(network, POD_PREFIX);
        let via = node.machine.addresses.like(network);
        lead(&lab.router, &node.machine.name, network, prefix, Some(via))?;
    }
    if shape.bridge {
        add_bridge(&node, number)?;
    }
    for pod in 1..=shape.pods_per_node {
        let addresses = pod_addresses(number, 0x10 + pod);
        let pod = machine(&format!("pod{}", lab.pods.len() + 1), addresses)?;
        match shape.bridge {
            true => plug(&node.machine, &pod, number)?,
            false => cable(&node.machine, &pod, POD_ROUTER)?,
        }
        lab.pods.push(Pod {
            machine: pod,
            node: lab.nodes.len(),
        });
    }
    lab.nodes.push(node);
    Ok(())
}

fn machine(name: &str, addresses: Addresses) -> io::Result<Machine> {
    let namespace = Namespace::create()?;
    instant_ipv6(&namespace)?;
    Ok(Machine {
        name: name.to_owned(),
        namespace,
        addresses,
    })
}

fn route_and_answer(machine: &Machine) -> io::Result<()> {
    forward(&machine.namespace)?;
    // Refusals are told by ICMP, of which one client gets a few a second unless told otherwise.
    sysctl(&machine.namespace, "ipv4/icmp_ratelimit", "0")?;
    sysctl(&machine.namespace, "ipv6/icmp/ratelimit", "0")?;
    give(machine, "lo", machine.addresses.both())
}

/// Joins `far` to `near`, which becomes its router.
fn cable(near: &Machine, far: &Machine, router: Addresses) -> io::Result<()> {
    let mut links = Links::open(&near.namespace)?;
    links.add_veth(&far.name, "eth0", &far.namespace)?;
    let index = links.index(&far.name)?;
    links.add_address(index, router.v4.into(), 32)?;
    links.add_address(index, router.v6.into(), 64)?;
    for address in far.addresses.both() {
        lead(near, &far.name, address, length(address, ONE), None)?;
    }
    give(far, "eth0", far.addresses.both())?;
    default_routes(far, router)
}

/// A bridge for a node's Pods, which has their networks' first addresses.
fn add_bridge(node: &Node, number: u8) -> io::Result<()> {
    let mut links = Links::open(&node.machine.namespace)?;
    links.add_bridge("cni0")?;
    let index = links.index("cni0")?;
    for address in pod_addresses(number, 1).both() {
        links.add_address(index, address, length(address, POD_PREFIX))?;
    }
    Ok(())
}

/// Joins a Pod to its node's bridge.
fn plug(node: &Machine, pod: &Machine, number: u8) -> io::Result<()> {
    let mut links = Links::open(&node.namespace)?;
    links.add_veth(&pod.name, "eth0", &pod.namespace)?;
    let (bridge, port) = (links.index("cni0")?, links.index(&pod.name)?);
    links.set_master(port, Some(bridge))?;
    links.set_hairpin(port, true)?;
    let mut far = Links::open(&pod.namespace)?;
    let index = far.index("eth0")?;
    for address in pod.addresses.both() {
        far.add_address(index, address, length(address, POD_PREFIX))?;
    }
    default_routes(pod, pod_addresses(number, 1))
}

fn default_routes(machine: &Machine, router: Addresses) -> io::Result<()> {
    let mut links = Links::open(&machine.namespace)?;
    let device = links.index("eth0")?;
    for (route, via) in [Route::default_v4(), Route::default_v6()]
        .into_iter()
        .zip(router.both())
    {
        let source = machine.addresses.like(via);
        let route = route.via(via).device(device).onlink().source(source);
        links.add_route(&route)?;
    }
    Ok(())
}

/// Sends what is for a network out of the link `to`, by way of a neighbour if there is one.
fn lead(
    machine: &Machine,
    to: &str,
    network: IpAddr,
    prefix: u8,
    via: Option<IpAddr>,
) -> io::Result<()> {
    let mut links = Links::open(&machine.namespace)?;
    let source = machine.addresses.like(network);
    let mut route = Route::to(network, prefix)
        .device(links.index(to)?)
        .source(source);
    if let Some(via) = via {
        route = route.via(via).onlink();
    }
    Ok(links.add_route(&route)?)
}

fn give(machine: &Machine, link: &str, addresses: [IpAddr; 2]) -> io::Result<()> {
    let mut links = Links::open(&machine.namespace)?;
    let index = links.index(link)?;
    for address in addresses {
        match links.add_address(index, address, length(address, ONE)) {
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            other => other?,
        }
    }
    Ok(())
}

fn length(address: IpAddr, lengths: (u8, u8)) -> u8 {
    match address {
        IpAddr::V4(_) => lengths.0,
        IpAddr::V6(_) => lengths.1,
    }
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) + 1).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) + 1).into(),
    }
}

fn router_addresses() -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(172, 18, 0, 1),
        v6: Ipv6Addr::new(0xfd00, 0x18, 0, 0, 0, 0, 0, 1),
    }
}

fn client_addresses() -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(203, 0, 113, 10),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0x10),
    }
}

fn node_addresses(number: u8) -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(172, 18, 0, 0x10 + number),
        v6: Ipv6Addr::new(0xfd00, 0x18, 0, 0, 0, 0, 0, 0x10 + u16::from(number)),
    }
}

fn pod_addresses(node: u8, last: u8) -> Addresses {
    let (node16, last16) = (u16::from(node), u16::from(last));
    Addresses {
        v4: Ipv4Addr::new(10, 244, node, last),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, node16, 0, 0, 0, last16),
    }
}
