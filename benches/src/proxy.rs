//! The service proxy: what it takes to load, restart and change a node's ruleset, in memory and
//! in time, beside the same Services in kube-proxy's layout; the whole agent beside a real
//! kube-proxy; and what connections through it cost.

mod agents;
mod churn;
mod cluster;
mod net;
mod ours;
mod peer;
mod stats;
mod traffic;

use crate::table::{self, Row};
use anyhow::{Result, anyhow, bail};
use cluster::Size;
use kernel::netns::{self, Namespace};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const USAGE: &str = "\
benches proxy [--portolan FILE] [--kube-proxy FILE] [--sizes LIST] [--peer-limit N] [--rounds N]
              [--seconds N] [--only WORD]
  --portolan FILE    the binary whose agent is run against its own API server; without it, no
                     agents are run
  --kube-proxy FILE  the peer of that agent, on the same API server; without it our agent's figures
                     stand alone
  --sizes LIST       Services x endpoints (1000x3,10000x3,100000x3,5000x50)
  --peer-limit N     most endpoints for which kube-proxy's layout is loaded too, and agents are
                     run (30000); that takes minutes there, and far longer beyond
  --rounds N         how often a load, or an agent's change, is measured; the median counts (3)
  --seconds N        how long traffic lasts (5)
  --only WORD        only load, agents, connect, throughput or churn";

/// What to run.
struct Options {
    portolan: Option<PathBuf>,
    kube_proxy: Option<PathBuf>,
    /// Whether kube-proxy's layout is loaded
    layout: bool,
    sizes: Vec<Size>,
    peer_limit: usize,
    rounds: usize,
    length: Duration,
    only: String,
}

impl Options {
    fn parse(arguments: &mut dyn Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            portolan: None,
            kube_proxy: None,
            layout: true,
            sizes: Vec::new(),
            peer_limit: 30_000,
            rounds: 3,
            length: Duration::from_secs(5),
            only: String::new(),
        };
        let mut sizes = "1000x3,10000x3,100000x3,5000x50".to_owned();
        while let Some(flag) = arguments.next() {
            let Some(value) = arguments.next() else {
                bail!("{flag} wants a value\n{USAGE}");
            };
            match flag.as_str() {
                "--portolan" => options.portolan = Some(value.into()),
                "--kube-proxy" => options.kube_proxy = Some(value.into()),
                "--sizes" => sizes = value,
                "--peer-limit" => options.peer_limit = value.parse()?,
                "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
                "--seconds" => options.length = Duration::from_secs(value.parse()?),
                "--only" => options.only = value,
                _ => bail!("unknown flag {flag}\n{USAGE}"),
            }
        }
        let sizes = sizes.split(',').map(str::parse);
        options.sizes = sizes.collect::<Result<_>>()?;
        Ok(options)
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || what.contains(&self.only)
    }
}

/// `benches proxy …`
pub(crate) fn run(arguments: &mut dyn Iterator<Item = String>) -> Result<()> {
    let mut options = Options::parse(arguments)?;
    if !has_nft() {
        eprintln!(
            "nft is not on PATH (Debian: nftables): neither kube-proxy's layout is loaded nor \
             kube-proxy run, our figures stand alone"
        );
        (options.layout, options.kube_proxy) = (false, None);
    }
    netns::may_create().map_err(|why| anyhow!("this bench needs network namespaces: {why}"))?;
    if options.wants("load") {
        for size in &options.sizes {
            loads(*size, &options)?;
        }
    }
    if options.wants("agents") {
        agents::measure(&options)?;
    }
    let mut rows = Vec::new();
    if options.wants("connect") || options.wants("throughput") {
        rows.extend(traffic::measure(&options)?);
    }
    if options.wants("churn") {
        rows.extend(churn::measure(&options)?);
    }
    if !rows.is_empty() {
        println!("\nTraffic through the proxy, 10000 Services loaded\n");
        table::print(&rows, "direct");
    }
    Ok(())
}

/// Whether there is what kube-proxy writes its rules by.
fn has_nft() -> bool {
    let mut nft = Command::new("nft");
    let nft = nft.arg("--version").stdout(Stdio::null());
    nft.stderr(Stdio::null()).status().is_ok()
}

/// `benches proxy-memory SIZE`: a process of its own, so that nothing else counts.
pub(crate) fn memory(arguments: &mut dyn Iterator<Item = String>) -> Result<()> {
    let size: Size = arguments.next().unwrap_or_default().parse()?;
    let kilobytes = Namespace::create()?.run(|| ours::resident(size))??;
    println!("{kilobytes}");
    Ok(())
}

fn loads(size: Size, options: &Options) -> Result<()> {
    let rounds = if size.total() > 100_000 {
        1
    } else {
        options.rounds
    };
    let ours = ours::measure(size, rounds)?;
    let peers = options.layout && size.total() <= options.peer_limit;
    let peer = peers.then(|| peer::measure(size)).transpose()?;
    let row = |what: &str, unit, ours, peer: Option<f64>| Row {
        what: what.to_owned(),
        unit,
        ours,
        peer,
        more: false,
    };
    let of = |field: fn(&peer::Figures) -> f64| peer.as_ref().map(field);
    let rows = [
        row("cold load", "ms", ours.cold, of(|peer| peer.cold)),
        row("  time on processors", "ms", ours.cold_cpu, None),
        row("  of which: read events", "ms", ours.cold_parts.read, None),
        row(
            "  of which: plan, as the kernel fills sets",
            "ms",
            ours.cold_parts.plan,
            None,
        ),
        row(
            "  of which: rest of the kernel",
            "ms",
            ours.cold_parts.kernel,
            None,
        ),
        row("restart", "ms", ours.restart, of(|peer| peer.restart)),
        row("  time on processors", "ms", ours.restart_cpu, None),
        row(
            "one Service added, p50",
            "µs",
            ours.added.p50,
            of(|peer| peer.added),
        ),
        row("one Service added, p99", "µs", ours.added.p99, None),
        row("one endpoint more, p50", "µs", ours.grown.p50, None),
        row("one endpoint more, p99", "µs", ours.grown.p99, None),
        row(
            "one endpoint replaced, p50",
            "µs",
            ours.replaced.p50,
            of(|peer| peer.replaced),
        ),
        row("one endpoint replaced, p99", "µs", ours.replaced.p99, None),
        row("resident memory", "MB", ours.resident, None),
    ];
    println!("\n{size}: Services x endpoints\n");
    table::print(&rows, "kube-proxy's layout");
    if let Some(peer) = &peer {
        let listing = peer.listing;
        println!(
            "kube-proxy lists its tables before each change, which took {listing:.0} ms more."
        );
    }
    Ok(())
}
