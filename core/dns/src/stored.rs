//! Other servers' answers: asking, reading, keeping and passing on.

use crate::answer::{Forward, Key, write_chain};
use crate::name::Name;
use crate::query::{AA, AD, CD, HEADER, QR, RA, RD, TC};
use crate::reply::{OUR_UDP_SIZE, Owner, Reply, Section};
use crate::rtype;

/// Least and most seconds that an answer is kept and may be kept by clients, as `cache 30` does.
const TTL_MIN: u32 = 5;
const TTL_MAX: u32 = 30;

/// Another server's answer, read and checked, without compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    rcode: u16,
    /// Of AA, RA, AD and TC those that were set
    flags: u16,
    records: Vec<Record>,
    /// Seconds that it may be kept
    ttl: u32,
    keep: bool,
    octets: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    section: Section,
    owner: Name,
    rtype: u16,
    data: Box<[u8]>,
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It answers something else, or nothing: wait for another
    Foreign,
    /// It answers the question, but cannot be read
    Malformed,
    /// The server does not know EDNS: ask again without
    NoEdns,
}

/// The message that asks another server for `key`.
pub fn upstream_query(key: &Key, id: u16, edns: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + key.name.as_wire().len() + 15);
    // AD in a query says that AD in the answer is understood (RFC 6840 section 5.7).
    let cd = if key.checking_disabled { CD } else { 0 };
    for word in [id, RD | AD | cd, 1, 0, 0, u16::from(edns)] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(key.name.as_wire());
    out.extend_from_slice(&key.qtype.to_be_bytes());
    out.extend_from_slice(&rtype::CLASS_IN.to_be_bytes());
    if edns {
        out.push(0);
        out.extend_from_slice(&rtype::OPT.to_be_bytes());
        out.extend_from_slice(&OUR_UDP_SIZE.to_be_bytes());
        let dnssec = if key.dnssec { 0x80 } else { 0 };
        out.extend_from_slice(&[0, 0, dnssec, 0, 0, 0]);
    }
    out
}

/// What is told when no server answered; kept for `seconds`, so that a dead server is not asked
/// again for every question (RFC 9520).
pub fn failure(seconds: u32) -> Stored {
    Stored {
        rcode: rtype::SERVFAIL,
        flags: RA,
        records: Vec::new(),
        ttl: seconds,
        keep: seconds > 0,
        octets: 0,
    }
}

impl Stored {
    /// Reads another server's answer to `key`, which was asked under `id`; with an OPT record if
    /// `edns` is set.
    ///
    /// # Errors
    /// When it is no answer, or none that can be used.
    pub fn read(key: &Key, id: u16, edns: bool, message: &[u8]) -> Result<Self, Mismatch> {
        let (header, _) = message
            .split_first_chunk::<HEADER>()
            .ok_or(Mismatch::Foreign)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = word(2);
        if word(0) != id || flags & QR == 0 || flags >> 11 & 0xF != 0 {
            return Err(Mismatch::Foreign);
        }
        let rcode = flags & 0xF;
        let no_edns = edns && matches!(rcode, rtype::FORMERR | rtype::NOTIMP);
        let mut at = HEADER;
        match word(4) {
            0 if rcode != rtype::NOERROR => {}
            1 => at = question(key, message)?,
            _ => return Err(Mismatch::Foreign),
        }
        let counts = [word(6), word(8), word(10)];
        let mut stored = Self {
            rcode,
            flags: flags & (AA | TC | RA | AD),
            records: Vec::new(),
            ttl: 0,
            keep: false,
            octets: message.len(),
        };
        let read = stored.read_records(message, at, counts);
        if no_edns && read.as_ref().is_none_or(|read| !read.edns) {
            return Err(Mismatch::NoEdns);
        }
        let Some(read) = read else {
            // A cut message may end anywhere.
            stored.records.clear();
            return if flags & TC != 0 {
                Ok(stored)
            } else {
                Err(Mismatch::Malformed)
            };
        };
        stored.rcode |= read.high_rcode << 4;
        stored.judge(key, read.ttl);
        Ok(stored)
    }

    fn read_records(&mut self, message: &[u8], at: usize, counts: [u16; 3]) -> Option<ReadRecords> {
        let mut at = at;
        let mut read = ReadRecords {
            ttl: TTL_MAX,
            edns: false,
            high_rcode: 0,
        };
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        for (section, count) in sections.into_iter().zip(counts) {
            for _ in 0..count {
                at = self.read_record(message, at, section, &mut read)?;
            }
        }
        Some(read)
    }

