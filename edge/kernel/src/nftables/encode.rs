//! Transactions as one batch of messages.

mod check;
mod element;
mod expr;

pub(super) use check::check;
pub(super) use element::{data_value, verdict};

use super::types::{self, Lengths};
use super::userdata;
use super::wire::{self, chain, msg, rule, set, table};
use crate::netlink::{NetlinkError, Writer};
use nft::{Base, ChainKind, Hook, Name, Op, Rule, SetSpec, SetValue};

/// Bytes after which elements go on in another message: a list's length has 16 bits.
const LIST_BYTES: usize = 60 * 1024;
/// Bytes of what stands around the messages of a part.
const SLACK: usize = 1024;

/// Messages of a batch, ready to be sent, with what is needed to find the operation that one of
/// them belongs to.
#[derive(Debug, Default)]
pub(super) struct Batch {
    writer: Writer,
    table: String,
    seq: u32,
    /// Where each message between begin and end starts, and its operation; `None` for the table
    pub(super) messages: Vec<Place>,
    /// Where the message that ends the batch starts
    end_at: usize,
}

/// A part of a batch that is a batch itself.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) writer: Writer,
    /// Number of its last message before the end
    pub(super) last: u32,
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its first byte
    pub(super) at: usize,
    /// Index of its operation; `None` for the table's own message
    pub(super) op: Option<usize>,
}

impl Batch {
    /// Begins a batch whose messages are numbered from `seq`. With a generation, the kernel takes
    /// it only if nothing changed since.
    pub(super) fn begin(table: &str, seq: u32, generation: Option<u32>) -> Self {
        let mut batch = Self {
            table: table.to_owned(),
            seq,
            ..Self::default()
        };
        bracket(&mut batch.writer, msg::BATCH_BEGIN, seq, generation);
        batch.push(None, msg::NEWTABLE, libc::NLM_F_CREATE, |writer, name| {
            writer.text(table::NAME, name);
            writer.be32(table::FLAGS, 0);
        });
        batch
    }

    /// Number of the message that begins the batch.
    pub(super) fn first_seq(&self) -> u32 {
        self.seq.wrapping_sub(self.messages.len() as u32)
    }

    /// Number of the last message before the end.
    pub(super) fn last_seq(&self) -> u32 {
        self.seq
    }

    /// Ends the batch and gives all of it.
    pub(super) fn end(&mut self) -> Result<&[u8], NetlinkError> {
        if let Some(last) = self.messages.last() {
            self.writer.add_flags(last.at, libc::NLM_F_ACK);
        }
        let seq = self.seq.wrapping_add(1);
        self.end_at = self.writer.len();
        bracket(&mut self.writer, msg::BATCH_END, seq, None);
        self.writer.finish()
    }

    /// Removes the table with all that it holds.
    pub(super) fn delete_table(&mut self) {
        self.push(None, msg::DELTABLE, 0, |writer, name| {
            writer.text(table::NAME, name);
        });
    }

    /// Bytes from a message on.
    pub(super) fn message_at(&self, place: Place) -> &[u8] {
        self.writer.from(place.at)
    }

    /// Splits a batch into several that are at most `room` bytes long, if messages allow. All have
    /// the table's own message.
    pub(super) fn parts(&self, room: usize) -> Vec<Part> {
        let places = &self.messages;
        let mut parts = Vec::new();
        let mut next = 1;
        while next < places.len() {
            let start = next;
            let end_of = |index: usize| places.get(index + 1).map_or(self.end_at, |place| place.at);
            let fits = |last: usize| end_of(last) - places[start].at + SLACK <= room;
            next += 1;
            while next < places.len() && fits(next) {
                next += 1;
            }
            parts.push(self.part(start, next, end_of(next - 1)));
        }
        parts
    }

    /// Messages from `start` to before `next`, which ends at `end`, as a batch of their own.
    fn part(&self, start: usize, next: usize, end: usize) -> Part {
        let before = self.writer.from(0);
        let mut writer = Writer::default();
        // Begin, and the table's message.
        writer.put(&before[..self.messages.get(1).map_or(end, |place| place.at)]);
        let shift = self.messages[start].at - writer.len();
        writer.put(&before[self.messages[start].at..end]);
        writer.add_flags(self.messages[next - 1].at - shift, libc::NLM_F_ACK);
        let last = self.first_seq().wrapping_add(next as u32);
        bracket(&mut writer, msg::BATCH_END, last.wrapping_add(1), None);
        Part { writer, last }
    }

    fn push(
        &mut self,
        op: Option<usize>,
        kind: u16,
        flags: i32,
        fill: impl FnOnce(&mut Writer, &str),
    ) {
        self.seq = self.seq.wrapping_add(1);
        let at = self.writer.len();
        self.messages.push(Place { at, op });
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        let table = &self.table;
        self.writer.message(kind, flags, self.seq, |writer| {
            header(writer);
            fill(writer, table);
        });
    }

