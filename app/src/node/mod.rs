//! The service proxy of one node: what `portolan up` and `portolan run --role node` share.

mod addresses;
pub(crate) mod agent;
mod cleanup;
mod dns;
pub(crate) mod flags;
pub(crate) mod metrics;
pub(crate) mod run;