    fn read_record(
        &mut self,
        message: &[u8],
        at: usize,
        section: Section,
        read: &mut ReadRecords,
    ) -> Option<usize> {
        let (owner, at) = Name::read(message, at)?;
        let fixed: &[u8; 10] = message.get(at..at + 10)?.try_into().ok()?;
        let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
        let class = u16::from_be_bytes([fixed[2], fixed[3]]);
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let from = at + 10;
        let to = from + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        message.get(from..to)?;
        if rtype == rtype::OPT {
            read.edns = true;
            read.high_rcode = u16::from(fixed[4]);
            return Some(to);
        }
        // A TTL with the highest bit set is none (RFC 2181 section 8).
        let ttl = if ttl >> 31 == 1 { 0 } else { ttl };
        let data = expanded(message, rtype, from, to)?;
        read.ttl = read.ttl.min(ttl);
        if rtype == rtype::SOA && section == Section::Authority {
            // The last number is the negative TTL (RFC 2308 section 5).
            let (_, minimum) = data.split_last_chunk::<4>()?;
            read.ttl = read.ttl.min(u32::from_be_bytes(*minimum));
        }
        if class == rtype::CLASS_IN {
            self.records.push(Record {
                section,
                owner,
                rtype,
                data,
            });
        }
        Some(to)
    }

    /// Decides whether and for how long the answer is kept.
    fn judge(&mut self, key: &Key, ttl: u32) {
        let answers = self.has(Section::Answer, None);
        let soa = self.has(Section::Authority, Some(rtype::SOA));
        let clamped = ttl.clamp(TTL_MIN, TTL_MAX);
        let (keep, ttl) = match self.rcode {
            rtype::NOERROR if answers => (self.answers(key) || soa, clamped),
            rtype::NOERROR if self.records.is_empty() => (true, TTL_MIN),
            rtype::NOERROR if !soa && self.has(Section::Authority, Some(rtype::NS)) => {
                (true, TTL_MIN)
            }
            rtype::NOERROR => (true, clamped),
            rtype::NXDOMAIN if answers => (false, TTL_MIN),
            rtype::NXDOMAIN => (soa, clamped),
            rtype::SERVFAIL | rtype::NOTIMP => (true, TTL_MIN),
            _ => (false, TTL_MIN),
        };
        self.keep = keep && self.flags & TC == 0;
        self.ttl = ttl;
    }

    fn has(&self, section: Section, rtype: Option<u16>) -> bool {
        let mut records = self.records.iter();
        records.any(|record| {
            record.section == section && rtype.is_none_or(|rtype| record.rtype == rtype)
        })
    }

    /// Whether the chain of CNAME records ends in the asked type.
    fn answers(&self, key: &Key) -> bool {
        let answers = || self.records.iter().filter(|r| r.section == Section::Answer);
        let mut name = key.name.clone();
        for _ in 0..=self.records.len() {
            let mut here = answers().filter(|record| record.owner.to_lower() == name);
            if here.any(|r| r.rtype == key.qtype || key.qtype == rtype::ANY) {
                return true;
            }
            let mut here = answers().filter(|record| record.owner.to_lower() == name);
            match here.find(|record| record.rtype == rtype::CNAME) {
                Some(alias) => name = Name::from_checked(&alias.data).to_lower(),
                None => return false,
            }
        }
        false
    }

    /// Seconds that the answer may be kept.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Whether the answer may be kept at all.
    pub fn may_keep(&self) -> bool {
        self.keep
    }

    /// Whether the answer says that something does not exist, or that the server failed.
    pub fn is_denial(&self) -> bool {
        self.rcode != rtype::NOERROR || !self.has(Section::Answer, None)
    }

    /// Whether the other server could not say all over UDP.
    pub fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    /// The response code.
    pub fn rcode(&self) -> u16 {
        self.rcode
    }

    /// About how many octets of memory it takes.
    pub fn octets(&self) -> usize {
        let each = self.records.iter().map(|record| {
            std::mem::size_of::<Record>() + record.owner.as_wire().len() + record.data.len()
        });
        self.octets + each.sum::<usize>()
    }
}

struct ReadRecords {
    ttl: u32,
    edns: bool,
    high_rcode: u16,
}

/// Checks that the message's question is the one that was asked; gives the offset behind it.
fn question(key: &Key, message: &[u8]) -> Result<usize, Mismatch> {
    let (name, at) = Name::read(message, HEADER).ok_or(Mismatch::Foreign)?;
    let wanted = [key.qtype.to_be_bytes(), rtype::CLASS_IN.to_be_bytes()].concat();
    if name.to_lower() != key.name || message.get(at..at + 4) != Some(&wanted) {
        return Err(Mismatch::Foreign);
    }
    Ok(at + 4)
}

