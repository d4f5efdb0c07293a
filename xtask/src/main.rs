//! `cargo xtask`: what a developer or CI runs besides `cargo` itself.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod clients;
mod fuzz;
mod recorded;
mod schema;
mod tools;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
cargo xtask test               install what the tests need, then run all of them
cargo xtask tools              install only the programs that tests drive (kubectl, helm)
cargo xtask check              rustfmt, clippy, documentation
cargo xtask bench api [--seconds N] [--only WORD]
                               measure a release build of the API server beside etcd
cargo xtask bench proxy [--sizes LIST] [--peer-limit N] [--rounds N] [--seconds N] [--only WORD]
                               measure a release build of the service proxy beside kube-proxy's
                               layout by nft, and beside kube-proxy itself where it is on PATH;
                               needs root
cargo xtask fuzz TARGET SECONDS
                               fuzz what reads bytes from the network: requests, patches, schemas, cel
cargo xtask recorded DIR       compare a running build with recorded answers of the real systems
cargo xtask schema --from DIR  write core/schema's data from the sources of k8s.io/api
                               (and of k8s.io/apimachinery beside it, or in --machinery DIR)";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", rest @ ..] => check::test(rest),
        ["tools"] => tools::install().map(|dir| println!("tools are in {}", dir.display())),
        ["check"] => check::style(),
        ["bench", "api", rest @ ..] => bench::api(rest),
        ["bench", "proxy", rest @ ..] => bench::proxy(rest),
        ["recorded", dir, rest @ ..] => recorded::run(Path::new(dir), rest),
        ["schema", "--from", dir] => schema::run(Path::new(dir), None),
        ["schema", "--from", dir, "--machinery", other] => {
            schema::run(Path::new(dir), Some(Path::new(other)))
        }
        ["fuzz", target, seconds] => fuzz::fuzz(target, seconds.parse()?),
        ["fuzz"] => bail!("cargo xtask fuzz {} SECONDS", fuzz::TARGETS.join("|")),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command {other:?}\n{USAGE}"),
    }
}

/// The workspace's root folder.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    let own = || root().join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(own, PathBuf::from)
}
