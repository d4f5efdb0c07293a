//! Our own loads.

use super::cluster::{self, Size};
use super::stats::{Spread, median, millis, spread};
use crate::process;
use anyhow::{Context, Result};
use kernel::netns::Namespace;
use kernel::nftables::Table;
use model::{ChangedKeys, Event, Snapshot};
use proxy::kernel::{DetectLocal, NodeSettings, PART, RulesetPlanner};
use std::process::Command;
use std::time::{Duration, Instant};

/// What was measured of one size.
pub(super) struct Figures {
    /// From events to the kernel, in milliseconds
    pub(super) cold: f64,
    pub(super) cold_parts: Parts,
    /// Time on processors, of all threads
    pub(super) cold_cpu: f64,
    /// The same with everything in the kernel already
    pub(super) restart: f64,
    pub(super) restart_cpu: f64,
    /// In microseconds
    pub(super) added: Spread,
    pub(super) grown: Spread,
    pub(super) replaced: Spread,
    /// In megabytes
    pub(super) resident: f64,
}

/// Parts of a load in milliseconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) read: f64,
    pub(super) plan: f64,
    pub(super) kernel: f64,
    pub(super) cpu: f64,
}

impl Parts {
    fn sum(self) -> f64 {
        self.read + self.plan + self.kernel
    }
}

/// A node's proxy in the current namespace.
pub(super) struct Node {
    snapshot: Snapshot,
    planner: RulesetPlanner,
    table: Table,
    begun: bool,
}

impl Node {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            snapshot: Snapshot::default(),
            planner: RulesetPlanner::new(settings()?),
            table: Table::open("portolan")?,
            begun: false,
        })
    }

    /// Brings events into the kernel.
    pub(super) fn take(&mut self, events: &[Event]) -> Result<Parts> {
        let (begin, cpu) = (Instant::now(), cpu());
        let mut changed = ChangedKeys::default();
        self.snapshot.apply_all(events, &mut changed);
        let read = begin.elapsed();
        let (planner, snapshot) = (&mut self.planner, &self.snapshot);
        let planned = if std::mem::replace(&mut self.begun, true) {
            let update = planner.update(snapshot, &changed);
            let planned = begin.elapsed();
            self.table.apply(&update.transaction)?;
            planned
        } else {
            let (planned, done) = self.table.apply_while(|part| {
                let update = planner.first(snapshot, &changed, PART, part);
                part(update.transaction);
                begin.elapsed()
            });
            done?;
            planned
        };
        Ok(Parts {
            read: millis(read),
            plan: millis(planned - read),
            kernel: millis(begin.elapsed() - planned),
            cpu: self::cpu() - cpu,
        })
    }

    /// Starts with what is in the kernel and changes the difference.
    fn adopt(&mut self, events: &[Event]) -> Result<()> {
        let mut changed = ChangedKeys::default();
        self.snapshot.apply_all(events, &mut changed);
        self.planner.update(&self.snapshot, &changed);
        let present = self.table.read()?.unwrap_or_default();
        let steps = nft::diff(&self.planner.desired(), &present);
        // Sets that are too large to be read are made anew.
        if !steps.is_empty() {
            self.table.apply(&steps)?;
        }
        Ok(())
    }
}

fn settings() -> Result<NodeSettings> {
    let pods = "10.0.0.0/8".parse()?;
    Ok(NodeSettings {
        node_name: "node-0".to_owned(),
        detect_local: DetectLocal::Cidrs(vec![pods]),
        service_cidrs: vec!["10.96.0.0/12".parse()?],
        ..NodeSettings::default()
    })
}

pub(super) fn measure(size: Size, rounds: usize) -> Result<Figures> {
    let events = cluster::events(size).collect::<Result<Vec<_>>>()?;
    let mut parts = Vec::new();
    let (mut restarts, mut restart_cpus) = (Vec::new(), Vec::new());
    let mut single = Changes::default();
    for _ in 0..rounds {
        let inside = || -> Result<()> {
            let mut node = Node::new()?;
            parts.push(node.take(&events)?);
            changes(&mut node, size, &mut single)
        };
        Namespace::create()?.run(inside)??;
        let (time, cpu) = Namespace::create()?.run(|| restart(&events))??;
        restarts.push(time);
        restart_cpus.push(cpu);
    }
    parts.sort_by(|a, b| a.sum().total_cmp(&b.sum()));
    let middle = parts.get(parts.len() / 2).copied().unwrap_or_default();
    Ok(Figures {
        cold: middle.sum(),
        cold_parts: middle,
        cold_cpu: middle.cpu,
        restart: median(restarts),
        restart_cpu: median(restart_cpus),
        added: spread(&single.added),
        grown: spread(&single.grown),
        replaced: spread(&single.replaced),
        resident: resident_of_a_child(size)?,
    })
}

/// Time of a second start over a full table, and time on processors.
fn restart(events: &[Event]) -> Result<(f64, f64)> {
    Node::new()?.take(events)?;
    let (begin, cpu) = (Instant::now(), cpu());
    Node::new()?.adopt(events)?;
    Ok((millis(begin.elapsed()), self::cpu() - cpu))
}

/// Milliseconds that threads of this process spent on processors.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Times of single changes, one transaction each.
#[derive(Default)]
struct Changes {
    added: Vec<Duration>,
    grown: Vec<Duration>,
    replaced: Vec<Duration>,
}

fn changes(node: &mut Node, size: Size, times: &mut Changes) -> Result<()> {
    for number in 0..200 {
        let number = size.services + number;
        let events = [
            cluster::service(number)?,
            cluster::slice(size, number, None)?,
        ];
        let begin = Instant::now();
        node.take(&events)?;
        times.added.push(begin.elapsed());
    }
    for number in 0..200.min(size.services) {
        let event = cluster::grown(size, number)?;
        let begin = Instant::now();
        node.take(&[event])?;
        times.grown.push(begin.elapsed());
    }
    for number in 0..1000 {
        let service = (number * 7919) % size.services;
        let event = cluster::slice(size, service, Some(number))?;
        let begin = Instant::now();
        node.take(&[event])?;
        times.replaced.push(begin.elapsed());
    }
    Ok(())
}

/// Loads and asks for this process's memory in kilobytes. Events pass one by one, as from a watch.
pub(super) fn resident(size: Size) -> Result<u64> {
    let mut node = Node::new()?;
    let mut changed = ChangedKeys::default();
    for event in cluster::events(size) {
        node.snapshot.apply(&event?, &mut changed);
    }
    let update = node.planner.update(&node.snapshot, &changed);
    node.table.apply(&update.transaction)?;
    drop((changed, update));
    Ok(process::memory(std::process::id(), "VmRSS:")? / 1024)
}

fn resident_of_a_child(size: Size) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe()?);
    let size = format!("{}x{}", size.services, size.endpoints);
    let output = child.args(["proxy-memory", &size]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = || format!("proxy-memory: {}", String::from_utf8_lossy(&output.stderr));
    let kilobytes: f64 = text.trim().parse().with_context(failed)?;
    Ok(kilobytes / 1024.0)
}