/// How the data of types with names in them is laid out: octets before, names. Newer types may
/// not be compressed (RFC 3597 section 4).
fn layout(rtype: u16) -> (usize, usize) {
    match rtype {
        rtype::NS | rtype::CNAME | rtype::PTR | 3 | 4 | 7 | 8 | 9 | 39 => (0, 1),
        rtype::SOA | 14 | 17 => (0, 2),
        rtype::MX | 18 | 21 | 36 => (2, 1),
        26 => (2, 2),
        rtype::SRV => (6, 1),
        24 | 46 => (18, 1),
        _ => (0, 0),
    }
}

/// A record's data with its names written out.
fn expanded(message: &[u8], rtype: u16, from: usize, to: usize) -> Option<Box<[u8]>> {
    let (before, names) = layout(rtype);
    let mut at = from + before;
    let mut data = message.get(from..at).filter(|_| at <= to)?.to_vec();
    for _ in 0..names {
        let (name, end) = Name::read(message, at)?;
        data.extend_from_slice(name.as_wire());
        at = end;
    }
    data.extend_from_slice(message.get(at..to)?);
    Some(data.into())
}

impl Forward {
    /// Writes the reply to the client out of another server's answer that is `age` seconds old.
    pub fn complete(&self, stored: &Stored, age: u32, seed: u64, out: &mut Vec<u8>) {
        let alias = !self.aliases.is_empty();
        let mut reply = Reply::new(out, self.client.head(), 0);
        let denied = matches!(stored.rcode, rtype::NOERROR | rtype::NXDOMAIN);
        if alias && !denied || stored.rcode > 0xF {
            reply.set(RA);
            reply.rcode(rtype::SERVFAIL);
            reply.finish(0);
            return;
        }
        if alias {
            reply.set(AA | RA);
        } else {
            let ad = if self.client.wants_ad() { AD } else { 0 };
            reply.set(stored.flags & (AA | RA | ad));
            reply.rcode(stored.rcode);
        }
        write_chain(&mut reply, &self.aliases, self.ttl);
        let ttl = stored.ttl.saturating_sub(age);
        stored.write(&mut reply, ttl, alias, seed);
        if stored.is_truncated() {
            reply.truncated();
        }
        reply.finish(0);
    }

    /// Writes a reply without an answer: REFUSED when there is too much to do, SERVFAIL when no
    /// server is there.
    pub fn fail(&self, rcode: u16, out: &mut Vec<u8>) {
        let mut reply = Reply::new(out, self.client.head(), RA);
        reply.rcode(rcode);
        reply.finish(0);
    }
}

impl Stored {
    fn write(&self, reply: &mut Reply<'_>, ttl: u32, only_answer: bool, seed: u64) {
        let mut last: Option<(&Name, usize)> = None;
        for record in self.in_order(seed) {
            let answer = record.section == Section::Answer;
            if only_answer && !answer || reply.is_truncated() {
                continue;
            }
            let place = reply.position();
            let same = last.filter(|(name, _)| **name == record.owner);
            let owner = same.map_or(Owner::Name(&record.owner), |(_, at)| Owner::At(at));
            let fits = reply.record(record.section, owner, (record.rtype, ttl), |reply| {
                write_data(reply, record.rtype, &record.data);
            });
            // Without its authority a denial cannot be kept; but it is complete.
            if !fits && answer {
                reply.truncated();
            }
            if fits && same.is_none() {
                last = Some((&record.owner, place));
            }
        }
    }

    /// The records; the addresses of each section last, from a place that the seed chooses.
    fn in_order(&self, seed: u64) -> impl Iterator<Item = &Record> {
        let is_address = |record: &&Record| matches!(record.rtype, rtype::A | rtype::AAAA);
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        sections.into_iter().flat_map(move |section| {
            let here = self.records.iter().filter(move |r| r.section == section);
            let (addresses, others): (Vec<_>, Vec<_>) = here.partition(is_address);
            let length = u64::try_from(addresses.len()).unwrap_or(1).max(1);
            let place = usize::try_from(seed % length).unwrap_or(0);
            let rotated = addresses[place..].iter().chain(&addresses[..place]);
            let rotated: Vec<_> = rotated.copied().collect();
            others.into_iter().chain(rotated)
        })
    }
}

/// Writes data, its names compressed where RFC 1035 allows that.
fn write_data(reply: &mut Reply<'_>, rtype: u16, data: &[u8]) {
    let (before, names) = match rtype {
        rtype::NS | rtype::CNAME | rtype::PTR | rtype::SOA | rtype::MX => layout(rtype),
        _ => (0, 0),
    };
    let (head, mut rest) = data.split_at_checked(before).unwrap_or((data, &[]));
    reply.bytes(head);
    for _ in 0..names {
        let length = crate::name::uncompressed_length(rest).unwrap_or(0);
        let (name, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        reply.compressed(name);
        rest = tail;
    }
    reply.bytes(rest);
}

#[cfg(test)]
mod tests;
