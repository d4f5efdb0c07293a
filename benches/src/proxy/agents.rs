//! Whole agents against an API server, each on a node of a laboratory: `portolan run --role node`
//! and a real kube-proxy.
//!
//! Traffic is the judge, for it is the same for both: a time ends when a connection to a Service's
//! address comes through to the endpoint that it should. What an agent says of itself in its
//! metrics stands beside it.

mod agent;
mod bed;

use super::Options;
use super::cluster::Size;
use super::stats::{median, millis};
use crate::table::{self, Row};
use agent::{Agent, Program, Syncs};
use anyhow::Result;
use bed::Bed;
use std::path::Path;
use std::time::Duration;

/// What was measured of one agent; times in milliseconds, memory in megabytes.
struct Figures {
    /// From the start of the process
    start: f64,
    start_sync: f64,
    start_cpu: f64,
    /// From the sending of the write
    replaced: f64,
    replaced_sync: f64,
    added: f64,
    added_sync: f64,
    /// From the start of a second process
    restart: f64,
    resident: f64,
    peak: f64,
}

/// Measures and prints each size that is not too large for kube-proxy.
pub(super) fn measure(options: &Options) -> Result<()> {
    let Some(portolan) = &options.portolan else {
        return Ok(());
    };
    if options.kube_proxy.is_none() {
        eprintln!("no kube-proxy to run: our agent's figures stand alone");
    }
    for size in &options.sizes {
        match size.total() <= options.peer_limit {
            true => both(*size, portolan, options)?,
            false => eprintln!("{size}: no agents are run, for --peer-limit is less"),
        }
    }
    Ok(())
}

fn both(size: Size, portolan: &Path, options: &Options) -> Result<()> {
    eprintln!("filling an API server with {size}...");
    let mut bed = Bed::build(portolan, size)?;
    let ours = one(&mut bed, 1, Program::Portolan(portolan), options)?;
    let theirs = options.kube_proxy.as_ref();
    let theirs = theirs.map(|binary| one(&mut bed, 2, Program::KubeProxy(binary), options));
    let theirs = theirs.transpose().unwrap_or_else(|error| {
        // A peer that does not work here takes nothing from our own figures.
        eprintln!("{size}: nothing of kube-proxy: {error:#}");
        None
    });
    print(size, &ours, theirs.as_ref());
    Ok(())
}

fn one(bed: &mut Bed, node: usize, program: Program<'_>, options: &Options) -> Result<Figures> {
    eprintln!("running {} on {size}...", program.name(), size = bed.size());
    let mut agent = Agent::new(bed, node, program);
    let start = agent.start()?;
    let first = agent.synced()?;
    let cpu = agent.process()?.cpu()?;
    agent.settle()?;
    let resident = agent.process()?.resident()?;
    let replaced = changes(&mut agent, options.rounds, Agent::replace)?;
    let added = changes(&mut agent, options.rounds, Agent::add)?;
    let peak = agent.process()?.peak()?;
    Ok(Figures {
        start: millis(start),
        start_sync: first.seconds * 1e3,
        start_cpu: millis(cpu),
        replaced: replaced.0,
        replaced_sync: replaced.1,
        added: added.0,
        added_sync: added.1,
        restart: millis(agent.restart()?),
        resident: resident as f64 / 1e6,
        peak: peak as f64 / 1e6,
    })
}

/// Medians of how long a change takes, and of the syncs of each.
fn changes<'a>(
    agent: &mut Agent<'a>,
    rounds: usize,
    change: fn(&mut Agent<'a>) -> Result<Duration>,
) -> Result<(f64, f64)> {
    let (mut times, mut syncs) = (Vec::new(), Vec::new());
    let mut before: Syncs = agent.settle()?;
    for _ in 0..rounds {
        times.push(millis(change(agent)?));
        // The next change begins at rest, so that none waits for the syncs of another.
        let after = agent.settle()?;
        syncs.push((after.seconds - before.seconds) * 1e3);
        before = after;
    }
    Ok((median(times), median(syncs)))
}

fn print(size: Size, ours: &Figures, theirs: Option<&Figures>) {
    let row = |what: &str, unit, of: fn(&Figures) -> f64| Row {
        what: what.to_owned(),
        unit,
        ours: of(ours),
        peer: theirs.map(of),
        more: false,
    };
    let rows = [
        row("process start to kernel", "ms", |all| all.start),
        row("  of which: first sync", "ms", |all| all.start_sync),
        row("  time on processors", "ms", |all| all.start_cpu),
        row("one endpoint replaced, write to kernel", "ms", |all| {
            all.replaced
        }),
        row("  of which: syncs", "ms", |all| all.replaced_sync),
        row("one Service added, write to kernel", "ms", |all| all.added),
        row("  of which: syncs", "ms", |all| all.added_sync),
        row("restart to a change made meanwhile", "ms", |all| {
            all.restart
        }),
        row("resident memory, loaded", "MB", |all| all.resident),
        row("resident memory, at most", "MB", |all| all.peak),
    ];
    println!("\n{size}: agents against an API server\n");
    table::print(&rows, "kube-proxy");
    println!(
        "To kernel: until a connection to the Service comes through to the right endpoint. Syncs: \
         kubeproxy_sync_proxy_rules_duration_seconds of IPv4, by the agent's own metrics.\nA \
         Service added is two writes; by default kube-proxy rests a second between two syncs."
    );
}
