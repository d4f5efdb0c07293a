//! One table of nf_tables, over netlink: read as a value, changed by transactions.
//!
//! ```text
//! Transaction ─encode─► one batch ─► kernel ─dump─► decode ─► Ruleset
//! ```
//!
//! **Invariants.** A transaction is taken as a whole or not at all. What was applied reads back
//! equal. Nothing outside the one table is touched.

mod decode;
mod encode;
mod error;
mod numbers;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod userdata;
mod watch;
mod wire;

pub use error::ApplyError;
pub use watch::{Change, Watch};

use crate::netlink::{NetlinkError, Socket};
use encode::Batch;
use nft::{Data, Name, Op, SetSpec, Transaction, Value};
use rustix::net::RecvFlags;
use std::collections::BTreeMap;
use std::sync::Weak;
use types::Lengths;
use watch::Listening;

/// Room for refusals of many messages, and for events.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Larger transactions are not listened to, for events cost more than they do.
const UNHEARD: usize = 500;
/// How often a batch is sent anew when the kernel asks for it.
const RETRIES: u32 = 10;

/// What a rule or an element counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets
    pub packets: u64,
    /// Bytes, with their headers from the IP header on
    pub bytes: u64,
}

/// An element of a dynamic set, as rules put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveElement {
    /// Key
    pub key: Data,
    /// Value
    pub value: Value,
    /// Milliseconds until it passes away; `None` for one that stays
    pub expires_ms: Option<u64>,
    /// What it counted, in sets whose elements count
    pub counter: Option<Counter>,
}

/// One table of the family `inet`, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Table {
    name: Name,
    socket: Socket,
    /// Specifications of the sets that are there, as far as known
    specs: BTreeMap<Name, SetSpec>,
    watched: Weak<Listening>,
}

