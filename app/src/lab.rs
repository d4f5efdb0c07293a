//! `portolan lab`: a cluster's network in miniature, to try Services on real packets.
//!
//! Nodes, Pods and a client outside are network namespaces of this one process. Each node holds
//! the ruleset that a real node would. Nothing of it touches the host's own network, and nothing
//! is left when the process ends.

mod cluster;
mod exec;
mod show;
mod state;

use crate::config::parse_cidrs;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cluster::Cluster;
use kernel::lab::{Echo, Lab, Shape};
use kernel::netns;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// What to build, and what to run in it.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LabOptions {
    #[command(subcommand)]
    inside: Option<Inside>,
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(kernel::lab::MOST_NODES)))]
    nodes: u8,
    /// Number of Pods on each node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=i64::from(kernel::lab::MOST_PODS)))]
    pods: u8,
    /// Join the Pods of a node by a bridge instead of routes
    #[arg(long)]
    bridge: bool,
    /// File or directory of YAML with Services and EndpointSlices; may be given several times.
    /// Without it there is one Service `web` of all Pods
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    filename: Vec<PathBuf>,
    /// Ranges of Service addresses, at most one of each family
    #[arg(
        long,
        default_value = "10.96.0.0/16,fd00:96::/112",
        value_name = "CIDR[,CIDR]"
    )]
    service_cidr: String,
    /// Serve spec.externalIPs of Services
    #[arg(long)]
    external_ips: bool,
    /// Machine that COMMAND runs in
    #[arg(
        long = "in",
        default_value = "client",
        value_name = "NAME",
        requires = "command"
    )]
    machine: String,
    /// Run this in the laboratory and end with it, instead of waiting for Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Subcommand)]
enum Inside {
    /// Run a command in a machine of a laboratory that is running
    Exec(exec::ExecOptions),
}

/// Builds the laboratory, and keeps it until Ctrl-C or until the command ends.
pub(crate) fn run(options: LabOptions) -> anyhow::Result<()> {
    if let Some(Inside::Exec(options)) = options.inside {
        return exec::run(options);
    }
    let cidrs = parse_cidrs(&options.service_cidr, "service-cidr")?;
    let rootless = gain_rights()?;
    let shape = Shape {
        nodes: options.nodes,
        pods_per_node: options.pods,
        bridge: options.bridge,
    };
    let lab = Lab::build(shape).context("cannot build the laboratory")?;
    let cluster = Cluster::plan(&lab, &options.filename, cidrs.clone())?;
    let _echoes = serve(&lab, &cluster)?;
    let tables = cluster.program(&lab, options.external_ips)?;
    cluster.lead(&lab, &cidrs)?;
    if options.command.is_empty() {
        let state = state::publish(&lab, rootless)?;
        show::print(&lab, &cluster);
        wait_for_the_end()?;
        drop(state);
    } else {
        run_inside(&lab, &options.machine, &options.command)?;
    }
    drop(tables);
    Ok(())
}

/// Becomes root of a user namespace of our own unless we are it already; true when we did.
fn gain_rights() -> anyhow::Result<bool> {
    let rootless = !netns::has_rights();
    if rootless {
        netns::become_root()?;
    }
    netns::may_create()?;
    Ok(rootless)
}

/// A server in each Pod, on all ports that Services lead to.
fn serve(lab: &Lab, cluster: &Cluster) -> anyhow::Result<Vec<Echo>> {
    let ports = cluster.target_ports();
    let pods = lab.pods.iter();
    pods.map(|pod| Echo::start(&pod.machine, &ports).context("cannot serve in a Pod"))
        .collect()
}

fn run_inside(lab: &Lab, name: &str, command: &[OsString]) -> anyhow::Result<()> {
    let Some(machine) = lab.machine(name) else {
        bail!(
            "--in {name}: there is no such machine; there are {}",
            names(lab)
        );
    };
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program);
    child
        .arg("enter")
        .arg("--netns")
        .arg(machine.namespace.path());
    child.arg("--").args(command);
    let status = child.status().context("cannot start the command")?;
    match status.code() {
        Some(0) => Ok(()),
        // The command has said why.
        Some(code) => std::process::exit(code),
        None => bail!("the command ended by a signal"),
    }
}

fn names(lab: &Lab) -> String {
    let names: Vec<&str> = lab
        .machines()
        .map(|machine| machine.name.as_str())
        .collect();
    names.join(", ")
}

fn wait_for_the_end() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}
