//! Connection tracking: what the kernel remembers of connections, and making it forget.
//!
//! Entries are handed on one by one as they come, so that memory stays small however many there
//! are.

mod entry;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Tuple};

use crate::netlink::{NetlinkError, Socket, Writer};
use entry::{decode, write_filter, write_reply, write_tuple};

/// Message type of connection tracking: the subsystem in the upper byte.
const fn message(kind: u16) -> u16 {
    (1 << 8) | kind
}

/// `IPCTNL_MSG_CT_GET`
const GET: u16 = message(1);
/// `IPCTNL_MSG_CT_DELETE`
const DELETE: u16 = message(2);
/// `IPCTNL_MSG_CT_GET_STATS`
const GET_STATS: u16 = message(5);
/// `CTA_STATS_GLOBAL_ENTRIES`
const STATS_ENTRIES: u16 = 1;
/// Room for entries that wait to be read.
const RECEIVE_BUFFER: usize = 2 << 20;

/// Connection tracking of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Conntrack {
    reading: Socket,
    /// Entries are deleted while others are still read
    deleting: Socket,
}

/// What [`Conntrack::flush`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Entries that were deleted
    pub deleted: usize,
    /// Entries that were to be deleted and that the kernel would not delete
    pub refused: usize,
}

impl Conntrack {
    /// Opens connection tracking of the current thread's network namespace.
    ///
    /// # Errors
    /// When the kernel has no netlink socket for netfilter.
    pub fn open() -> Result<Self, NetlinkError> {
        let reading = Socket::open(libc::NETLINK_NETFILTER)?;
        reading.set_buffers(0, RECEIVE_BUFFER);
        let deleting = Socket::open(libc::NETLINK_NETFILTER)?;
        Ok(Self { reading, deleting })
    }

    /// Number of entries.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without connection tracking.
    pub fn count(&mut self) -> Result<u32, NetlinkError> {
        let mut count = 0;
        let header = |writer: &mut Writer| header(writer, 0);
        self.reading.ask(GET_STATS, 0, header, |message| {
            let entries = message.attrs(entry::NFGENMSG).find(STATS_ENTRIES);
            count = entries.and_then(|entries| entries.be32()).unwrap_or(count);
        })?;
        Ok(count)
    }

    /// Hands on all entries of an IP protocol, or of all, both families. An entry that comes or
    /// goes meanwhile may be missing or come twice.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without connection tracking.
    pub fn each(
        &mut self,
        protocol: Option<u8>,
        each: impl FnMut(&Entry),
    ) -> Result<(), NetlinkError> {
        dump(&mut self.reading, protocol, each)
    }

    /// The entry of the connection whose answers come so. With a translated destination it tells
    /// what the destination was before.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without connection tracking.
    pub fn find_reply(&mut self, reply: &Tuple) -> Result<Option<Entry>, NetlinkError> {
        let mut found = None;
        let fill = |writer: &mut Writer| {
            header(writer, family(reply));
            write_reply(writer, reply);
        };
        let asked = self.reading.ask(GET, 0, fill, |message| {
            found = decode(message).or(found);
        });
        match asked {
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
            asked => asked.map(|()| found),
        }
    }

    /// Deletes one entry. False when it is not there any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete(&mut self, entry: &Entry) -> Result<bool, NetlinkError> {
        delete(&mut self.deleting, entry)
    }

    /// Deletes the entries of an IP protocol, or of all, that match.
    ///
    /// # Errors
    /// When the kernel refuses to tell its entries. Single entries that it would not delete are
    /// counted.
    pub fn flush(
        &mut self,
        protocol: Option<u8>,
        mut matches: impl FnMut(&Entry) -> bool,
    ) -> Result<Flushed, NetlinkError> {
        let mut flushed = Flushed::default();
        let deleting = &mut self.deleting;
        dump(&mut self.reading, protocol, |entry| {
            if matches(entry) {
                match delete(deleting, entry) {
                    Ok(true) => flushed.deleted += 1,
                    Ok(false) => {}
                    Err(_) => flushed.refused += 1,
                }
            }
        })?;
        Ok(flushed)
    }
}

/// Header of each message.
fn header(writer: &mut Writer, family: u8) {
    writer.put(&[family, 0, 0, 0]);
}

fn dump(
    socket: &mut Socket,
    protocol: Option<u8>,
    mut each: impl FnMut(&Entry),
) -> Result<(), NetlinkError> {
    let wanted = |entry: &Entry| protocol.is_none_or(|wanted| entry.original.protocol == wanted);
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        let mut dump = |filter: Option<u8>| {
            let fill = |writer: &mut Writer| {
                header(writer, family);
                filter
                    .into_iter()
                    .for_each(|protocol| write_filter(writer, protocol));
            };
            socket.dump_once(GET, fill, |message| {
                if let Some(entry) = decode(message).filter(wanted) {
                    each(&entry);
                }
            })
        };
        match dump(protocol) {
            // Kernels before 5.8 know no filter.
            Err(NetlinkError::Refused { errno, .. })
                if protocol.is_some() && errno != libc::EPERM =>
            {
                dump(None)?
            }
            dumped => dumped?,
        };
    }
    Ok(())
}

fn family(tuple: &Tuple) -> u8 {
    match tuple.source.is_ipv4() {
        true => libc::AF_INET as u8,
        false => libc::AF_INET6 as u8,
    }
}

fn delete(socket: &mut Socket, entry: &Entry) -> Result<bool, NetlinkError> {
    let asked = socket.request(DELETE, 0, |writer| {
        header(writer, family(&entry.original));
        write_tuple(writer, &entry.original);
        // Without it, a new connection with the same addresses might be hit.
        writer.be32(entry::ID, entry.id);
        if entry.zone != 0 {
            writer.be16(entry::ZONE, entry.zone);
        }
    });
    match asked {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
