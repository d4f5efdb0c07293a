//! `portolan reset`

use crate::cli::ResetOptions;
use anyhow::{Context, bail};
use std::io::{BufRead, IsTerminal, Write};

/// Deletes the data directory, unless a server runs on it.
pub(crate) fn run(options: &ResetOptions) -> anyhow::Result<()> {
    let dir = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => crate::config::default_data_dir()?,
    };
    if !dir.exists() {
        println!("There is no data in {}.", dir.display());
        return Ok(());
    }
    if !dir.join(crate::marker::FILE).exists() {
        bail!(
            "{} was not made by `portolan up` (it has no {}): nothing is deleted",
            dir.display(),
            crate::marker::FILE
        );
    }
    let _lock = crate::up::lock(&dir)?;
    if !options.yes && !confirm(&format!("Delete {} and all objects in it?", dir.display()))? {
        bail!("nothing was deleted");
    }
    std::fs::remove_dir_all(&dir).with_context(|| format!("cannot delete {}", dir.display()))?;
    println!("Deleted {}.", dir.display());
    Ok(())
}

fn confirm(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("say --yes to delete without being asked");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
