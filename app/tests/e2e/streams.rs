//! What kubectl does with a Pod that runs: logs, exec, attach, cp, port-forward, proxy.

use crate::harness::{Up, eventually, text};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Stdio};

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: c
    image: portolan/echo
    ports: [{name: http, containerPort: 8080}]
    env: [{name: COLOR, value: blue}]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: shell, command: [sh, -c, 'echo one; echo two >&2; read line; echo got $line; sleep 600'], stdin: true}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: web, port: 80, targetPort: http}]}
"#;

/// Both ways that clients speak: WebSocket, and SPDY as older ones do.
const TRANSPORTS: [&str; 2] = ["true", "false"];

/// A client that is ended with the test.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Client {
    fn start(up: &Up, websockets: &str, arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let mut command = up.kubectl_command();
        command
            .args(arguments)
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)
            .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        let stdout = child.stdout.take().expect("stdout");
        (Self(child), BufReader::new(stdout))
    }

    /// Runs to the end: exit code, what it printed, and errors.
    fn run(up: &Up, websockets: &str, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
        let (mut client, mut stdout) = Self::start(up, websockets, arguments);
        let mut stdin = client.0.stdin.take().expect("stdin");
        let mut stderr = client.0.stderr.take().expect("stderr");
        let input = input.to_vec();
        let feeding = std::thread::spawn(move || stdin.write_all(&input));
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).expect("kubectl prints");
        let mut errors = Vec::new();
        stderr.read_to_end(&mut errors).expect("kubectl complains");
        // A command that reads nothing ends first.
        let _ = feeding.join();
        let status = client.0.wait().expect("kubectl ends");
        (status.code().unwrap_or(-1), printed, text(&errors))
    }
}

fn start() -> Up {
    let up = Up::start(&["--image", "shell=sh"]);
    up.apply(PODS);
    up.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod/web",
        "pod/talker",
        "--timeout=60s",
    ]);
    up
}

#[test]
fn exec_tells_codes_and_carries_everything() {
    let up = start();
    let big: Vec<u8> = (0..1_500_000u32).map(|n| (n % 251) as u8).collect();
    for websockets in TRANSPORTS {
        let run = |arguments: &[&str], input: &[u8]| Client::run(&up, websockets, arguments, input);
        let script = "echo $COLOR; echo wrong >&2; exit 3";
        let (code, printed, errors) = run(&["exec", "web", "--", "sh", "-c", script], b"");
        assert_eq!((code, text(&printed)), (3, "blue\n".to_owned()), "{errors}");
        assert!(errors.contains("wrong\n"), "{errors}");
        assert!(
            errors.contains("command terminated with exit code 3"),
            "{errors}"
        );

        let (code, printed, errors) = run(&["exec", "-i", "talker", "--", "cat"], &big);
        assert_eq!(code, 0, "{errors}");
        assert!(
            printed == big,
            "{} of {} bytes came back",
            printed.len(),
            big.len()
        );

        let (code, _, errors) = run(&["exec", "web", "--", "no-such-program"], b"");
        assert_eq!(code, 1);
        assert!(errors.contains("executable file not found"), "{errors}");

        let (code, _, errors) = run(&["exec", "web", "-c", "x", "--", "ls"], b"");
        assert_eq!(code, 1);
        assert!(
            errors.contains("container x is not valid for pod web"),
            "{errors}"
        );

        // A signal counts as shells count it; a terminal mixes both outputs.
        let (code, _, _) = run(&["exec", "web", "--", "sh", "-c", "kill -9 $$"], b"");
        assert_eq!(code, 137);
    }
}

#[test]
fn attach_reads_and_feeds_the_process_and_logs_follow_it() {
    let up = start();
    let (_follower, mut log) = Client::start(&up, "true", &["logs", "-f", "talker"]);
    let mut line = String::new();
    for _ in 0..2 {
        log.read_line(&mut line).expect("the log has lines");
    }
    let mut lines: Vec<&str> = line.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);

    let (mut attached, mut printed) = Client::start(&up, "true", &["attach", "-i", "talker"]);
    let stdin = attached.0.stdin.as_mut().expect("stdin");
    stdin.write_all(b"hello\n").expect("kubectl reads");
    let mut answer = String::new();
    printed.read_line(&mut answer).expect("the process answers");
    assert_eq!(answer, "got hello\n");
    let mut followed = String::new();
    log.read_line(&mut followed).expect("the log goes on");
    assert_eq!(followed, "got hello\n");
    assert_eq!(up.kubectl(&["logs", "talker", "--tail=1"]), "got hello\n");
    assert_eq!(up.kubectl(&["logs", "talker", "--limit-bytes=3"]).len(), 3);
    let timed = up.kubectl(&["logs", "talker", "--tail=1", "--timestamps"]);
    assert!(
        timed.starts_with("20") && timed.contains("Z got hello"),
        "{timed}"
    );
}

