//! SCTP (RFC 9260). Few kernels here have its sockets, so the tests speak it by raw packets.

use crate::objects::{ep, service, slices_with, with};
use crate::world::{cluster_ips, world};
use kernel::netns::Namespace;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, recv, sendto};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

const SCTP: u32 = 132;
const FROM: u16 = 4321;

/// A raw socket that sees all SCTP packets for its namespace.
fn raw(namespace: &Namespace, ipv4: bool) -> OwnedFd {
    let family = if ipv4 {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let protocol = std::num::NonZeroU32::new(SCTP).map(Protocol::from_raw);
    let socket = namespace
        .socket(family, SocketType::RAW, protocol)
        .expect("a raw socket");
    let patience = Some(Duration::from_secs(5));
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Recv,
        patience,
    )
    .expect("set");
    socket
}

/// A packet with one INIT chunk.
fn init(to: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(FROM.to_be_bytes());
    packet.extend(to.to_be_bytes());
    // Verification tag: zero in front of an INIT. Then room for the checksum.
    packet.extend([0; 8]);
    // Chunk: type 1, no flags, length 20.
    packet.extend([1, 0, 0, 20]);
    // Initiate tag, window, streams out and in, first sequence number.
    packet.extend(0x0102_0304_u32.to_be_bytes());
    packet.extend(65_536_u32.to_be_bytes());
    packet.extend([0, 1, 0, 1]);
    packet.extend(1_u32.to_be_bytes());
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// Castagnoli's checksum, RFC 9260 appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |mut crc: u32, byte: &u8| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
        crc
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[test]
fn an_association_is_led_to_an_endpoint() {
    let Some(mut world) = world() else { return };
    let port = json!([{"name": "s", "protocol": "SCTP", "port": 80, "targetPort": 8080}]);
    world.apply(&[with(
        service("web", 10, "ClusterIP"),
        json!({"ports": port}),
    )]);
    let target = json!([{"name": "s", "protocol": "SCTP", "port": 8080}]);
    let slices = slices_with(&world.lab, "web", "", &[ep(3)], &target);
    world.apply(&slices);
    for to in cluster_ips(10) {
        let (pod1, pod3) = (&world.at("pod1"), &world.at("pod3"));
        let (client, server) = (
            raw(&pod1.namespace, to.is_ipv4()),
            raw(&pod3.namespace, to.is_ipv4()),
        );
        let address = SocketAddr::new(to.ip(), 0);
        sendto(&client, &init(to.port()), SendFlags::empty(), &address).expect("sent");
        let mut buffer = [0; 256];
        let (len, _) = recv(&server, &mut buffer[..], RecvFlags::empty()).expect("received");
        let packet = match to.ip() {
            // A raw IPv4 socket hands out the IP header too.
            IpAddr::V4(_) => &buffer[20..len],
            IpAddr::V6(_) => &buffer[..len],
        };
        assert_eq!(packet[..2], FROM.to_be_bytes(), "source port");
        assert_eq!(packet[2..4], 8080_u16.to_be_bytes(), "target port");
        let mut zeroed = packet.to_vec();
        zeroed[8..12].fill(0);
        assert_eq!(packet[8..12], crc32c(&zeroed).to_le_bytes(), "checksum");
    }
}
