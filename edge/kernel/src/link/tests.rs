//! Needs the right to make namespaces; where the kernel refuses, says so and passes.

use super::*;
use crate::netns::{Namespace, may_create};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

fn refused() -> bool {
    may_create().is_err_and(|why| {
        eprintln!("skipped: {why}");
        true
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Three namespaces in a row: left – router – right.
fn row() -> (Namespace, Namespace, Namespace) {
    let make = || Namespace::create().expect("made");
    let (left, router, right) = (make(), make(), make());
    forward(&router).expect("forwards");
    let mut links = Links::open(&router).expect("opened");
    for (side, name, n) in [(&left, "left", 1), (&right, "right", 2)] {
        links.add_veth(name, "eth0", side).expect("veth");
        let index = links.index(name).expect("index");
        let mut far = Links::open(side).expect("opened");
        let eth0 = far.index("eth0").expect("index");
        for (near_ip, far_ip, prefix) in [
            (format!("10.0.{n}.1"), format!("10.0.{n}.2"), 24),
            (format!("fd00:{n}::1"), format!("fd00:{n}::2"), 64),
        ] {
            links
                .add_address(index, ip(&near_ip), prefix)
                .expect("address");
            far.add_address(eth0, ip(&far_ip), prefix).expect("address");
            let default = match ip(&near_ip) {
                IpAddr::V4(_) => Route::default_v4(),
                IpAddr::V6(_) => Route::default_v6(),
            };
            far.add_route(&default.via(ip(&near_ip))).expect("route");
        }
    }
    (left, router, right)
}

#[test]
fn packets_cross_a_router_in_both_families() {
    if refused() {
        return;
    }
    let (left, _router, right) = row();
    for to in ["10.0.2.2:80", "[fd00:2::2]:80"] {
        let to: SocketAddr = to.parse().expect("an address");
        let listener = right.tcp_listen(to).expect("listens");
        let stream = left
            .tcp_connect(to, Duration::from_secs(5))
            .expect("connects");
        let (_, from) = listener.accept().expect("accepts");
        assert_eq!(from, stream.local_addr().expect("address"));
    }
}

#[test]
fn a_blackhole_swallows_and_an_unreachable_route_tells() {
    if refused() {
        return;
    }
    let (left, router, _right) = row();
    let mut links = Links::open(&router).expect("opened");
    let hole = Route::to(ip("192.0.2.0"), 24).kind(RouteKind::Blackhole);
    links.add_route(&hole).expect("route");
    let wall = Route::to(ip("198.51.100.0"), 24).kind(RouteKind::Unreachable);
    links.add_route(&wall).expect("route");
    let ask = |to: &str| {
        let to = to.parse().expect("an address");
        left.tcp_connect(to, Duration::from_millis(200))
            .expect_err("no way")
    };
    assert_eq!(ask("192.0.2.7:80").kind(), ErrorKind::TimedOut);
    assert_eq!(ask("198.51.100.7:80").kind(), ErrorKind::HostUnreachable);
    links.delete_route(&wall).expect("deleted");
    let gone = links.delete_route(&wall).expect_err("gone");
    assert_eq!(gone.errno(), Some(libc::ESRCH));
    assert!(
        gone.to_string()
            .starts_with("delete route 198.51.100.0/24: "),
        "{gone}"
    );
}

#[test]
fn addresses_are_listed_and_watched() {
    if refused() {
        return;
    }
    let inside = Namespace::create().expect("made");
    let mut links = Links::open(&inside).expect("opened");
    let mut watch = AddressWatch::open(&inside).expect("watches");
    watch.drain().expect("drained");
    assert!(!watch.wait(Duration::ZERO).expect("quiet"));
    let lo = links.index("lo").expect("lo");
    links.add_address(lo, ip("10.96.0.10"), 32).expect("added");
    assert!(watch.wait(Duration::from_secs(5)).expect("told"));
    let mut seen = links.addresses().expect("listed");
    seen.retain(|a| a.address == ip("10.96.0.10"));
    let want = Address {
        index: lo,
        address: ip("10.96.0.10"),
        prefix: 32,
        global: true,
        secondary: false,
        unusable: false,
    };
    assert_eq!(seen, [want]);
    let twice = links
        .add_address(lo, ip("10.96.0.10"), 32)
        .expect_err("twice");
    assert_eq!(twice.errno(), Some(libc::EEXIST));
    links
        .delete_address(lo, ip("10.96.0.10"), 32)
        .expect("deleted");
    assert!(watch.wait(Duration::from_secs(5)).expect("told"));
}

#[test]
fn a_bridge_has_ports_with_hairpin_mode() {
    if refused() {
        return;
    }
    let (inside, pod) = (
        Namespace::create().expect("made"),
        Namespace::create().expect("made"),
    );
    let mut links = Links::open(&inside).expect("opened");
    match links.add_bridge("br0") {
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {
            eprintln!("skipped: {error}");
            return;
        }
        made => made.expect("made"),
    }
    links.add_veth("pod0", "eth0", &pod).expect("veth");
    let (bridge, port) = (
        links.index("br0").expect("br0"),
        links.index("pod0").expect("pod0"),
    );
    links.set_hairpin(port, true).expect_err("no port yet");
    links.set_master(port, Some(bridge)).expect("a port");
    links.set_hairpin(port, true).expect("hairpin");
    links.set_mtu(port, 1400).expect("mtu");
    links.set_up(port, false).expect("down");
    let listed = links.list().expect("listed");
    let seen = listed.iter().find(|l| l.index == port).expect("there");
    assert_eq!((seen.name.as_str(), seen.master), ("pod0", Some(bridge)));
    assert_eq!((seen.mtu, seen.up, seen.hardware.len()), (1400, false, 6));
    links.delete(port).expect("deleted");
    let gone = links.index("pod0").expect_err("gone");
    assert_eq!(gone.errno(), Some(libc::ENODEV));
}
