//! `portolan run`: this node's part in a real cluster, from the command line to a session.

use crate::cli::LogOptions;
use crate::node::config::{self, InForce};
use crate::node::flags::RunOptions;
use crate::node::session::{Session, Setup};
use crate::node::{cleanup, limits};
use anyhow::{Context, bail};
use cluster::{Client, Config};
use std::path::Path;
use std::time::Duration;

/// Runs until it is told to stop.
pub(crate) fn run(options: &RunOptions, log: &LogOptions) -> anyhow::Result<()> {
    let in_force = config::read(&options.proxy)?;
    let mut log = log.clone();
    let verbosity = options
        .proxy
        .verbosity
        .map_or(in_force.config.verbosity, u32::from);
    if log.log_level == "warn" {
        // What a daemon says by default, and what kube-proxy's counting means.
        log.log_level = if verbosity > 3 { "debug" } else { "info" }.to_owned();
    }
    crate::logging::start(&log)?;
    if let Some(path) = &options.proxy.write_config_to {
        let written = std::fs::write(path, config::write(&in_force.config));
        return written.with_context(|| format!("cannot write {}", path.display()));
    }
    if options.proxy.cleanup {
        return cleanup::run();
    }
    // Threads that take turns need no pools of their own.
    kernel::memory::limit_pools(2);
    let node = node_name(&in_force)?;
    limits::conntrack(&in_force.config.conntrack);
    if options.proxy.init_only {
        return Ok(());
    }
    limits::oom_score(in_force.config.oom_score_adj);
    let client = client(options, &in_force)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let setup = Setup {
        options: options.clone(),
        in_force,
        node,
        client,
    };
    let result = runtime.block_on(serve(setup));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(setup: Setup) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(crate::up::told_to_stop()?);
    let mut session = Session::start(setup)?;
    let result = tokio::select! {
        result = session.run() => result,
        () = &mut stop => Ok(()),
    };
    session.stop().await;
    result
}

fn client(options: &RunOptions, in_force: &InForce) -> anyhow::Result<Client> {
    let named = &in_force.config.client.kubeconfig;
    let config = match (&options.kubeconfig, named.as_str()) {
        (Some(path), _) => Config::from_kubeconfig(path)?,
        (None, "") => Config::in_cluster()?,
        (None, path) => Config::from_kubeconfig(Path::new(path))?,
    };
    let config = match options
        .master
        .as_deref()
        .filter(|master| !master.is_empty())
    {
        Some(master) => config.with_server(master)?,
        None => config,
    };
    Ok(Client::new(
        config,
        concat!("portolan/", env!("CARGO_PKG_VERSION")),
    ))
}

fn node_name(in_force: &InForce) -> anyhow::Result<String> {
    let name = in_force.config.hostname_override.trim().to_lowercase();
    if !name.is_empty() {
        return Ok(name);
    }
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .trim()
        .to_lowercase();
    if name.is_empty() {
        bail!("the host has no name: give --hostname-override");
    }
    Ok(name)
}
