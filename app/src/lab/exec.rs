//! `portolan lab exec`: a command in a machine of a running laboratory.

use super::state::{State, running};
use anyhow::{Context, bail};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where to run what.
#[derive(Args)]
pub(super) struct ExecOptions {
    /// Machine: node1, pod1, client, router, …
    #[arg(value_name = "NAME")]
    machine: String,
    /// Process number of the laboratory, when several run
    #[arg(long, value_name = "PID")]
    lab: Option<u32>,
    /// Command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Becomes the command; returns only when that failed.
pub(super) fn run(options: ExecOptions) -> anyhow::Result<()> {
    let lab = choose(running()?, options.lab)?;
    let Some(netns) = lab.machines.get(&options.machine) else {
        let names: Vec<&str> = lab.machines.keys().map(String::as_str).collect();
        bail!(
            "there is no machine {:?}; there are {}",
            options.machine,
            names.join(", ")
        );
    };
    let mut command = options.command.into_iter();
    let program = command.next().unwrap_or_default();
    let what = kernel::netns::Enter {
        user: lab
            .rootless
            .then(|| PathBuf::from(format!("/proc/{}/ns/user", lab.pid))),
        become_user: None,
        netns: netns.clone(),
        uts: None,
        resolv_conf: None,
        hosts: None,
        program,
        arguments: command.collect(),
    };
    Err(kernel::netns::enter(&what)).context(format!("cannot enter {}", options.machine))
}

fn choose(mut running: Vec<State>, wanted: Option<u32>) -> anyhow::Result<State> {
    let pids: Vec<String> = running.iter().map(|lab| lab.pid.to_string()).collect();
    if let Some(pid) = wanted {
        let found = running.into_iter().find(|lab| lab.pid == pid);
        return found.with_context(|| format!("--lab {pid}: no such laboratory runs"));
    }
    match (running.pop(), running.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => bail!("no laboratory runs; start one with `portolan lab`"),
        (Some(_), false) => bail!(
            "several laboratories run; choose one with --lab {}",
            pids.join(" or ")
        ),
    }
}
