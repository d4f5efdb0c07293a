//! Addresses and ranges in fields.
//!
//! Two readings exist: the *sloppy* one of old fields takes leading zeros (`010.1.2.3`) and
//! IPv4-mapped IPv6 (`::ffff:10.1.2.3`), so that what was stored years ago can still be read; the
//! strict one (`StrictIPCIDRValidation`, on since 1.36) refuses both on write.
//!
//! Source: `apimachinery/pkg/util/validation/ip.go`.

use model::{Cidr, FieldError, go_quote};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an address the sloppy way; an IPv4-mapped IPv6 address is the IPv4 one.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Some(v4) = sloppy_v4(text) {
        return Some(IpAddr::V4(v4));
    }
    let v6 = sloppy_v6(text)?;
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?.try_into().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// Digits only, of any length, up to 0xFFFFFF.
fn decimal(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.bytes().try_fold(0u32, |sum, b| {
        let next = sum * 10 + u32::from(b - b'0');
        (next < 0xFF_FFFF).then_some(next)
    })
}

fn sloppy_v6(text: &str) -> Option<Ipv6Addr> {
    // Cut each part down to what the strict parser takes, then let it judge the rest.
    let (head, tail) = match text.rfind(':') {
        Some(at) if text[at..].contains('.') => {
            let v4 = sloppy_v4(&text[at + 1..])?;
            (&text[..=at], v4.to_string())
        }
        _ => (text, String::new()),
    };
    let groups: Vec<&str> = head.split(':').map(without_zeros).collect();
    (groups.join(":") + &tail).parse().ok()
}

fn without_zeros(group: &str) -> &str {
    let start = group.len().saturating_sub(4);
    match (group.get(..start), group.get(start..)) {
        (Some(zeros), Some(rest)) if zeros.bytes().all(|b| b == b'0') => rest,
        _ => group,
    }
}

/// Reads `address/prefix` the sloppy way: the address as written and the range that holds it.
pub(crate) fn parse_cidr(text: &str) -> Option<(IpAddr, Cidr)> {
    let (address, prefix) = text.split_once('/')?;
    let prefix = decimal(prefix)?;
    let ip = parse_ip(address)?;
    let mapped = ip.is_ipv4() && address.contains(':');
    let prefix = if mapped {
        prefix.checked_sub(96)?
    } else {
        prefix
    };
    let range = Cidr::new(ip, prefix.try_into().ok()?).ok()?;
    Some((ip, range))
}

/// Whether the sloppy reading of `text` is an IPv4 (or IPv4-mapped) address.
pub(crate) fn is_ipv4(text: &str) -> bool {
    parse_ip(text).is_some_and(|ip| ip.is_ipv4())
}

/// Whether the sloppy reading of `text` is an IPv6 address.
pub(crate) fn is_ipv6(text: &str) -> bool {
    parse_ip(text).is_some_and(|ip| ip.is_ipv6())
}

