//! Under which addresses a listener is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The address that this machine has towards others; `None` without a network. Nothing is sent:
/// connecting a datagram socket only picks a route (the targets are of RFC 5737 and RFC 3849).
fn outward(v4: bool) -> Option<IpAddr> {
    let (from, to): (IpAddr, &str) = if v4 {
        (Ipv4Addr::UNSPECIFIED.into(), "192.0.2.1:9")
    } else {
        (Ipv6Addr::UNSPECIFIED.into(), "[2001:db8::1]:9")
    };
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Addresses that the server's certificate has to name: loopback, and what it listens on.
pub(crate) fn named(listen: IpAddr) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let more = if listen.is_unspecified() {
        [outward(true), outward(false)]
    } else {
        [Some(listen), None]
    };
    for ip in more.into_iter().flatten() {
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}

/// Where others reach the server: all addresses are none to connect to.
pub(crate) fn advertised(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let ip = outward(listen.is_ipv4()).unwrap_or_else(|| local(listen).ip());
    SocketAddr::new(ip, listen.port())
}

/// Where this machine reaches the server.
pub(crate) fn local(listen: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_its_own_stands_in_the_certificate() {
        let names = named("192.0.2.7".parse().unwrap());
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.1", "::1", "192.0.2.7"]);
        assert_eq!(named(Ipv4Addr::LOCALHOST.into()).len(), 2);
        let own: SocketAddr = "192.0.2.7:6443".parse().unwrap();
        assert_eq!((advertised(own), local(own)), (own, own));
    }

    #[test]
    fn nobody_is_sent_to_all_addresses() {
        let all: SocketAddr = "0.0.0.0:6443".parse().unwrap();
        assert!(!advertised(all).ip().is_unspecified());
        assert_eq!(local(all).to_string(), "127.0.0.1:6443");
        assert!(named(all.ip()).iter().all(|ip| !ip.is_unspecified()));
    }
}
