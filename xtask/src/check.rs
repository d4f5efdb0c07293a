//! Running cargo.

use crate::clients::Clients;
use crate::{root, tools};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Installs the tools and runs every test with them on PATH.
pub(crate) fn test(arguments: &[&str]) -> Result<()> {
    let tools = tools::install()?;
    let clients = Clients::install(&tools)?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--workspace"])
        .args(arguments)
        .current_dir(root());
    cargo.env("PATH", tools::path_with(&tools));
    clients.announce(&mut cargo);
    run(&mut cargo)
}

/// Formatting, lints and documentation, each without a warning.
pub(crate) fn style() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "clippy",
        "-q",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo(&["doc", "-q", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
