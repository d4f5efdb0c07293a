//! Reading a client's message (RFC 1035 section 4, RFC 6891).

use crate::name::uncompressed_length;
use crate::rtype;

pub(crate) const HEADER: usize = 12;
/// Bits of the second pair of header octets.
pub(crate) const QR: u16 = 1 << 15;
pub(crate) const AA: u16 = 1 << 10;
pub(crate) const TC: u16 = 1 << 9;
pub(crate) const RD: u16 = 1 << 8;
pub(crate) const RA: u16 = 1 << 7;
pub(crate) const AD: u16 = 1 << 5;
pub(crate) const CD: u16 = 1 << 4;
const OPCODE: u16 = 0xF << 11;

/// A question that can be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'m> {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Name, type and class as they came
    pub(crate) question: &'m [u8],
    pub(crate) qtype: u16,
    pub(crate) qclass: u16,
    pub(crate) edns: Option<Edns>,
}

/// What a client's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) size: u16,
    pub(crate) version: u8,
    pub(crate) dnssec: bool,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Parsed<'m> {
    /// It asks something
    Query(Query<'m>),
    /// It deserves an error; the question is echoed when it could be read
    Refuse(Query<'m>, u16),
    /// It deserves silence: too short for an id, or itself a reply
    Ignore,
}

impl<'m> Query<'m> {
    pub(crate) fn name(&self) -> &'m [u8] {
        // Type and class are the last four octets.
        &self.question[..self.question.len().saturating_sub(4)]
    }
}

/// Reads a message.
pub(crate) fn parse(message: &[u8]) -> Parsed<'_> {
    let Some((header, body)) = message.split_first_chunk::<HEADER>() else {
        return Parsed::Ignore;
    };
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut query = Query {
        id: word(0),
        flags: word(2),
        question: &[],
        qtype: 0,
        qclass: 0,
        edns: None,
    };
    if query.flags & QR != 0 {
        return Parsed::Ignore;
    }
    if query.flags & OPCODE != 0 {
        return Parsed::Refuse(query, rtype::NOTIMP);
    }
    // A transfer's question may carry a SOA; OPT and TSIG may be at the end.
    let (answers, authority, additional) = (word(6), word(8), word(10));
    if word(4) != 1 || answers > 1 || authority > 1 || additional > 2 {
        return Parsed::Refuse(query, rtype::FORMERR);
    }
    let Some(rest) = take_question(&mut query, body) else {
        return Parsed::Refuse(query, rtype::FORMERR);
    };
    let records = take_records(&mut query, rest, answers + authority, additional);
    match (records, query.edns) {
        (None, _) => {
            query.edns = None;
            Parsed::Refuse(query, rtype::FORMERR)
        }
        (_, Some(edns)) if edns.version != 0 => Parsed::Refuse(query, rtype::BADVERS),
        _ => Parsed::Query(query),
    }
}

fn take_question<'m>(query: &mut Query<'m>, body: &'m [u8]) -> Option<&'m [u8]> {
    let length = uncompressed_length(body)? + 4;
    let (question, rest) = body.split_at_checked(length)?;
    let (_, [a, b, c, d]) = question.split_last_chunk::<4>()?;
    query.question = question;
    query.qtype = u16::from_be_bytes([*a, *b]);
    query.qclass = u16::from_be_bytes([*c, *d]);
    Some(rest)
}

/// Passes over the records and reads the OPT record among the additional ones.
fn take_records(query: &mut Query<'_>, rest: &[u8], before: u16, additional: u16) -> Option<()> {
    let mut rest = rest;
    for index in 0..before + additional {
        let (name, tail) = rest.split_at_checked(owner_length(rest)?)?;
        let (fixed, tail) = tail.split_first_chunk::<10>()?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (data, tail) = tail.split_at_checked(length)?;
        rest = tail;
        if index < before || u16::from_be_bytes([fixed[0], fixed[1]]) != rtype::OPT {
            continue;
        }
        // One OPT record, at the root (RFC 6891 section 6.1.1).
        if query.edns.is_some() || name != [0] || !options_are_whole(data) {
            return None;
        }
        query.edns = Some(Edns {
            size: u16::from_be_bytes([fixed[2], fixed[3]]),
            version: fixed[5],
            dnssec: fixed[6] & 0x80 != 0,
        });
    }
    Some(())
}

/// Length of an owner name, which may end in a pointer.
fn owner_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += usize::from(length) + 1,
            0xC0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn options_are_whole(mut data: &[u8]) -> bool {
    while !data.is_empty() {
        let Some((head, tail)) = data.split_first_chunk::<4>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(rest) = tail.get(length..) else {
            return false;
        };
        data = rest;
    }
    true
}