/// An address in a field that always took non-canonical forms (`IsValidIPForLegacyField`, strict).
pub(crate) fn check_ip(field: &str, text: &str) -> Vec<FieldError> {
    let value = Value::from(text);
    let invalid = |detail: &str| vec![FieldError::invalid(field, &value, detail)];
    if parse_ip(text).is_none() {
        return invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
    match text.parse::<IpAddr>() {
        Err(_) => invalid("must not have leading 0s"),
        Ok(ip) if is_mapped(ip) => invalid("must not be an IPv4-mapped IPv6 address"),
        Ok(_) => Vec::new(),
    }
}

/// An address in its one canonical form (`IsValidIP`).
pub(crate) fn check_canonical_ip(field: &str, text: &str) -> Vec<FieldError> {
    let errors = check_ip(field, text);
    match parse_ip(text) {
        Some(ip) if errors.is_empty() && ip.to_string() != text => {
            vec![not_canonical(field, text, &ip.to_string())]
        }
        _ => errors,
    }
}

fn not_canonical(field: &str, text: &str, canonical: &str) -> FieldError {
    let detail = format!("must be in canonical form ({})", go_quote(canonical));
    FieldError::invalid(field, &Value::from(text), detail)
}

fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// A range in a field that always took non-canonical forms (`IsValidCIDRForLegacyField`, strict).
pub(crate) fn check_cidr(field: &str, text: &str) -> Vec<FieldError> {
    let value = Value::from(text);
    let invalid = |detail: &str| vec![FieldError::invalid(field, &value, detail)];
    if parse_cidr(text).is_none() {
        return invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
    match strict_cidr(text) {
        None => invalid("must not have leading 0s in IP or prefix length"),
        Some((ip, _)) if is_mapped(ip) => invalid("must not have an IPv4-mapped IPv6 address"),
        Some((ip, range)) if range.base() != ip => {
            invalid("must not have bits set beyond the prefix length")
        }
        Some(_) => Vec::new(),
    }
}

/// A range in its one canonical form (`IsValidCIDR`).
pub(crate) fn check_canonical_cidr(field: &str, text: &str) -> Vec<FieldError> {
    let errors = check_cidr(field, text);
    match parse_cidr(text) {
        Some((_, range)) if errors.is_empty() && range.to_string() != text => {
            vec![not_canonical(field, text, &range.to_string())]
        }
        _ => errors,
    }
}

fn strict_cidr(text: &str) -> Option<(IpAddr, Cidr)> {
    let (address, prefix) = text.split_once('/')?;
    if prefix.len() > 1 && prefix.starts_with('0') {
        return None;
    }
    let ip: IpAddr = address.parse().ok()?;
    Some((ip, Cidr::new(ip, prefix.parse().ok()?).ok()?))
}

/// Warnings about an address in a form that is taken but not canonical (`GetWarningsForIP`).
pub(crate) fn ip_warnings(field: &str, text: &str) -> Vec<String> {
    let Some(ip) = parse_ip(text) else {
        return Vec::new();
    };
    match text.parse::<IpAddr>() {
        Ok(strict) if !is_mapped(strict) => match strict {
            IpAddr::V6(v6) if v6.to_string() != text => vec![format!(
                "{field}: IPv6 address {} should be in RFC 5952 canonical format ({})",
                go_quote(text),
                go_quote(&v6.to_string())
            )],
            _ => Vec::new(),
        },
        _ => vec![format!(
            "{field}: non-standard IP address {} is invalid: use {}",
            go_quote(text),
            go_quote(&ip.to_string())
        )],
    }
}

/// Warnings about a range in a form that is taken but not canonical (`GetWarningsForCIDR`).
pub(crate) fn cidr_warnings(field: &str, text: &str) -> Vec<String> {
    let Some((ip, range)) = parse_cidr(text) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    let quoted = go_quote(text);
    let right = go_quote(&range.to_string());
    if range.base() != ip {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let single = go_quote(&format!("{ip}/{width}"));
        warnings.push(format!(
            "{field}: CIDR value {quoted} is ambiguous in this context (should be {right} or \
             {single}?)"
        ));
    }
    let strict = strict_cidr(text).filter(|(ip, _)| !is_mapped(*ip));
    if strict.is_none() {
        warnings.push(format!(
            "{field}: non-standard CIDR value {quoted} is invalid: use {right}"
        ));
    }
    if warnings.is_empty() && ip.is_ipv6() && range.to_string() != text {
        warnings.push(format!(
            "{field}: IPv6 CIDR value {quoted} should be in RFC 5952 canonical format ({right})"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(errors: &[FieldError]) -> Vec<&str> {
        errors.iter().map(|e| e.detail.as_str()).collect()
    }

    #[test]
    fn the_sloppy_reading_takes_what_was_once_taken() {
        for (text, want) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("010.002.003.004", Some("10.2.3.4")),
            ("::ffff:1.2.3.4", Some("1.2.3.4")),
            ("::ffff:01.2.3.4", Some("1.2.3.4")),
            ("FE80:0:0:0:0:0:0:0abc", Some("fe80::abc")),
            ("fe80::00001", Some("fe80::1")),
            ("256.0.0.1", None),
            ("1.2.3", None),
            ("fe80::1%eth0", None),
            ("", None),
            ("1.2.3.4.5", None),
            ("::g", None),
        ] {
            let got = parse_ip(text).map(|ip| ip.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn strict_addresses() {
        let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        for (text, want) in [
            ("10.0.0.1", None),
            ("2001:DB8::1", None),
            ("nope", Some(bad)),
            ("010.0.0.1", Some("must not have leading 0s")),
            (
                "::ffff:1.2.3.4",
                Some("must not be an IPv4-mapped IPv6 address"),
            ),
        ] {
            assert_eq!(
                details(&check_ip("f", text)),
                Vec::from_iter(want),
                "{text}"
            );
        }
        assert_eq!(
            details(&check_canonical_ip("f", "2001:DB8::1")),
            [r#"must be in canonical form ("2001:db8::1")"#]
        );
    }

    #[test]
    fn strict_ranges() {
        let bad = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        let zeros = "must not have leading 0s in IP or prefix length";
        for (text, want) in [
            ("10.0.0.0/8", None),
            (
                "10.0.0.1/8",
                Some("must not have bits set beyond the prefix length"),
            ),
            ("10.0.0.0/33", Some(bad)),
            ("10.0.0.0", Some(bad)),
            ("10.0.0.0/08", Some(zeros)),
            ("010.0.0.0/8", Some(zeros)),
            (
                "::ffff:10.0.0.0/104",
                Some("must not have an IPv4-mapped IPv6 address"),
            ),
        ] {
            assert_eq!(
                details(&check_cidr("f", text)),
                Vec::from_iter(want),
                "{text}"
            );
        }
    }

    #[test]
    fn warnings_tell_the_better_form() {
        assert_eq!(
            ip_warnings("f", "2001:DB8:0::1"),
            [
                r#"f: IPv6 address "2001:DB8:0::1" should be in RFC 5952 canonical format ("2001:db8::1")"#
            ]
        );
        assert_eq!(
            cidr_warnings("f", "10.0.0.1/8"),
            [
                r#"f: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)"#
            ]
        );
        assert!(cidr_warnings("f", "10.0.0.0/8").is_empty());
    }
}
