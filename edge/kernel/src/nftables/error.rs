//! Why a transaction was not taken.

use super::decode;
use super::encode::Batch;
use super::wire::{LIST_ELEM, NFGENMSG, elem, rule};
use crate::netlink::{Attr, Messages, NetlinkError};
use nft::{Data, Op};
use std::io;

/// A transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A step cannot be said to any kernel.
    #[error("{object}: {reason}")]
    Unsupported {
        /// Index of the step
        op: usize,
        /// What it is about
        object: String,
        /// What is wrong with it
        reason: String,
    },
    /// The kernel refused a step.
    #[error("{object}: {}{}", io::Error::from_raw_os_error(*errno), hint(*errno, message))]
    Refused {
        /// Index of the step; `None` when the kernel refused the whole
        op: Option<usize>,
        /// What it is about, as exactly as the kernel says
        object: String,
        /// Error number, as in `errno.h`
        errno: i32,
        /// The kernel's own words, if it has any
        message: Option<String>,
    },
    /// Something changed since the given generation.
    #[error("the ruleset changed since generation {0}")]
    Changed(u32),
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

impl ApplyError {
    /// Index of the step that failed, if it was one.
    pub fn op(&self) -> Option<usize> {
        match self {
            Self::Unsupported { op, .. } => Some(*op),
            Self::Refused { op, .. } => *op,
            Self::Changed(_) | Self::Netlink(_) => None,
        }
    }

    pub(super) fn unsupported(index: usize, op: &Op, reason: String) -> Self {
        Self::Unsupported {
            op: index,
            object: object(op),
            reason,
        }
    }
}

/// The kernel's words, or what usually is the cause.
fn hint(errno: i32, message: &Option<String>) -> String {
    let cause = match (message, errno) {
        (Some(message), _) => message,
        (None, libc::EPERM) => "CAP_NET_ADMIN is missing in this network namespace",
        (None, libc::ENOENT) => "it, or something that it names, is not there",
        (None, libc::EEXIST) => "something else of that name or key is there",
        (None, libc::EBUSY) => "it is still in use, or there with another value",
        (None, libc::ENFILE) => "the set is full",
        (None, libc::EOPNOTSUPP) => "this kernel cannot do it here",
        _ => return String::new(),
    };
    format!(": {cause}")
}

/// What an operation is about, in words.
fn object(op: &Op) -> String {
    match op {
        Op::AddChain(name, _) | Op::FlushChain(name) | Op::DeleteChain(name) => {
            format!("chain {name}")
        }
        Op::AddSet(name, _) | Op::DeleteSet(name) => format!("set {name}"),
        Op::DeleteElements(name, _) | Op::AddElements(name, _) => format!("elements of set {name}"),
        Op::AddRule(name, rule) => match &rule.comment {
            Some(comment) => format!("rule {comment:?} of chain {name}"),
            None => format!("rule of chain {name}"),
        },
    }
}

/// The error of a batch, told about the operation that it belongs to.
pub(super) fn explain(
    error: NetlinkError,
    batch: &Batch,
    ops: &[Op],
    generation: Option<u32>,
) -> ApplyError {
    let NetlinkError::Refused {
        errno,
        message,
        offset,
        seq,
    } = error
    else {
        return error.into();
    };
    match (errno, generation) {
        (libc::ERESTART, Some(generation)) => return ApplyError::Changed(generation),
        (libc::ERESTART | libc::EAGAIN | libc::EINTR, _) => {
            return NetlinkError::from(io::Error::from_raw_os_error(errno)).into();
        }
        _ => {}
    }
    let place = seq.wrapping_sub(batch.first_seq()).checked_sub(1);
    let place = place.and_then(|place| batch.messages.get(place as usize));
    let op = place.and_then(|place| place.op);
    let detail = place.and_then(|place| detail(batch.message_at(*place), offset?));
    let object = match op.and_then(|op| ops.get(op)) {
        Some(op) => object(op) + &detail.unwrap_or_default(),
        None => "the table".to_owned(),
    };
    ApplyError::Refused {
        op,
        object,
        errno,
        message,
    }
}

/// The element or the step of a rule that stands at an offset of a message.
fn detail(bytes: &[u8], offset: u32) -> Option<String> {
    let message = Messages::new(bytes).next()?;
    let attrs = message.attrs(NFGENMSG);
    if let Some(list) = attrs
        .find(elem::ELEMENTS)
        .filter(|_| decode::about_elements(&message))
    {
        let (_, element) = at_offset(bytes, list, offset)?;
        let key: Data = decode::key(element.nested())?;
        return Some(format!(", the one with key {key:?}"));
    }
    let list = attrs.find(rule::EXPRESSIONS)?;
    let (index, step) = at_offset(bytes, list, offset)?;
    let name = step.nested().find(super::wire::expr::NAME)?.text()?;
    Some(format!(", step {} ({name})", index + 1))
}

/// The item of a list that stands at an offset of a message, and its index.
fn at_offset<'a>(message: &[u8], list: Attr<'a>, offset: u32) -> Option<(usize, Attr<'a>)> {
    let start = list.data.as_ptr() as usize - message.as_ptr() as usize;
    let wanted = (offset as usize).checked_sub(start)?;
    let mut at = 0;
    list.nested().enumerate().find_map(|(index, item)| {
        let begins = at;
        at += (item.data.len() + 4).next_multiple_of(4);
        (begins <= wanted && wanted < at && item.kind == LIST_ELEM).then_some((index, item))
    })
}
