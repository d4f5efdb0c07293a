//! HTTP/1 towards clients.

pub(crate) mod parse;
mod serve;

pub(crate) use serve::{Peer, serve};
