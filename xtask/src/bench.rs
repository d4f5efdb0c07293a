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

/// Builds what measures, with the proxy in it, and runs that bench. The whole agent is built and
/// measured only where there is a kube-proxy to set beside it.
pub(crate) fn proxy(arguments: &[&str]) -> Result<()> {
    let kube_proxy = on_path("kube-proxy");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "benches"]);
    if kube_proxy.is_some() {
        build.args(["-p", "app"]);
    }
    run(build.current_dir(root()))?;
    let built = target_dir().join("release");
    let mut bench = Command::new(built.join("benches"));
    bench.arg("proxy");
    match kube_proxy {
        Some(kube_proxy) => {
            bench.arg("--portolan").arg(built.join("portolan"));
            bench.arg("--kube-proxy").arg(kube_proxy);
        }
        None => eprintln!(
            "kube-proxy is not on PATH: only its layout, by nft, stands beside our figures"
        ),
    }
    run(bench.args(arguments))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(name));
    found.find(|file| file.is_file())
}
