//! Messages as text, much as `dig` prints them.

use crate::name::Name;
use crate::query::HEADER;
use crate::rtype;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

const FLAGS: [(u16, &str); 8] = [
    (15, "qr"),
    (10, "aa"),
    (9, "tc"),
    (8, "rd"),
    (7, "ra"),
    (6, "z"),
    (5, "ad"),
    (4, "cd"),
];

/// Describes a message: response code, flags and records by section, one to a line. What cannot
/// be read ends the text with a note.
pub fn describe(message: &[u8]) -> String {
    let mut out = String::new();
    if write_message(message, &mut out).is_none() {
        out.push_str(";; malformed\n");
    }
    out
}

fn write_message(message: &[u8], out: &mut String) -> Option<()> {
    let word = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    message.get(..HEADER)?;
    let flags = word(2)?;
    let (body, edns) = sections(message)?;
    let high = edns.as_ref().map_or(0, |edns| edns.high_rcode);
    let rcode = rtype::rcode_name(flags & 0xF | high << 4);
    let _ = write!(out, ";; {rcode}");
    for (bit, name) in FLAGS {
        if flags >> bit & 1 == 1 {
            let _ = write!(out, " {name}");
        }
    }
    let _ = writeln!(out, " ({} octets)", message.len());
    if let Some(edns) = edns {
        let dnssec = if edns.dnssec { " do" } else { "" };
        let _ = writeln!(out, ";; edns {} udp {}{dnssec}", edns.version, edns.size);
    }
    out.push_str(&body);
    Some(())
}

struct Edns {
    high_rcode: u16,
    version: u8,
    size: u16,
    dnssec: bool,
}

fn sections(message: &[u8]) -> Option<(String, Option<Edns>)> {
    let word = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    let (mut out, mut edns, mut at) = (String::new(), None, HEADER);
    for _ in 0..word(4)? {
        let (name, end) = Name::read(message, at)?;
        let qtype = rtype::type_name(word(end)?);
        let class = class_name(word(end + 2)?);
        let _ = writeln!(out, ";{name} {class} {qtype}");
        at = end + 4;
    }
    for (index, title) in ["answer", "authority", "additional"]
        .into_iter()
        .enumerate()
    {
        let mut titled = false;
        for _ in 0..word(6 + 2 * index)? {
            let (owner, fixed) = Name::read(message, at)?;
            let from = fixed + 10;
            at = from + usize::from(word(fixed + 8)?);
            let (rtype, class) = (word(fixed)?, word(fixed + 2)?);
            let [high, version] = word(fixed + 4)?.to_be_bytes();
            message.get(from..at)?;
            if rtype == rtype::OPT {
                edns = Some(Edns {
                    high_rcode: u16::from(high),
                    version,
                    size: class,
                    dnssec: word(fixed + 6)? >> 15 == 1,
                });
                continue;
            }
            if !titled {
                let _ = writeln!(out, ";; {title}");
                titled = true;
            }
            let ttl = u32::from(word(fixed + 4)?) << 16 | u32::from(word(fixed + 6)?);
            let data = data(message, rtype, from, at)?;
            let (class, rtype) = (class_name(class), rtype::type_name(rtype));
            let _ = writeln!(out, "{owner} {ttl} {class} {rtype} {data}");
        }
    }
    Some((out, edns))
}

fn class_name(class: u16) -> String {
    match class {
        rtype::CLASS_IN => "IN".to_owned(),
        3 => "CH".to_owned(),
        4 => "HS".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("CLASS{other}"),
    }
}

fn data(message: &[u8], rtype: u16, from: usize, to: usize) -> Option<String> {
    let raw = message.get(from..to)?;
    let name = |at: usize| Name::read(message, at);
    let word = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    Some(match (rtype, raw) {
        (rtype::A, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (rtype::AAAA, raw) if raw.len() == 16 => {
            let octets: [u8; 16] = raw.try_into().ok()?;
            Ipv6Addr::from(octets).to_string()
        }
        (rtype::NS | rtype::CNAME | rtype::PTR, _) => name(from)?.0.to_string(),
        (rtype::MX, _) => format!("{} {}", word(from)?, name(from + 2)?.0),
        (rtype::SRV, _) => {
            let (priority, weight, port) = (word(from)?, word(from + 2)?, word(from + 4)?);
            format!("{priority} {weight} {port} {}", name(from + 6)?.0)
        }
        (rtype::SOA, _) => {
            let (server, at) = name(from)?;
            let (mailbox, mut at) = name(at)?;
            let mut text = format!("{server} {mailbox}");
            for _ in 0..5 {
                let number = u32::from(word(at)?) << 16 | u32::from(word(at + 2)?);
                let _ = write!(text, " {number}");
                at += 4;
            }
            text
        }
        (rtype::TXT, raw) => strings(raw)?,
        (_, raw) => raw
            .iter()
            .fold(format!("\\# {} ", raw.len()), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            }),
    })
}

fn strings(mut raw: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let Some((&length, rest)) = raw.split_first() {
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        parts.push(format!("\"{}\"", text.escape_ascii()));
        raw = rest;
    }
    Some(parts.join(" "))
}
