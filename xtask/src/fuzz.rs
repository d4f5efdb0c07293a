//! `cargo xtask fuzz`: coverage-guided fuzzing of what reads bytes from the network, with libFuzzer
//! on a stable compiler.

use crate::check::run;
use crate::{root, target_dir};
use anyhow::{Result, bail};
use std::process::Command;

/// What can be fuzzed: the programs in `fuzz/src/bin`.
pub(crate) const TARGETS: [&str; 4] = ["requests", "patches", "schemas", "cel"];

/// Counters at every edge and a look at every comparison, as libFuzzer wants them.
const INSTRUMENT: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Build scripts and procedural macros are not instrumented when the target is named.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const MEGABYTES: u32 = 2048;
/// A single input that takes longer is a finding.
const SLOWEST_SECONDS: u32 = 10;
const LONGEST_INPUT: u32 = 8192;

/// Fuzzes one target for so many seconds.
///
/// # Errors
/// When it finds something: the input is kept in `target/fuzz/findings`, and its path is told.
pub(crate) fn fuzz(target: &str, seconds: u64) -> Result<()> {
    if !TARGETS.contains(&target) {
        bail!(
            "there is no fuzz target {target:?}, only {}",
            TARGETS.join(", ")
        );
    }
    let folder = target_dir().join("fuzz");
    let (corpus, findings) = (folder.join("corpus").join(target), folder.join("findings"));
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&findings)?;
    run(Command::new("cargo")
        .args([
            "build",
            "-q",
            "--target",
            TARGET,
            "--bin",
            target,
            "--manifest-path",
        ])
        .arg(root().join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("RUSTFLAGS", INSTRUMENT))?;
    let program = folder.join("build").join(TARGET).join("debug").join(target);
    run(Command::new(program)
        .arg(&corpus)
        .arg(root().join("fuzz/seeds").join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOWEST_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEGABYTES}"))
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .arg(format!("-artifact_prefix={}/{target}-", findings.display()))
        .args(["-print_final_stats=1", "-verbosity=0"]))
}
