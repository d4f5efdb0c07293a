//! Programs written against other people's client libraries, run unchanged.

use crate::harness::{Up, eventually, text};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Where `cargo xtask test` has put the programs; `None` (with a word why) when it was not used.
fn program(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("PORTOLAN_TEST_CLIENTS") else {
        eprintln!("not run: {name} is built by cargo xtask test");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("not run: there is no {name}, since this machine lacks what builds it");
    None
}

fn start(up: &Up, command: &mut Command) -> Child {
    command
        .arg(up.dir().join("kubeconfig"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn succeeds(child: Child) {
    let output = child.wait_with_output().expect("the program ends");
    let (told, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}{failed}");
    assert!(told.ends_with("done\n"), "{told}{failed}");
}

#[test]
fn the_python_client_lists_watches_and_patches() {
    let Some(modules) = program("python") else {
        return;
    };
    let up = Up::start(&[]);
    let tour = format!(
        "{}/tests/clients/python/tour.py",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut python = Command::new("python3");
    python.arg(tour).env("PYTHONPATH", modules);
    succeeds(start(&up, &mut python));
}

#[test]
fn a_client_go_informer_leads_watches_and_records() {
    let Some(informer) = program("informer") else {
        return;
    };
    let up = Up::start(&[]);
    for name in ["a", "b", "last"] {
        up.apply(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{watch: 'yes'}}}}\n"
        ));
    }
    succeeds(start(&up, &mut Command::new(informer)));
    let seen = up.kubectl(&[
        "get",
        "configmaps",
        "-l",
        "example.com/seen=yes",
        "-o",
        "name",
    ]);
    assert!(seen.contains("configmap/last"), "{seen}");
    let holder = up.kubectl(&[
        "get",
        "lease",
        "informer",
        "-o",
        "jsonpath={.spec.leaseTransitions}",
    ]);
    assert!(!holder.is_empty(), "the Lease is there");
}

#[test]
fn a_kube_rs_controller_applies_and_finalizes() {
    let Some(controller) = program("controller") else {
        return;
    };
    let up = Up::start(&[]);
    let child = start(&up, &mut Command::new(controller));
    let page = |name: &str| {
        format!(
            "apiVersion: example.com/v1\nkind: Page\nmetadata: {{name: {name}}}\nspec: {{text: one two three}}\n"
        )
    };
    eventually(
        || {
            up.kubectl_stdin(
                &["apply", "-f", "-"],
                &(page("first") + "---\n" + &page("last")),
            )
        },
        |output| output.status.success(),
    );
    let words = || up.kubectl(&["get", "page", "last", "-o", "jsonpath={.status.words}"]);
    eventually(words, |words| words == "3");
    let shown = up.kubectl(&["get", "pg"]);
    assert!(shown.contains("WORDS"), "{shown}");
    assert_eq!(
        up.kubectl(&["get", "configmap", "last", "-o", "jsonpath={.data.text}"]),
        "one two three"
    );
    up.kubectl(&["delete", "page", "last", "--timeout=60s"]);
    succeeds(child);
    let gone = up.kubectl(&["get", "configmap", "last", "--ignore-not-found"]);
    assert_eq!(gone, "");
}
