//! Where a process listens, as `/proc` has it.
//!
//! Where processes of all Pods share this machine's network, one that listens on 0.0.0.0 answers
//! for every Pod's address and takes the port from all others. In a network of the Pod's own it
//! does what is expected.

use crate::leftover::{Stat, pids};
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Somebody listens on the Pod's address
    pub(crate) reachable: bool,
    /// What is wrong, and the cure
    pub(crate) complaint: Option<String>,
}

/// A socket that listens, or a UDP one that is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    at: SocketAddr,
    inode: u64,
    udp: bool,
}

/// Looks at the sockets of a Pod's own network, which `process` is in.
pub(crate) fn inspect_own(process: u32, pod_ip: IpAddr, ports: &[u16]) -> Finding {
    let wanted = |socket: &Socket| ports.is_empty() || ports.contains(&socket.at.port());
    let answers = |socket: &Socket| socket.at.ip() == pod_ip || socket.at.ip().is_unspecified();
    let all = sockets(&format!("/proc/{process}/net"));
    Finding {
        reachable: all.iter().any(|socket| wanted(socket) && answers(socket)),
        complaint: None,
    }
}

/// Looks at the sockets of a process group. With `ports`, others are nobody's business.
pub(crate) fn inspect(group: u32, pod_ip: IpAddr, ports: &[u16]) -> Finding {
    let wanted = |socket: &&Socket| ports.is_empty() || ports.contains(&socket.at.port());
    let all = sockets("/proc/net");
    let own = |socket: &&Socket| socket.at.ip() == pod_ip;
    if ports.iter().all(|port| {
        all.iter()
            .any(|s| s.at.port() == *port && s.at.ip() == pod_ip)
    }) && !ports.is_empty()
    {
        return Finding {
            reachable: true,
            complaint: None,
        };
    }
    let elsewhere: Vec<&Socket> = all
        .iter()
        // A UDP socket on a port that nobody declared is a client's in most cases.
        .filter(|socket| wanted(socket) && !(socket.udp && ports.is_empty()))
        .filter(|socket| !own(socket) && is_local(socket))
        .collect();
    let reachable = all.iter().filter(wanted).any(|socket| own(&socket));
    if elsewhere.is_empty() {
        return Finding {
            reachable,
            complaint: None,
        };
    }
    let inodes = inodes(group);
    let mut strays = elsewhere
        .iter()
        .filter(|socket| inodes.contains(&socket.inode));
    // Without declared ports, a loopback socket may well be the process' own affair.
    let stray = strays.find(|s| s.at.ip().is_unspecified() || (!ports.is_empty() && !reachable));
    Finding {
        reachable,
        complaint: stray.map(|socket| complaint(socket, pod_ip)),
    }
}

/// Addresses that a process takes for its own by mistake.
fn is_local(socket: &Socket) -> bool {
    let ip = socket.at.ip();
    ip.is_unspecified() || (!socket.udp && (ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST))
}

fn complaint(socket: &Socket, pod_ip: IpAddr) -> String {
    let (at, port) = (socket.at, socket.at.port());
    format!(
        "The process listens on {at} and not on the Pod's address: it would answer for other Pods \
         of this machine, or not at all for this one. Make it listen on $POD_IP:{port} \
         ({pod_ip}:{port}), as in `python3 -m http.server {port} --bind $(POD_IP)`"
    )
}

/// Inodes of the sockets that the group's processes hold.
fn inodes(group: u32) -> BTreeSet<u64> {
    let members = pids().filter(|pid| Stat::of(*pid).is_some_and(|stat| stat.group == group));
    members
        .flat_map(|pid| {
            fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            let text = link.to_str()?;
            text.strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

fn sockets(folder: &str) -> Vec<Socket> {
    const TCP_LISTEN: &str = "0A";
    const UDP_OPEN: &str = "07";
    let mut found = Vec::new();
    for (table, state) in [
        ("tcp", TCP_LISTEN),
        ("tcp6", TCP_LISTEN),
        ("udp", UDP_OPEN),
        ("udp6", UDP_OPEN),
    ] {
        let text = fs::read_to_string(format!("{folder}/{table}")).unwrap_or_default();
        let rows = text.lines().skip(1);
        found.extend(rows.filter_map(|row| parse(row, state, state == UDP_OPEN)));
    }
    found
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn parse(row: &str, state: &str, udp: bool) -> Option<Socket> {
    let mut fields = row.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != state {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let at = SocketAddr::new(address_of(address)?, u16::from_str_radix(port, 16).ok()?);
    Some(Socket { at, inode, udp })
}

/// The kernel prints addresses as words in the machine's byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<u32>> = (0..hex.len() / 8)
        .map(|n| u32::from_str_radix(hex.get(n * 8..n * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(v6)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn look(bind: &str, pod_ip: &str) -> Finding {
        let listener = TcpListener::bind((bind, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = std::process::id();
        let group = Stat::of(own).unwrap().group;
        inspect(group, pod_ip.parse().unwrap(), &[port])
    }

    #[test]
    fn a_socket_on_the_pods_address_is_fine_and_others_are_told() {
        let fine = look("127.31.1.1", "127.31.1.1");
        assert_eq!(
            fine,
            Finding {
                reachable: true,
                complaint: None
            }
        );
        for stray in ["0.0.0.0", "127.0.0.1", "::"] {
            let finding = look(stray, "127.31.1.2");
            assert!(!finding.reachable);
            let complaint = finding.complaint.unwrap();
            assert!(complaint.contains("$POD_IP"), "{complaint}");
        }
        let other = look("127.31.1.3", "127.31.1.4");
        assert_eq!(
            other,
            Finding::default(),
            "another Pod's address is its own affair"
        );
    }

    #[test]
    fn in_a_network_of_its_own_a_process_may_listen_anywhere() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pod_ip = "192.0.2.1".parse().unwrap();
        let finding = inspect_own(std::process::id(), pod_ip, &[port]);
        assert_eq!((finding.reachable, finding.complaint), (true, None));
        assert!(!inspect_own(std::process::id(), pod_ip, &[1]).reachable);
    }

    #[test]
    fn addresses_are_read_in_machine_order() {
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        assert_eq!(address_of(&hex([127, 0, 0, 1])), "127.0.0.1".parse().ok());
        let v6 = format!(
            "{}{}{}{}",
            hex([0; 4]),
            hex([0; 4]),
            hex([0; 4]),
            hex([0, 0, 0, 1])
        );
        assert_eq!(address_of(&v6), "::1".parse().ok());
        assert_eq!(address_of("xyz"), None);
    }
}
