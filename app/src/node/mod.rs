//! The service proxy of one node: what `portolan up` and `portolan run --role node` share.

pub(crate) mod agent;
pub(crate) mod metrics;
