//! What the Linux kernel does for us, over netlink and system calls: nf_tables, connection
//! tracking, network namespaces, links, addresses and routes, and BPF programs.
//!
//! **Boundary.** The only crate with `unsafe`. It applies and observes; it decides nothing.

pub mod bpf;
pub mod conntrack;
mod netlink;

pub use netlink::NetlinkError;
pub mod lab;
pub mod link;
pub mod memory;
pub mod netns;
pub mod nftables;