impl Table {
    /// Opens the table of that name in the current thread's network namespace. It need not be
    /// there; the first transaction makes it.
    ///
    /// # Errors
    /// When the kernel has no netlink socket for netfilter.
    pub fn open(name: &str) -> Result<Self, NetlinkError> {
        let socket = Socket::open(libc::NETLINK_NETFILTER)?;
        socket.set_buffers(1 << 20, RECEIVE_BUFFER);
        Ok(Self {
            name: name.into(),
            socket,
            specs: BTreeMap::new(),
            watched: Weak::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of changes to any table of this namespace; each transaction adds one.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without nf_tables.
    pub fn generation(&mut self) -> Result<u32, NetlinkError> {
        read::generation(&mut self.socket)
    }

    /// Takes the steps, all or none. The table is made if it is missing.
    ///
    /// Where the right to large socket buffers is missing (`CAP_NET_ADMIN` of the first user
    /// namespace), a transaction of more than some hundred kilobytes is taken in parts, in order.
    ///
    /// # Errors
    /// [`ApplyError`] tells the step and the object that the kernel refused; then none is taken.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), ApplyError> {
        let done = self.apply_if(transaction, None);
        match done {
            Err(ApplyError::Refused {
                op: Some(op),
                errno: libc::EBUSY,
                ..
            }) if matches!(transaction.ops.get(op), Some(Op::DeleteChain(_))) => {
                self.apply_twice(transaction)
            }
            done => done,
        }
    }

    /// Kernels before 6.2 refuse to remove a chain together with the map elements that lead to
    /// it: there the removals follow in a transaction of their own.
    fn apply_twice(&mut self, transaction: &Transaction) -> Result<(), ApplyError> {
        let (first, removals) = transaction.clone().split_removals();
        self.apply_if(&first, None)?;
        self.apply_if(&removals, None)
    }

    /// The same, if the generation still is the given one.
    ///
    /// # Errors
    /// As [`Table::apply`]; [`ApplyError::Changed`] when it is not.
    pub fn apply_at(
        &mut self,
        transaction: &Transaction,
        generation: u32,
    ) -> Result<(), ApplyError> {
        self.apply_if(transaction, Some(generation))
    }

    fn apply_if(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<(), ApplyError> {
        if transaction.is_empty() {
            return Ok(());
        }
        let watched = self.watched.upgrade();
        let Some(watched) = watched.filter(|_| size(transaction) > UNHEARD) else {
            return self.apply_heard(transaction, generation);
        };
        let before = self.generation()?;
        watched.stop()?;
        let done = self.apply_heard(transaction, generation);
        let own = u32::from(done.is_ok());
        let after = self.generation();
        let missed = after.is_ok_and(|after| after.wrapping_sub(before) != own);
        watched.go_on(missed)?;
        done
    }

    fn apply_heard(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<(), ApplyError> {
        let lengths = self.lengths(&transaction.ops)?;
        for (index, (op, lengths)) in transaction.ops.iter().zip(&lengths).enumerate() {
            encode::check(op, *lengths)
                .map_err(|reason| ApplyError::unsupported(index, op, reason))?;
        }
        let ops = &transaction.ops;
        let mut tries = 0;
        loop {
            let batch = self.encode(ops, &lengths, generation);
            match self.send(batch, ops, generation) {
                Err(ApplyError::Netlink(error)) if asks_again(&error) && tries < RETRIES => {
                    tries += 1;
                }
                done => {
                    self.remember(ops, done.is_ok());
                    return done;
                }
            }
        }
    }

    fn encode(
        &mut self,
        ops: &[Op],
        lengths: &[Option<Lengths>],
        generation: Option<u32>,
    ) -> Batch {
        let seq = self.socket.next_seq();
        let mut batch = Batch::begin(&self.name, seq, generation);
        for (index, (op, lengths)) in ops.iter().zip(lengths).enumerate() {
            batch.op(index, op, *lengths);
        }
        batch
    }

    /// Lengths of the sets that each operation's elements go into.
    fn lengths(&mut self, ops: &[Op]) -> Result<Vec<Option<Lengths>>, NetlinkError> {
        let made: BTreeMap<&Name, &SetSpec> = ops
            .iter()
            .filter_map(|op| match op {
                Op::AddSet(name, spec) => Some((name, spec)),
                _ => None,
            })
            .collect();
        let changed = |op: &Op| match op {
            Op::AddElements(name, _) | Op::DeleteElements(name, _) => Some(name.clone()),
            _ => None,
        };
        let unknown = |name: Name| !made.contains_key(&name) && !self.specs.contains_key(&name);
        if ops.iter().filter_map(changed).any(unknown) {
            self.specs = read::specs(&mut self.socket, &self.name)?;
        }
        let of = |op: &Op| {
            let name = changed(op)?;
            // Elements are taken out of a set before another one of its name is made.
            let first = match op {
                Op::DeleteElements(..) => self.specs.get(&name),
                _ => made.get(&name).copied(),
            };
            let spec = first.or_else(|| made.get(&name).copied());
            spec.or_else(|| self.specs.get(&name)).map(Lengths::of)
        };
        Ok(ops.iter().map(of).collect())
    }

    /// Keeps the specifications of sets in step with what was done.
    fn remember(&mut self, ops: &[Op], done: bool) {
        if !done {
            self.specs.clear();
            return;
        }
        for op in ops {
            match op {
                Op::AddSet(name, spec) => {
                    self.specs.insert(name.clone(), spec.clone());
                }
                Op::DeleteSet(name) => {
                    self.specs.remove(name);
                }
                _ => {}
            }
        }
    }

    fn send(
        &mut self,
        mut batch: Batch,
        ops: &[Op],
        generation: Option<u32>,
    ) -> Result<(), ApplyError> {
        let bytes = batch.end()?;
        self.socket.make_room(bytes.len());
        let answer = match self.socket.send(bytes) {
            Ok(()) => self.outcome(batch.first_seq(), batch.last_seq()),
            Err(error) if error.errno() == Some(libc::EMSGSIZE) => self.send_parts(&batch),
            Err(error) => Err(error),
        };
        self.socket.advance(batch.last_seq().wrapping_add(1));
        answer.map_err(|error| error::explain(error, &batch, ops, generation))
    }

    /// Sends a batch that is too large for the socket in parts.
    fn send_parts(&mut self, batch: &Batch) -> Result<(), NetlinkError> {
        for part in batch.parts(self.socket.room()) {
            self.socket.send(part.writer.finish()?)?;
            self.outcome(batch.first_seq(), part.last)?;
        }
        Ok(())
    }

    /// Waits for the acknowledgement of a batch, by the numbers of its first and last message.
    fn outcome(&mut self, first: u32, last: u32) -> Result<(), NetlinkError> {
        let span = last.wrapping_sub(first);
        let mut refusal = None;
        loop {
            let Some(messages) = self.socket.receive(RecvFlags::empty())? else {
                continue;
            };
            for message in messages {
                let place = message.seq.wrapping_sub(first);
                if place > span || i32::from(message.kind) != libc::NLMSG_ERROR {
                    continue;
                }
                let refused = message.acknowledgement().err();
                // Whatever fails as a whole is told about the first message, and then nothing of
                // the last one.
                let ends = place == span || (place == 0 && refused.is_some());
                refusal = refusal.or(refused);
                if ends {
                    return refusal.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// Removes the table with all that it holds; it may be missing.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete(&mut self) -> Result<(), ApplyError> {
        self.specs.clear();
        let seq = self.socket.next_seq();
        // Made first, so that it can be removed in any case.
        let mut batch = Batch::begin(&self.name, seq, None);
        batch.delete_table();
        self.send(batch, &[], None)
    }
}

/// Number of the elements and objects that a transaction is about.
fn size(transaction: &Transaction) -> usize {
    let one = |op: &Op| match op {
        Op::AddElements(_, elements) | Op::DeleteElements(_, elements) => elements.len(),
        _ => 1,
    };
    transaction.ops.iter().map(one).sum()
}

/// Whether the kernel wants the same batch once more.
fn asks_again(error: &NetlinkError) -> bool {
    matches!(
        error.errno(),
        Some(libc::ERESTART | libc::EAGAIN | libc::EINTR)
    )
}
