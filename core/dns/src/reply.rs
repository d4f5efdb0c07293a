//! Writing a reply, within the client's limit.

use crate::name::{Name, uncompressed_length};
use crate::query::{CD, Edns, HEADER, QR, RD, TC};
use crate::rtype;

/// What we can take over UDP ourselves; small enough for every path (DNS flag day 2020).
pub(crate) const OUR_UDP_SIZE: u16 = 1232;
/// An OPT record without options.
const OPT_LENGTH: usize = 11;
/// Only offsets below this fit into a compression pointer.
const POINTER_MAX: usize = 0x3FFF;

/// Where a record's owner name is to be found.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'n> {
    /// It is the question's name
    Question,
    /// It was written at this offset before
    At(usize),
    /// It is written out, or as a pointer to an end of the question's name
    Name(&'n Name),
}

/// The sections of records, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Answer = 1,
    Authority = 2,
    Additional = 3,
}

/// A message under construction.
pub(crate) struct Reply<'o> {
    out: &'o mut Vec<u8>,
    /// Octets that records may fill up to
    limit: usize,
    counts: [u16; 4],
    flags: u16,
    edns: Option<Edns>,
    question_name: usize,
}

/// What of the request goes into the reply.
#[derive(Clone, Copy)]
pub(crate) struct Head<'q> {
    pub(crate) id: u16,
    /// Header flags as they came
    pub(crate) flags: u16,
    pub(crate) question: &'q [u8],
    pub(crate) edns: Option<Edns>,
    /// Most octets that the client takes
    pub(crate) limit: usize,
}

impl<'o> Reply<'o> {
    /// Begins a reply: header and question. `flags` are set beside QR, RD and CD.
    pub(crate) fn new(out: &'o mut Vec<u8>, head: Head<'_>, flags: u16) -> Self {
        out.clear();
        out.extend_from_slice(&[0; HEADER]);
        out.extend_from_slice(head.question);
        out[..2].copy_from_slice(&head.id.to_be_bytes());
        let reserved = head.edns.map_or(0, |_| OPT_LENGTH);
        // The operation code is answered with itself.
        let echoed = head.flags & (RD | CD | 0xF << 11);
        Self {
            out,
            limit: head.limit.saturating_sub(reserved),
            counts: [u16::from(!head.question.is_empty()), 0, 0, 0],
            flags: QR | echoed | flags,
            edns: head.edns,
            question_name: head.question.len().saturating_sub(4),
        }
    }

    /// Adds a record, or leaves the message as it was and says `false` when it would not fit.
    pub(crate) fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        (rtype, ttl): (u16, u32),
        data: impl FnOnce(&mut Self),
    ) -> bool {
        let start = self.out.len();
        match owner {
            Owner::Question => self.pointer(HEADER),
            Owner::At(at) if at <= POINTER_MAX => self.pointer(at),
            Owner::At(at) => {
                let length = self
                    .out
                    .get(at..)
                    .and_then(uncompressed_length)
                    .unwrap_or(0);
                self.out.extend_from_within(at..at + length);
            }
            Owner::Name(name) => self.compressed(name.as_wire()),
        }
        self.u16(rtype);
        self.u16(rtype::CLASS_IN);
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let length_at = self.out.len();
        self.u16(0);
        data(self);
        let length = self.out.len() - length_at - 2;
        let (Ok(length), true) = (u16::try_from(length), self.out.len() <= self.limit) else {
            self.out.truncate(start);
            return false;
        };
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        let count = &mut self.counts[section as usize];
        *count = count.saturating_add(1);
        true
    }

    /// Number of records in a section.
    pub(crate) fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Where the next octet goes.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    /// Says that the answer is not whole, so that the client asks again over TCP.
    pub(crate) fn truncated(&mut self) {
        self.flags |= TC;
    }

    /// See [`Reply::truncated`].
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    /// Sets header flags.
    pub(crate) fn set(&mut self, flags: u16) {
        self.flags |= flags;
    }

    /// Sets the response code.
    pub(crate) fn rcode(&mut self, rcode: u16) {
        self.flags = self.flags & !0xF | rcode & 0xF;
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn pointer(&mut self, at: usize) {
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        self.u16(0xC000 | at);
    }

    /// Writes a name, with a pointer where its end is an end of the question's name.
    pub(crate) fn compressed(&mut self, name: &[u8]) {
        let question = HEADER..HEADER + self.question_name;
        let mut at = 0;
        while name.get(at).is_some_and(|length| *length != 0) {
            let rest = &name[at..];
            let same = self.out[question.clone()].len().checked_sub(rest.len());
            let place = same.map(|skip| HEADER + skip).filter(|place| {
                let there = &self.out[*place..question.end];
                there.eq_ignore_ascii_case(rest)
                    && is_label_start(&self.out[question.clone()], place - HEADER)
            });
            if let Some(place) = place {
                self.out.extend_from_slice(&name[..at]);
                self.pointer(place);
                return;
            }
            at += usize::from(name[at]) + 1;
        }
        self.out.extend_from_slice(name);
    }

    /// Adds the OPT record if the client sent one, and the header. `extended` is a response code
    /// whose upper bits go into the OPT record.
    pub(crate) fn finish(mut self, extended: u16) {
        if let Some(edns) = self.edns {
            self.out.push(0);
            self.u16(rtype::OPT);
            self.u16(OUR_UDP_SIZE);
            let high = u8::try_from(extended >> 4 & 0xFF).unwrap_or(0);
            let flags = if edns.dnssec { 0x80 } else { 0 };
            self.out.extend_from_slice(&[high, 0, flags, 0, 0, 0]);
            self.counts[3] = self.counts[3].saturating_add(1);
        }
        self.out[2..4].copy_from_slice(&self.flags.to_be_bytes());
        for (index, count) in self.counts.into_iter().enumerate() {
            let at = 4 + 2 * index;
            self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }
}

/// Whether a label of the name begins at `at`; octets inside of labels may look like one.
fn is_label_start(name: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start < at {
        start += usize::from(name[start]) + 1;
    }
    start == at
}
