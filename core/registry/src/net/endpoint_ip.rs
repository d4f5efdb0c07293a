//! Addresses that may be endpoints (and, for historical reasons, external IPs).

use crate::field::ip;
use model::FieldError;
use std::net::{IpAddr, Ipv4Addr};

/// `ValidateEndpointIP`. With `loopback`, addresses in 127.0.0.0/8 other than 127.0.0.1 are fine:
/// the embedded mode runs Pods on them.
pub(super) fn check(field: &str, text: &str, loopback: bool) -> Vec<FieldError> {
    let invalid = |detail: String| FieldError::invalid(field, &text.into(), detail);
    let Some(address) = ip::parse_ip(text) else {
        return vec![invalid("must be a valid IP address".to_owned())];
    };
    let mut errors = Vec::new();
    if address.is_unspecified() {
        errors.push(invalid(format!("may not be unspecified ({text})")));
    }
    if address.is_loopback() && !(loopback && is_own_loopback(address)) {
        let detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
        errors.push(invalid(detail.to_owned()));
    }
    if is_link_local(address) {
        let detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
        errors.push(invalid(detail.to_owned()));
    }
    if is_link_local_multicast(address) {
        let detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        errors.push(invalid(detail.to_owned()));
    }
    errors
}

fn is_own_loopback(address: IpAddr) -> bool {
    address.is_ipv4() && address != IpAddr::V4(Ipv4Addr::LOCALHOST)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.octets()[0] == 0xff && v6.octets()[1] & 0x0f == 0x02,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_for_the_embedded_mode_alone() {
        for (text, plain, embedded) in [
            ("10.0.0.1", true, true),
            ("127.0.0.1", false, false),
            ("127.244.0.1", false, true),
            ("::1", false, false),
            ("0.0.0.0", false, false),
            ("169.254.0.1", false, false),
            ("fe80::1", false, false),
            ("224.0.0.1", false, false),
            ("224.0.1.1", true, true),
            ("ff02::1", false, false),
            ("ff12::1", false, false),
            ("ff05::1", true, true),
            ("x", false, false),
        ] {
            assert_eq!(check("f", text, false).is_empty(), plain, "{text}");
            assert_eq!(check("f", text, true).is_empty(), embedded, "{text}");
        }
    }
}
