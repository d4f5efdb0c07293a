//! Why a request over netlink failed.

use crate::netlink::{Attrs, Message};
use std::io;

/// `NLM_F_CAPPED`: the refused message is not repeated behind its header.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes with details follow.
const ACK_TLVS: u16 = 0x200;
/// Bytes of a netlink header.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`
const ATTR_MSG: u16 = 1;
/// `NLMSGERR_ATTR_OFFS`
const ATTR_OFFS: u16 = 2;

/// A request over netlink failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused a message.
    #[error("the kernel refused: {}{}", io::Error::from_raw_os_error(*errno), Detail(message))]
    Refused {
        /// Error number, as in `errno.h`
        errno: i32,
        /// The kernel's own words (extended ack), if it has any
        message: Option<String>,
        /// Where in the message the trouble is, in bytes from its header, if the kernel says so
        offset: Option<u32>,
        /// Sequence number of the refused message
        seq: u32,
    },
    /// The answer changed while it was read, time and again.
    #[error("the kernel's tables changed while they were read, {0} times in a row")]
    Interrupted(u32),
    /// A message was to hold more than netlink can say: an attribute takes 65,535 bytes at most.
    #[error("a netlink attribute would exceed 65,535 bytes")]
    TooLong,
}

impl NetlinkError {
    /// Error number of a refusal or of the socket.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket(error) => error.raw_os_error(),
            Self::Refused { errno, .. } => Some(*errno),
            Self::Interrupted(_) | Self::TooLong => None,
        }
    }
}

impl From<rustix::io::Errno> for NetlinkError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Socket(error.into())
    }
}

struct Detail<'a>(&'a Option<String>);

impl std::fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl Message<'_> {
    /// What an `NLMSG_ERROR` message says: `Ok` for an acknowledgement.
    pub(crate) fn acknowledgement(&self) -> Result<(), NetlinkError> {
        let code = self.body.first_chunk();
        let code = code.map_or(-libc::EBADMSG, |bytes| i32::from_ne_bytes(*bytes));
        if code >= 0 {
            return Ok(());
        }
        let (mut text, mut offset) = (None, None);
        for attr in details(self) {
            match attr.kind {
                ATTR_MSG => text = attr.text().map(str::to_owned),
                ATTR_OFFS => offset = attr.u32(),
                _ => {}
            }
        }
        Err(NetlinkError::Refused {
            errno: code.saturating_neg(),
            message: text,
            offset,
            seq: self.seq,
        })
    }
}

fn details<'a>(message: &Message<'a>) -> Attrs<'a> {
    let repeated = message.body.get(4..).unwrap_or_default();
    let skipped = match message.flags {
        flags if flags & ACK_TLVS == 0 => usize::MAX,
        flags if flags & CAPPED != 0 => HEADER,
        _ => repeated.first_chunk().map_or(usize::MAX, |len| {
            (u32::from_ne_bytes(*len) as usize).next_multiple_of(4)
        }),
    };
    Attrs::new(repeated.get(skipped..).unwrap_or_default())
}
