//! `portolan plan`

use crate::cli::PlanOptions;

/// Runs the command.
pub(crate) fn run(options: &PlanOptions) -> anyhow::Result<()> {
    let _ = options.output;
    anyhow::bail!("not wired yet")
}
