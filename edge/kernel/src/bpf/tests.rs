//! Sockets of a process in a fresh cgroup, in a network namespace of its own. Where the kernel
//! refuses, says so and passes.

mod bed;

use super::*;
use crate::netns::{Namespace, may_create};
use bed::{Bed, Cgroup};
use std::net::IpAddr;
use std::os::fd::AsFd;

const TCP: u8 = 6;
const UDP: u8 = 17;

fn frontend(at: SocketAddr, protocol: u8) -> Frontend {
    Frontend {
        address: at.ip(),
        protocol,
        port: at.port(),
    }
}

fn addresses(v6: bool) -> (SocketAddr, SocketAddr, IpAddr) {
    let texts = match v6 {
        false => ("10.96.0.1:80", "10.96.0.1:81", "127.0.0.1"),
        true => ("[fd96::1]:80", "[fd96::1]:81", "::1"),
    };
    let (led, other, local) = texts;
    (
        led.parse().unwrap(),
        other.parse().unwrap(),
        local.parse().unwrap(),
    )
}

#[test]
fn tcp_connections_are_led_and_name_the_frontend() {
    let Some(mut bed) = Bed::new() else { return };
    for v6 in [false, true] {
        let (led, other, local) = addresses(v6);
        let servers = bed.tcp_servers(local);
        bed.hooks.set(frontend(led, TCP), &servers).unwrap();
        let mut served = [0, 0];
        for _ in 0..24 {
            let (text, peer) = bed.client.tcp(led).unwrap();
            assert_eq!(peer, led);
            let index = servers.iter().position(|server| text == server.to_string());
            served[index.unwrap()] += 1;
        }
        assert!(served.iter().all(|count| *count > 0), "{served:?}");
        assert!(bed.client.tcp(other).is_err(), "another port is left alone");
        let outside = bed.namespace.tcp_connect(led, bed::PATIENCE);
        assert!(outside.is_err(), "processes outside are left alone");

        bed.hooks.set(frontend(led, TCP), &servers[1..]).unwrap();
        for _ in 0..5 {
            assert_eq!(bed.client.tcp(led).unwrap().0, servers[1].to_string());
        }
        bed.hooks.set(frontend(led, TCP), &[]).unwrap();
        assert_eq!(bed.hooks.len(), usize::from(v6));
        assert!(bed.client.tcp(led).is_err());
        bed.hooks.set(frontend(led, TCP), &servers).unwrap();
        assert!(bed.client.tcp(led).is_ok());
    }
    assert_eq!(bed.hooks.len(), 2);
    let Bed {
        hooks, mut client, ..
    } = bed;
    drop(hooks);
    assert!(client.tcp(addresses(false).0).is_err(), "detached");
}

#[test]
fn datagrams_are_led_to_one_endpoint_until_it_goes() {
    let Some(mut bed) = Bed::new() else { return };
    for v6 in [false, true] {
        let (led, _, local) = addresses(v6);
        let servers = bed.udp_servers(local);
        bed.hooks.set(frontend(led, UDP), &servers).unwrap();
        let (first, from) = bed.client.udp(led).unwrap();
        assert_eq!(from, led, "answers come from the frontend");
        for _ in 0..16 {
            assert_eq!(bed.client.udp(led).unwrap(), (first.clone(), led));
        }
        let left: Vec<SocketAddr> = servers
            .iter()
            .filter(|server| server.to_string() != first)
            .copied()
            .collect();
        bed.hooks.set(frontend(led, UDP), &left).unwrap();
        assert_eq!(bed.client.udp(led).unwrap(), (left[0].to_string(), led));
        bed.hooks.set(frontend(led, UDP), &[]).unwrap();
        assert!(bed.client.udp(led).is_err());
    }
}

#[test]
fn frontend_that_finds_no_room_is_left_to_the_rules() {
    let Some(cgroup) = Cgroup::new() else { return };
    let room = Room {
        frontends: 4,
        slots: 8,
        sockets: 64,
    };
    let mut hooks = match ConnectHooks::attach(cgroup.path(), room) {
        Ok(hooks) => hooks,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let at = |port| frontend(SocketAddr::from(([10, 96, 0, 1], port)), TCP);
    let endpoints = |count: u16| -> Vec<SocketAddr> {
        let ports = 1..=count;
        ports
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect()
    };
    hooks.set(at(1), &endpoints(6)).unwrap();
    let error = hooks.set(at(2), &endpoints(100)).unwrap_err();
    assert!(error.to_string().contains("the map is full"), "{error}");
    assert_eq!(hooks.len(), 1);
    hooks.set(at(1), &endpoints(1)).unwrap();
    for port in 2..=4 {
        hooks.set(at(port), &endpoints(1)).unwrap();
    }
    assert!(hooks.set(at(5), &endpoints(1)).is_err());
    assert_eq!(hooks.len(), 4);
    for port in 1..=5 {
        hooks.set(at(port), &[]).unwrap();
    }
    assert!(hooks.is_empty());
}

#[test]
fn what_is_no_cgroup_is_refused_and_nothing_stays() {
    let error = ConnectHooks::attach(Path::new("/no/such/cgroup"), Room::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("open /no/such/cgroup: "),
        "{error}"
    );
    if Bed::new().is_some() {
        let error = ConnectHooks::attach(Path::new("/proc"), Room::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("attach connect to /proc: "),
            "{error}"
        );
    }
}

#[test]
fn refused_program_says_why() {
    let Some(_cgroup) = Cgroup::new() else { return };
    let mut asm = asm::Asm::default();
    asm.load(asm::Size::Word, asm::Reg::R0, asm::Reg::R3, 0);
    asm.exit();
    let error = sys::load(&asm.finish(), 10).unwrap_err();
    assert!(error.to_string().contains("R3 !read_ok"), "{error}");
}

#[test]
fn mounts_tell_where_cgroup2_is() {
    let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                  none /a\\040b/unified cgroup2 rw 0 0\n";
    assert_eq!(cgroup::mount_point(mounts), Some("/a b/unified".into()));
    assert_eq!(cgroup::mount_point("proc /proc proc rw 0 0"), None);
}

#[test]
fn jumps_go_where_labels_are() {
    let mut asm = asm::Asm::default();
    let end = asm.label();
    asm.if_equal(asm::Reg::R1, 0, end);
    asm.set(asm::Reg::R0, 1);
    asm.go(end);
    asm.bind(end);
    asm.exit();
    let text = format!("{:?}", asm.finish());
    assert!(text.contains("code: 21, regs: 1, off: 2, imm: 0"), "{text}");
    assert!(text.contains("code: 5, regs: 0, off: 0, imm: 0"), "{text}");
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut asm = asm::Asm::default();
    asm.map(asm::Reg::R1, null.as_fd());
    assert_eq!(asm.finish().len(), 2, "a map takes two instructions");
}

/// The process in the cgroup. Does nothing unless another test starts it.
#[test]
#[ignore = "started by the tests beside it"]
fn client() {
    bed::serve_commands();
}
