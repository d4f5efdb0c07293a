//! The machine's own name servers.

use std::net::{IpAddr, SocketAddr};

/// The `nameserver` lines of a resolv.conf, as addresses with port 53.
pub fn nameservers(resolv_conf: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in resolv_conf.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
        found.extend(address.map(|address| SocketAddr::new(address, 53)));
    }
    found
}

/// Those of `/etc/resolv.conf`; none when it cannot be read.
pub fn system_nameservers() -> Vec<SocketAddr> {
    std::fs::read_to_string("/etc/resolv.conf")
        .map(|text| nameservers(&text))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nameservers_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.1\n\
                    nameserver fd00::53\nnameserver nonsense\noptions ndots:5\n";
        let wanted: Vec<SocketAddr> = ["192.0.2.1:53", "[fd00::53]:53"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(nameservers(text), wanted);
    }
}
