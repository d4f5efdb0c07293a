//! Addresses.

use std::net::Ipv6Addr;

/// Four decimal numbers up to 255; zeros in front are let in.
fn is_dotted(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let octet = |part: &&str| {
        let digits = part.trim_start_matches('0');
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_digit())
            && digits.len() <= 3
            && (digits.is_empty() || digits.parse::<u8>().is_ok())
    };
    parts.len() == 4 && parts.iter().all(octet)
}

fn is_v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// `ipv4`; an IPv6 address that ends in dotted form passes as well.
pub(super) fn is_ipv4(text: &str) -> bool {
    is_dotted(text) || (text.contains('.') && is_v6(text))
}

/// `ipv6`
pub(super) fn is_ipv6(text: &str) -> bool {
    text.contains(':') && is_v6(text)
}

/// `cidr`
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match (is_dotted(address), is_v6(address)) {
        (true, _) => 32,
        (_, true) => 128,
        _ => return false,
    };
    !length.is_empty()
        && length.bytes().all(|c| c.is_ascii_digit())
        && length.parse::<u64>().is_ok_and(|length| length <= most)
}

/// `mac`: 6, 8 or 20 bytes, with colons, dashes, dots between pairs of bytes, or nothing.
pub(super) fn is_mac(text: &str) -> bool {
    let (separator, digits) = match text.as_bytes() {
        [_, _, b':', ..] => (':', 2),
        [_, _, b'-', ..] => ('-', 2),
        [_, _, _, _, b'.', ..] => ('.', 4),
        plain => {
            let sizes = matches!(plain.len(), 12 | 16 | 40);
            return sizes && plain.iter().all(u8::is_ascii_hexdigit);
        }
    };
    let groups: Vec<&str> = text.split(separator).collect();
    let fits = |group: &&str| group.len() == digits && group.bytes().all(|c| c.is_ascii_hexdigit());
    matches!(groups.len() * digits / 2, 6 | 8 | 20) && groups.iter().all(fits)
}
