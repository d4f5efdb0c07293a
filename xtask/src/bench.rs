//! Benches: release builds, the peer found on PATH, one run.

use crate::check::run;
use crate::{root, target_dir};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// Builds what is measured and what measures, and runs one bench.
pub(crate) fn api(arguments: &[&str]) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "app", "-p", "benches"]);
    run(build.current_dir(root()))?;
    let built = target_dir().join("release");
    let mut bench = Command::new(built.join("benches"));
    bench
        .arg("api")
        .arg("--portolan")
        .arg(built.join("portolan"));
    match on_path("etcd") {
        Some(etcd) => {
            bench.arg("--etcd").arg(etcd);
        }
        None => eprintln!("etcd is not on PATH (Debian: etcd-server): our figures stand alone"),
    }
    run(bench.args(arguments))
}

/// Builds what measures, with the proxy in it, and runs that bench.
pub(crate) fn proxy(arguments: &[&str]) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "benches"]);
    run(build.current_dir(root()))?;
    let mut bench = Command::new(target_dir().join("release/benches"));
    run(bench.arg("proxy").args(arguments))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(name));
    found.find(|file| file.is_file())
}
