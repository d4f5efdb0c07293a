//! `portolan run --cleanup`: nothing of ours stays on the node.

use crate::node::agent::TABLE;
use crate::node::dns::remove_address;
use anyhow::Context;
use kernel::nftables::Table;
use nft::Data;
use std::net::IpAddr;

/// Set of the addresses that DNS was served on.
const DNS_SET: &str = "dns-addresses";

/// Removes the table, and the addresses that it says were put on the loopback interface.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut table = Table::open(TABLE).context("netfilter")?;
    let present = table.read().context("the table cannot be read")?;
    let Some(present) = present else {
        eprintln!("Nothing to clean up.");
        return Ok(());
    };
    let sets = present
        .sets
        .iter()
        .filter(|(name, _)| name.trim_end_matches(['4', '6']) == DNS_SET);
    let keys = sets.flat_map(|(_, set)| set.elements.keys());
    let addresses: Vec<IpAddr> = keys.filter_map(address).collect();
    for address in &addresses {
        remove_address(*address)?;
    }
    table.delete().context("the table cannot be removed")?;
    eprintln!(
        "Removed the table inet {TABLE} with {} chains and {} sets, and {} addresses.",
        present.chains.len(),
        present.sets.len(),
        addresses.len()
    );
    Ok(())
}

fn address(key: &Data) -> Option<IpAddr> {
    let bytes = key.as_slice();
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
