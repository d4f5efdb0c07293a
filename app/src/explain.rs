//! `portolan explain`

use crate::cli::ExplainOptions;

/// Runs the command.
pub(crate) fn run(options: &ExplainOptions) -> anyhow::Result<()> {
    let _ = options.output;
    anyhow::bail!("not wired yet")
}
