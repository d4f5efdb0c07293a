//! For tests only: golden cases, objects out of YAML, free ports.
//!
//! A case is a file `x.yaml` of objects that kubectl could apply; what the code under test makes of
//! it stands beside it in `x.<extension>`. `UPDATE_GOLDEN=1 cargo test` rewrites those files.
#![forbid(unsafe_code)]

use model::{Event, EventKind, Object, Resource, Snapshot};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One golden case.
pub struct Case {
    /// File name without extension
    pub name: String,
    /// The YAML text
    pub yaml: String,
    path: PathBuf,
}

impl Case {
    /// The objects of the case, in order.
    pub fn objects(&self) -> Vec<Value> {
        documents(&self.yaml)
    }

    /// The case's objects as a Snapshot.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.yaml)
    }

    /// A further input beside the case, e.g. `x.ask` with the questions to put; `None` when it is
    /// not there.
    pub fn input(&self, extension: &str) -> Option<String> {
        fs::read_to_string(self.path.with_extension(extension)).ok()
    }
}

/// Runs `outputs` on every `*.yaml` of `dir` (relative to the crate under test) and compares each
/// (extension, text) it returns with the file beside the case.
///
/// # Panics
/// With all differences at once, or when there is no case at all.
pub fn run_cases(dir: &str, outputs: impl Fn(&Case) -> Vec<(&'static str, String)>) {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    let dir = Path::new(&root).join(dir);
    let rewrite = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differences = Vec::new();
    let cases = cases(&dir);
    assert!(!cases.is_empty(), "no case in {}", dir.display());
    for case in &cases {
        for (extension, got) in outputs(case) {
            let file = case.path.with_extension(extension);
            if rewrite {
                fs::write(&file, &got).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
                continue;
            }
            let want = fs::read_to_string(&file).unwrap_or_default();
            if want != got {
                differences.push(format!("{}:\n{}", file.display(), compare(&want, &got)));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of the golden files differ (UPDATE_GOLDEN=1 rewrites them):\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn cases(dir: &Path) -> Vec<Case> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| Case {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            yaml: fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            path,
        })
        .collect()
}

/// The lines that differ, `-` wanted and `+` got.
fn compare(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let mut out = String::new();
    for i in 0..want.len().max(got.len()) {
        let (w, g) = (want.get(i), got.get(i));
        if w != g {
            w.into_iter()
                .for_each(|line| out.push_str(&format!("  {:>4} - {line}\n", i + 1)));
            g.into_iter()
                .for_each(|line| out.push_str(&format!("  {:>4} + {line}\n", i + 1)));
        }
    }
    out
}

/// All documents of a YAML text; empty ones are left out and a `List` is opened.
///
/// # Panics
/// When the text is no YAML.
pub fn documents(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|e| panic!("{e}"));
    let mut out = Vec::new();
    for document in all {
        match document {
            Value::Null => {}
            Value::Object(mut map) if map.get("kind") == Some(&Value::from("List")) => {
                if let Some(Value::Array(items)) = map.remove("items") {
                    out.extend(items);
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// The resource of a built-in kind, for tests that have no schema at hand.
///
/// # Panics
/// When the kind is not known here.
pub fn resource_of(object: &Value) -> Resource {
    const VERSIONS: [&str; 14] = [
        "v1",
        "apps/v1",
        "batch/v1",
        "networking.k8s.io/v1",
        "discovery.k8s.io/v1",
        "coordination.k8s.io/v1",
        "policy/v1",
        "autoscaling/v2",
        "storage.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "node.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
        "admissionregistration.k8s.io/v1",
        "apiextensions.k8s.io/v1",
    ];
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut found = VERSIONS
        .iter()
        .filter_map(|version| Resource::of_kind(version, kind));
    match found.next() {
        Some((resource, _)) => resource,
        None => panic!("testkit knows no kind {kind:?}"),
    }
}

/// A stored object out of a value, under resourceVersion 1 when it has none.
///
/// # Panics
/// When the metadata is malformed.
pub fn object(value: &Value) -> Arc<Object> {
    let made = Object::from_value(resource_of(value), value);
    Arc::new(made.unwrap_or_else(|e| panic!("{value}: {e}")))
}

/// The event of an object that was changed, or is gone.
///
/// # Panics
/// When the metadata is malformed.
pub fn event(value: &Value, gone: bool) -> Event {
    let kind = if gone {
        EventKind::Deleted
    } else {
        EventKind::Modified
    };
    Event {
        kind,
        object: object(value),
        old: None,
    }
}

/// A Snapshot of the objects in a YAML text.
pub fn snapshot(yaml: &str) -> Snapshot {
    let objects: Vec<Arc<Object>> = documents(yaml).iter().map(object).collect();
    Snapshot::from_objects(&objects)
}
