//! Changes of a table by somebody else.

use super::decode;
use super::wire::{self, NFGENMSG, generation, msg};
use super::{RECEIVE_BUFFER, Table};
use crate::netlink::{Membership, Message, NetlinkError, Socket};
use nft::Name;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Most changes kept until they are asked for; more of them say nothing new.
const KEPT: usize = 16;

/// Somebody else changed the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Thread that did it: of a program with one thread, its process. `None` when the kernel told
    /// of more than there was room for, so that it is not known
    pub process: Option<u32>,
    /// Name of its program
    pub program: Option<String>,
    /// Whether the table was removed, as by a flush of the whole ruleset
    pub removed: bool,
}

/// Tells when somebody else changes a table. Transactions of the [`Table`] that it was made for
/// are not told.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    listening: Arc<Listening>,
    table: Name,
    /// What the transaction that is being read did
    reading: Option<Change>,
    found: VecDeque<Change>,
}

/// What a watch and its table share. While anybody listens, the kernel writes an event for each
/// element of a transaction, which takes it three times as long as the transaction itself: the
/// watch is deaf during large ones of its own table, and their number tells if there were others.
#[derive(Debug)]
pub(super) struct Listening {
    membership: Membership,
    /// Something happened while nobody listened
    missed: AtomicBool,
}

impl Listening {
    /// Does not listen from here on.
    pub(super) fn stop(&self) -> Result<(), NetlinkError> {
        self.membership.leave()
    }

    /// Listens again.
    pub(super) fn go_on(&self, missed: bool) -> Result<(), NetlinkError> {
        self.missed.fetch_or(missed, Ordering::Relaxed);
        self.membership.join()
    }
}

impl Watch {
    /// Watches the table. The current thread's network namespace must be the table's.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`.
    pub fn open(table: &mut Table) -> Result<Self, NetlinkError> {
        let socket = Socket::open(libc::NETLINK_NETFILTER)?;
        socket.set_buffers(0, RECEIVE_BUFFER);
        let listening = Arc::new(Listening {
            membership: socket.join(wire::GROUP, table.socket.port())?,
            missed: AtomicBool::new(false),
        });
        table.watched = Arc::downgrade(&listening);
        Ok(Self {
            socket,
            listening,
            table: table.name.clone(),
            reading: None,
            found: VecDeque::new(),
        })
    }

    /// The next change; waits for it at most `wait`, which may be zero. The descriptor of
    /// [`Watch::as_fd`] becomes readable when it is worth asking.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Change>, NetlinkError> {
        self.drain()?;
        if self.found.is_empty() && !wait.is_zero() {
            let until = Timespec::try_from(wait).ok();
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, until.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.drain()?;
        }
        Ok(self.found.pop_front())
    }

    fn drain(&mut self) -> Result<(), NetlinkError> {
        if self.listening.missed.swap(false, Ordering::Relaxed) {
            keep(&mut self.found, Change::default());
        }
        loop {
            let messages = match self.socket.receive(RecvFlags::DONTWAIT) {
                Ok(Some(messages)) => messages,
                Ok(None) => return Ok(()),
                Err(error) if error.errno() == Some(libc::ENOBUFS) => {
                    self.reading = None;
                    keep(&mut self.found, Change::default());
                    continue;
                }
                Err(error) => return Err(error),
            };
            for message in messages {
                read(&message, &self.table, &mut self.reading, &mut self.found);
            }
        }
    }
}

/// Takes in one event. Those of a transaction come together; the new generation ends them.
fn read(
    message: &Message<'_>,
    table: &str,
    reading: &mut Option<Change>,
    found: &mut VecDeque<Change>,
) {
    if message.kind != msg::NEWGEN {
        if decode::table_of(message) == Some(table) {
            let change = reading.get_or_insert_default();
            match message.kind {
                msg::DELTABLE => change.removed = true,
                msg::NEWTABLE => change.removed = false,
                _ => {}
            }
        }
        return;
    }
    if let Some(mut change) = reading.take() {
        let attrs = message.attrs(NFGENMSG);
        let process = attrs.find(generation::PROCESS_ID);
        let program = attrs.find(generation::PROCESS_NAME);
        change.process = process.and_then(|process| process.be32());
        change.program = program.and_then(|name| name.text().map(str::to_owned));
        keep(found, change);
    }
}

fn keep(found: &mut VecDeque<Change>, change: Change) {
    if found.len() == KEPT {
        found.pop_front();
    }
    found.push_back(change);
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