#[test]
fn files_are_copied_both_ways() {
    let up = start();
    let (from, there, back) = (
        up.dir().join("from"),
        up.dir().join("there"),
        up.dir().join("back"),
    );
    std::fs::create_dir_all(from.join("deep")).expect("a folder");
    std::fs::write(from.join("deep/file"), vec![7u8; 300_000]).expect("a file");
    let at = format!("web:{}", there.display());
    up.kubectl(&["cp", from.to_str().expect("a path"), &at]);
    up.kubectl(&["cp", &at, back.to_str().expect("a path")]);
    for folder in [there, back] {
        let copied = std::fs::read(folder.join("deep/file")).expect("the file is there");
        assert_eq!(copied, vec![7u8; 300_000]);
    }
}

#[test]
fn ports_are_forwarded() {
    let up = start();
    for websockets in TRANSPORTS {
        for target in ["pod/web", "service/web"] {
            let port = if target == "pod/web" { ":8080" } else { ":80" };
            let (_client, mut said) =
                Client::start(&up, websockets, &["port-forward", target, port]);
            let mut line = String::new();
            said.read_line(&mut line).expect("kubectl says where");
            let address = line
                .split(' ')
                .nth(2)
                .expect("Forwarding from ADDRESS -> 8080");
            for n in 0..5 {
                let (status, body) = up.curl(&[&format!("http://{address}/{n}"), "-d", "ahoy"]);
                assert_eq!(status, 200, "{target} {websockets}");
                assert!(body.contains("\"pod\":\"web\""), "{body}");
            }
        }
    }
    let (_client, mut said) = Client::start(&up, "true", &["port-forward", "pod/web", ":81"]);
    let mut line = String::new();
    said.read_line(&mut line).expect("kubectl says where");
    let address = line.split(' ').nth(2).expect("an address");
    // Nobody listens: the connection is closed without an answer.
    assert_eq!(up.curl(&[&format!("http://{address}/")]).0, 0);
}

#[test]
fn requests_pass_through_the_api_server() {
    let up = start();
    let get = |path: &str| {
        let path = format!("/api/v1/namespaces/default/{path}");
        let output = up.kubectl_stdin(&["get", "--raw", &path], "");
        text(&output.stdout) + &text(&output.stderr)
    };
    let body = eventually(
        || get("services/web:web/proxy/a//b?c=d"),
        |body| body.contains("\"pod\":\"web\""),
    );
    let seen: serde_json::Value = serde_json::from_str(&body).expect("echo answers JSON");
    assert_eq!(
        (&seen["path"], &seen["query"]),
        (&"/a/b".into(), &"c=d".into())
    );
    let uri = "/api/v1/namespaces/default/services/web:web/proxy/a/b";
    assert_eq!(seen["headers"]["x-forwarded-uri"], uri);
    assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
    for name in [
        "pods/web",
        "pods/web:8080",
        "pods/http:web:http",
        "services/web",
        "services/web:80",
    ] {
        // A Service whose port has a name is found by that name only.
        let wanted = if name == "services/web" {
            "no endpoints available for service"
        } else {
            "\"method\":\"GET\""
        };
        let body = get(&format!("{name}/proxy/"));
        assert!(body.contains(wanted), "{name}: {body}");
    }
    let refused = get("services/web:81/proxy/");
    assert!(
        refused.contains("no service port 81 found for service \"web\""),
        "{refused}"
    );
    let refused = get("pods/web:81/proxy/");
    assert!(
        refused.contains("error trying to reach service: dial tcp"),
        "{refused}"
    );
    assert!(get("pods/none/proxy/").contains("pods \"none\" not found"));
}
