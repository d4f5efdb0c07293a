//! `portolan lab` as users run it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn portolan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    portolan(arguments).output().expect("starts")
}

fn refused() -> bool {
    kernel::netns::may_create().is_err_and(|why| {
        eprintln!("skipped: {why}");
        true
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_runs_inside_and_gives_its_status() {
    if refused() {
        return;
    }
    let small = ["lab", "--nodes", "1", "--pods", "1", "--in", "pod1", "--"];
    let output = run(&[&small[..], &["cat", "/proc/net/fib_trie"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("10.244.1.17"),
        "it is the Pod's network"
    );
    let output = run(&[&small[..], &["sh", "-c", "exit 7"]].concat());
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn mistakes_are_named() {
    if refused() {
        return;
    }
    let output = run(&[
        "lab", "--nodes", "1", "--pods", "0", "--in", "pod9", "--", "true",
    ]);
    let said = text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("no such machine; there are node1, client, router"),
        "{said}"
    );
    let output = run(&["lab", "-f", "missing.yaml", "--", "true"]);
    assert!(
        text(&output.stderr).contains("missing.yaml"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_running_laboratory_is_entered_and_leaves_nothing() {
    if refused() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("portolan-lab-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("made");
    let inside = |arguments: &[&str]| {
        let mut command = portolan(arguments);
        command.env("XDG_RUNTIME_DIR", &dir);
        command
    };
    let mut lab = inside(&["lab", "--nodes", "1", "--pods", "1"]);
    let mut lab = lab.stdout(Stdio::piped()).spawn().expect("starts");
    let output = BufReader::new(lab.stdout.take().expect("piped"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("Service default/web: 10.96.0.10 fd00:96::a")));
    let seen = inside(&["lab", "exec", "node1", "--", "cat", "/proc/net/fib_trie"]);
    let seen = { seen }.output().expect("runs");
    assert!(
        text(&seen.stdout).contains("172.18.0.17"),
        "{}",
        text(&seen.stderr)
    );
    lab.kill().expect("killed");
    lab.wait().expect("ended");
    let gone = inside(&["lab", "exec", "node1", "--", "true"])
        .output()
        .expect("runs");
    assert!(
        text(&gone.stderr).contains("no laboratory runs"),
        "{}",
        text(&gone.stderr)
    );
    std::fs::remove_dir_all(&dir).expect("removed");
}
