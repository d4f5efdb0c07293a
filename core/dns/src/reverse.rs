//! Addresses in names: the reverse trees, and dashed labels.

use crate::name::labels;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `in-addr.arpa.`
pub(crate) const IN_ADDR: &[u8] = b"\x07in-addr\x04arpa\0";
/// `ip6.arpa.`
pub(crate) const IP6: &[u8] = b"\x03ip6\x04arpa\0";

/// The address that a lower-case reverse name stands for: exactly four decimal labels under
/// `in-addr.arpa`, or 32 nibbles under `ip6.arpa`.
pub(crate) fn address_of(name: &[u8]) -> Option<IpAddr> {
    if let Some(head) = name.strip_suffix(IN_ADDR) {
        let mut octets = [0; 4];
        fill(head, &mut octets, decimal)?;
        return Some(Ipv4Addr::from(octets).into());
    }
    let head = name.strip_suffix(IP6)?;
    let mut nibbles = [0; 32];
    fill(head, &mut nibbles, |label| match label {
        [digit] => char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok()),
        _ => None,
    })?;
    let bits = nibbles
        .iter()
        .fold(0, |bits: u128, nibble| bits << 4 | u128::from(*nibble));
    Some(IpAddr::V6(Ipv6Addr::from(bits)).to_canonical())
}

/// Fills `parts` from the last to the first, as reverse names run.
fn fill(head: &[u8], parts: &mut [u8], read: impl Fn(&[u8]) -> Option<u8>) -> Option<()> {
    let mut at = parts.len();
    for label in labels(head) {
        at = at.checked_sub(1)?;
        parts[at] = read(label)?;
    }
    (at == 0).then_some(())
}

fn decimal(label: &[u8]) -> Option<u8> {
    let plain = label == b"0" || label.first().is_some_and(|first| *first != b'0');
    let digits = label.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(label).ok()?;
    (plain && digits).then(|| text.parse().ok())?
}

/// Presentation form of the reverse name of an address.
pub(crate) fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let nibbles = (0..32).map(|n| format!("{:x}.", bits >> (4 * n) & 15));
            nibbles.chain(["ip6.arpa.".to_owned()]).collect()
        }
    }
}

/// The address that a Pod's label stands for, `10-244-0-7` or `fd00-244--7`.
pub(crate) fn dashed_address(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok()?;
    if text.matches('-').count() == 3 && !text.contains("--") {
        let v4: Ipv4Addr = text.replace('-', ".").parse().ok()?;
        return Some(v4.into());
    }
    let v6: Ipv6Addr = text.replace('-', ":").parse().ok()?;
    Some(v6.into())
}

/// The label that an endpoint without a host name gets: its address as written, with dashes. One
/// that would end in a dash gets a zero behind it, since no host name may end so.
pub(crate) fn dashed_label(address: &str) -> String {
    let mut label = address.replace(['.', ':'], "-").to_ascii_lowercase();
    if address.contains(':') && label.ends_with('-') {
        label.push('0');
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn reverse_names_of_addresses_read_back() {
        for text in ["10.98.1.10", "0.0.0.0", "fd00:98::112", "::"] {
            let address: IpAddr = text.parse().unwrap();
            let name = Name::parse(&name_of(address)).unwrap();
            assert_eq!(address_of(name.as_wire()), Some(address), "{name}");
        }
        for bad in [
            "1.98.10.in-addr.arpa",
            "1.1.1.98.10.in-addr.arpa",
            "010.1.98.10.in-addr.arpa",
            "256.1.98.10.in-addr.arpa",
            "+1.1.98.10.in-addr.arpa",
            "g.0.0.0.ip6.arpa",
            "in-addr.arpa",
        ] {
            assert_eq!(
                address_of(Name::parse(bad).unwrap().as_wire()),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn dashed_labels_are_addresses() {
        let v4: IpAddr = "10.244.0.7".parse().unwrap();
        assert_eq!(dashed_address(b"10-244-0-7"), Some(v4));
        assert_eq!(dashed_address(b"fd00--1"), "fd00::1".parse().ok());
        assert_eq!(dashed_address(b"1-2-3"), None);
        assert_eq!(dashed_address(b"web"), None);
        assert_eq!(dashed_label("fd00:244:2::"), "fd00-244-2--0");
    }
}
