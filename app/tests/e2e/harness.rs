//! Starts `portolan up` and drives it with the real kubectl, curl and dig.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for anything; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// One running server with ranges, ports and a data directory of its own.
pub(crate) struct Up {
    child: Child,
    dir: PathBuf,
    arguments: Vec<String>,
    /// Words before the program, which take rights away
    weaken: Vec<String>,
}

static NEXT: AtomicU8 = AtomicU8::new(0);

impl Up {
    /// Starts a server that keeps to its own part of 127.0.0.0/8.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let ranges = vec![
            format!("--service-cidr=127.{}.0.0/16", 100 + 2 * n),
            format!("--pod-cidr=127.{}.0.0/16", 101 + 2 * n),
        ];
        Self::begin(n, Vec::new(), ranges, arguments)
    }

    /// Starts a server with the ranges that it chooses itself: that goes through the kernel where
    /// network namespaces can be made, and is `None`, with the reason told, where they cannot.
    pub(crate) fn start_inside(arguments: &[&str]) -> Option<Self> {
        if let Err(why) = kernel::netns::may_create() {
            eprintln!("skipped: {why}");
            return None;
        }
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Some(Self::begin(n, Vec::new(), Vec::new(), arguments))
    }

    /// Starts a server with fewer rights, by these words before the program, with the ranges that
    /// it chooses.
    pub(crate) fn start_weak(weaken: &[&str], arguments: &[&str]) -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let weaken = weaken.iter().map(|word| (*word).to_owned()).collect();
        Self::begin(n, weaken, Vec::new(), arguments)
    }

    fn begin(n: u8, weaken: Vec<String>, mut all: Vec<String>, arguments: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("portolan-e2e-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        all.push(format!("--load-balancer-cidr=127.98.{n}.0/24"));
        all.push("--dns-upstream=127.0.0.1:9".to_owned());
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let child = spawn(&dir, &weaken, &all);
        let mut up = Self {
            child,
            dir,
            arguments: all,
            weaken,
        };
        up.wait_ready();
        up
    }

    fn wait_ready(&mut self) {
        let begin = Instant::now();
        while self.marker()["ready"] != Value::Bool(true) || self.marker()["pid"] != self.child.id()
        {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                panic!("portolan up ended with {status}");
            }
            assert!(begin.elapsed() < PATIENCE, "portolan up is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server at once, as a power cut would, and starts it again on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.restart_after(|| ());
    }

    /// The same, with something done while no server runs.
    pub(crate) fn restart_after(&mut self, between: impl FnOnce()) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
        between();
        self.child = spawn(&self.dir, &self.weaken, &self.arguments);
        self.wait_ready();
    }

    /// Ends the server in order and keeps its data.
    pub(crate) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        self.child.wait().expect("the server ends");
    }

    /// What the server says about itself.
    pub(crate) fn marker(&self) -> Value {
        let bytes = std::fs::read(self.dir.join("portolan.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Address and port of a listener: `api`, `dns`, `http` or `https`.
    pub(crate) fn address(&self, listener: &str) -> String {
        let marker = self.marker();
        let address = marker["listen"][listener].as_str();
        address
            .unwrap_or_else(|| panic!("no {listener} in {marker}"))
            .to_owned()
    }

    /// Port of a listener.
    pub(crate) fn port(&self, listener: &str) -> String {
        let address = self.address(listener);
        address.rsplit(':').next().expect("a port").to_owned()
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the child can be waited for")
            .is_none()
    }

    /// Runs kubectl with text on its standard input.
    pub(crate) fn kubectl_stdin(&self, arguments: &[&str], input: &str) -> Output {
        feed(self.kubectl_command().args(arguments), input)
    }

    /// kubectl for this server, to be run by the caller.
    pub(crate) fn kubectl_command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(self.dir.join("kubeconfig"))
            .env("HOME", &self.dir)
            .env_remove("KUBECONFIG");
        command
    }

    /// Runs kubectl and returns what it prints; it must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_stdin(arguments, "");
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// `kubectl apply` of a text; it must succeed.
    pub(crate) fn apply(&self, yaml: &str) -> String {
        let output = self.kubectl_stdin(&["apply", "-f", "-"], yaml);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// GET over HTTP through the Ingress: status and body.
    pub(crate) fn get(&self, host: &str, path: &str) -> (u16, String) {
        self.curl(&[
            "-H",
            &format!("Host: {host}"),
            &format!("http://{}{path}", self.address("http")),
        ])
    }

    /// Runs curl: status and body; 0 when there was no answer.
    pub(crate) fn curl(&self, arguments: &[&str]) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--max-time",
            "10",
            "--noproxy",
            "*",
            "-w",
            "\n%{http_code}",
        ]);
        let output = command.args(arguments).output().expect("curl is installed");
        let all = text(&output.stdout);
        let (body, status) = all.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }

    /// `dig +short` of a name and type, sorted.
    pub(crate) fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let output = Command::new("dig")
            .args([
                "@127.0.0.1",
                "-p",
                &self.port("dns"),
                "+short",
                "+tries=2",
                name,
                kind,
            ])
            .output()
            .expect("dig is installed: cargo xtask tools");
        let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                let _ = std::fs::remove_dir_all(&self.dir);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn spawn(dir: &Path, weaken: &[String], arguments: &[String]) -> Child {
    let program = env!("CARGO_BIN_EXE_portolan").to_owned();
    let mut words = weaken.iter().cloned().chain([program]);
    let mut command = Command::new(words.next().expect("the program at least"));
    command.args(words);
    command.args(["up", "--data-dir"]).arg(dir);
    for flag in [
        "--api-listen",
        "--dns-listen",
        "--http-listen",
        "--https-listen",
    ] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("portolan starts")
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs another `portolan` command: exit status and what it printed.
pub(crate) fn portolan(arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    let output = command.args(arguments).output().expect("portolan starts");
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Asks again until the answer is right.
///
/// # Panics
/// With the last answer, when it stays wrong.
pub(crate) fn eventually<T: std::fmt::Debug>(
    mut ask: impl FnMut() -> T,
    right: impl Fn(&T) -> bool,
) -> T {
    let begin = Instant::now();
    loop {
        let answer = ask();
        if right(&answer) {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "still {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The folder of examples.
pub(crate) fn examples(folder: &str) -> String {
    format!("{}/../examples/{folder}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs kubectl with text on its standard input.
pub(crate) fn feed(kubectl: &mut Command, input: &str) -> Output {
    kubectl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = kubectl
        .spawn()
        .expect("kubectl is installed: cargo xtask tools");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input.as_bytes()).expect("kubectl reads");
    drop(stdin);
    child.wait_with_output().expect("kubectl ends")
}
