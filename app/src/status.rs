//! `portolan status`

use crate::cli::StatusOptions;

/// Runs the command.
pub(crate) fn run(options: &StatusOptions) -> anyhow::Result<()> {
    let _ = options.output;
    anyhow::bail!("not wired yet")
}