    /// Adds an operation, which [`check`] found good. `lengths` are those of the set that
    /// elements are about.
    pub(super) fn op(&mut self, index: usize, op: &Op, lengths: Option<Lengths>) {
        let new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let index = Some(index);
        match op {
            Op::AddChain(name, base) => self.push(index, msg::NEWCHAIN, new, |writer, table| {
                add_chain(writer, table, name, base.as_ref());
            }),
            Op::AddSet(name, spec) => {
                let id = self.seq;
                self.push(index, msg::NEWSET, new, |writer, table| {
                    add_set(writer, table, name, spec, id);
                });
            }
            Op::AddElements(name, elements) => {
                self.elements(index, msg::NEWSETELEM, name, elements, lengths);
            }
            Op::DeleteElements(name, elements) => {
                self.elements(index, msg::DELSETELEM, name, elements, lengths);
            }
            Op::FlushChain(name) => self.push(index, msg::DELRULE, 0, |writer, table| {
                writer.text(rule::TABLE, table);
                writer.text(rule::CHAIN, name);
            }),
            Op::AddRule(name, rule) => {
                let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
                self.push(index, msg::NEWRULE, flags, |writer, table| {
                    add_rule(writer, table, name, rule);
                });
            }
            Op::DeleteChain(name) => self.push(index, msg::DELCHAIN, 0, |writer, table| {
                writer.text(chain::TABLE, table);
                writer.text(chain::NAME, name);
            }),
            Op::DeleteSet(name) => self.push(index, msg::DELSET, 0, |writer, table| {
                writer.text(set::TABLE, table);
                writer.text(set::NAME, name);
            }),
        }
    }

    fn elements(
        &mut self,
        index: Option<usize>,
        kind: u16,
        set: &Name,
        elements: &[nft::Element],
        lengths: Option<Lengths>,
    ) {
        let lengths = lengths.unwrap_or_default();
        let flags = match kind {
            msg::NEWSETELEM => libc::NLM_F_CREATE,
            _ => 0,
        };
        let mut rest = elements;
        while !rest.is_empty() {
            self.push(index, kind, flags, |writer, table| {
                writer.text(wire::elem::TABLE, table);
                writer.text(wire::elem::SET, set);
                writer.nest(wire::elem::ELEMENTS, |writer| {
                    let start = writer.len();
                    while let [element, behind @ ..] = rest
                        && writer.len() - start < LIST_BYTES
                    {
                        element::element(writer, element, kind, lengths);
                        rest = behind;
                    }
                });
            });
        }
    }
}

/// Header of each message about the table.
pub(super) fn header(writer: &mut Writer) {
    writer.put(&[wire::NFPROTO_INET, 0, 0, 0]);
}

fn bracket(writer: &mut Writer, kind: u16, seq: u32, generation: Option<u32>) {
    writer.message(kind, libc::NLM_F_REQUEST as u16, seq, |writer| {
        let [high, low] = wire::SUBSYSTEM.to_be_bytes();
        writer.put(&[libc::AF_UNSPEC as u8, 0, high, low]);
        if let Some(generation) = generation {
            writer.be32(wire::BATCH_GENID, generation);
        }
    });
}

fn add_chain(writer: &mut Writer, table: &str, name: &str, base: Option<&Base>) {
    writer.text(chain::TABLE, table);
    writer.text(chain::NAME, name);
    let Some(base) = base else { return };
    writer.nest(chain::HOOK, |writer| {
        writer.be32(chain::HOOK_NUM, hook(base.hook));
        writer.be32(chain::HOOK_PRIORITY, base.priority as u32);
    });
    writer.be32(chain::POLICY, chain::ACCEPT);
    writer.text(chain::TYPE, kind(base.kind));
}

/// `enum nf_inet_hooks`
pub(super) fn hook(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    }
}

/// Name of a chain's type.
pub(super) fn kind(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
    }
}

fn add_rule(writer: &mut Writer, table: &str, chain: &str, rule: &Rule) {
    writer.text(rule::TABLE, table);
    writer.text(rule::CHAIN, chain);
    writer.nest(rule::EXPRESSIONS, |writer| {
        for step in &rule.exprs {
            writer.nest(wire::LIST_ELEM, |writer| expr::expr(writer, step));
        }
    });
    if let Some(comment) = &rule.comment {
        writer.attr(rule::USERDATA, &userdata::comment(comment));
    }
}

fn add_set(writer: &mut Writer, table: &str, name: &str, spec: &SetSpec, id: u32) {
    writer.text(set::TABLE, table);
    writer.text(set::NAME, name);
    writer.be32(set::FLAGS, set_flags(spec));
    writer.be32(set::KEY_TYPE, types::number(&spec.key));
    writer.be32(set::KEY_LEN, types::len(&spec.key));
    let data_order = match &spec.value {
        SetValue::None => None,
        SetValue::Verdict => {
            writer.be32(set::DATA_TYPE, set::TYPE_VERDICT);
            writer.be32(set::DATA_LEN, 0);
            None
        }
        SetValue::Fields(fields) => {
            writer.be32(set::DATA_TYPE, types::number(fields));
            writer.be32(set::DATA_LEN, types::len(fields));
            Some(types::byte_order(fields))
        }
    };
    if spec.size != 0 {
        writer.nest(set::DESC, |writer| {
            writer.be32(set::DESC_SIZE, spec.size);
        });
    }
    writer.be32(set::ID, id);
    if spec.timeout_ms != 0 {
        writer.be64(set::TIMEOUT, spec.timeout_ms);
    }
    let orders = userdata::byte_orders(types::byte_order(&spec.key), data_order);
    writer.attr(set::USERDATA, &orders);
    if spec.counters {
        writer.nest(set::EXPR, |writer| expr::expr(writer, &nft::Expr::Counter));
    }
}

fn set_flags(spec: &SetSpec) -> u32 {
    let flag = |holds: bool, flag: u32| if holds { flag } else { 0 };
    flag(spec.value != SetValue::None, set::F_MAP)
        | flag(spec.dynamic, set::F_EVAL)
        | flag(spec.dynamic || spec.timeout_ms != 0, set::F_TIMEOUT)
        | flag(spec.counters, set::F_EXPR)
}
