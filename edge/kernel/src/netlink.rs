//! Netlink: messages out and in, their attributes, and a socket for them (`linux/netlink.h`).
//!
//! Reading is total: whatever the bytes are, it ends, never panics and never reads behind them.

mod error;
mod read;
mod socket;
#[cfg(test)]
mod tests;
mod write;

pub use error::NetlinkError;
pub(crate) use read::{Attr, Attrs, Message, Messages};
pub(crate) use socket::{Membership, Socket};
pub(crate) use write::Writer;
