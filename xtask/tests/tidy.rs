//! The house rules that a compiler does not hold: which crate may depend on which, that
//! ARCHITECTURE.md names every crate, and how large a file may be.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Core crates may depend on `model`, and on these.
const CORE_ARROWS: [(&str, &str); 10] = [
    ("proxy", "nft"),
    ("api", "access"),
    ("registry", "access"),
    ("schema", "cel"),
    ("registry", "cel"),
    ("registry", "schema"),
    ("api", "cel"),
    ("api", "schema"),
    ("api", "registry"),
    ("control", "registry"),
];

/// What no core crate may list.
const NOT_IN_CORE: [&str; 10] = [
    "tokio", "hyper", "socket2", "tracing", "log", "rand", "rustix", "redb", "rustls", "h2",
];

/// Lines in a source file, tests and generated data apart.
const FILE_LINES: usize = 800;

struct Crate {
    name: String,
    folder: String,
    dependencies: BTreeSet<String>,
}

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("xtask lies in the workspace")
        .to_owned()
}

fn crates() -> Vec<Crate> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let manifest = package["manifest_path"].as_str().expect("manifest_path");
    let folder = Path::new(manifest).parent().expect("folder");
    let folder = folder
        .strip_prefix(root())
        .expect("inside")
        .to_string_lossy()
        .into_owned();
    let normal = package["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter();
    let normal = normal.filter(|d| d["kind"].is_null());
    Crate {
        name: package["name"].as_str().expect("name").to_owned(),
        folder,
        dependencies: normal
            .map(|d| d["name"].as_str().expect("name").to_owned())
            .collect(),
    }
}

#[test]
fn arrows_point_the_way_the_design_says() {
    let crates = crates();
    let place: BTreeMap<&str, &str> = crates
        .iter()
        .map(|c| (c.name.as_str(), c.folder.as_str()))
        .collect();
    let mut wrong = Vec::new();
    for c in &crates {
        for to in &c.dependencies {
            if let Some(there) = place.get(to.as_str())
                && !arrow_allowed(c, to, there)
            {
                wrong.push(format!("{} → {to}", c.name));
            }
            if c.folder.starts_with("core/") && NOT_IN_CORE.contains(&to.as_str()) {
                wrong.push(format!("{} lists {to}", c.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn arrow_allowed(from: &Crate, to: &str, there: &str) -> bool {
    match from.folder.split('/').next() {
        Some("core") => {
            there.starts_with("core/")
                && (to == "model" || CORE_ARROWS.contains(&(from.name.as_str(), to)))
                && from.name != "model"
        }
        Some("edge") => there.starts_with("core/"),
        Some("app") => to != "testkit" && to != "xtask",
        Some("testkit") => to == "model",
        Some("benches") => there.starts_with("core/") || there.starts_with("edge/"),
        _ => false,
    }
}

#[test]
fn architecture_names_every_crate() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let folders = crates().into_iter().map(|c| c.folder);
    let missing: Vec<String> = folders
        .filter(|f| !text.contains(&format!("`{f}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not name {missing:?}"
    );
}

#[test]
fn folders_carry_the_names_of_their_crates() {
    for c in crates() {
        assert_eq!(
            c.folder.rsplit('/').next(),
            Some(c.name.as_str()),
            "{}",
            c.folder
        );
    }
}

#[test]
fn files_are_small_enough_to_live_in() {
    let mut long = Vec::new();
    for c in crates() {
        visit(&root().join(&c.folder).join("src"), &mut |path, text| {
            let lines = text
                .lines()
                .take_while(|line| *line != "mod tests {")
                .count();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            let exempt = text.starts_with("// tidy: long because ");
            if lines > FILE_LINES && !is_test && !exempt {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        });
    }
    assert!(long.is_empty(), "over {FILE_LINES} lines: {long:#?}");
}

fn visit(dir: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path, &std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
