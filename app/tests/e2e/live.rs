//! Changes show in traffic without a restart and without a dropped connection.

use crate::harness::{Up, eventually, examples};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn one_request(stream: &mut TcpStream) -> String {
    let request = "GET / HTTP/1.1\r\nHost: app1.example.com\r\n\r\n";
    stream
        .write_all(request.as_bytes())
        .expect("the connection is open");
    let mut buffer = [0; 16 << 10];
    let mut got = Vec::new();
    loop {
        let n = stream.read(&mut buffer).expect("an answer");
        assert!(n > 0, "the connection was closed");
        got.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            let complete = length.map_or(body.ends_with("0\r\n\r\n"), |length: usize| {
                body.len() >= length
            });
            if complete {
                return text;
            }
        }
    }
}

#[test]
fn objects_change_under_an_open_connection() {
    let up = Up::start(&["-f", &examples("quickstart")]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    let mut stream = TcpStream::connect(up.address("http")).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    assert!(one_request(&mut stream).starts_with("HTTP/1.1 200"));

    up.kubectl(&[
        "annotate",
        "ingress",
        "ingress-host-based",
        "example.com/changed=yes",
    ]);
    up.kubectl(&["scale", "deployment", "app1", "--replicas=4"]);
    up.kubectl(&["rollout", "status", "deployment", "app1", "--timeout=60s"]);
    assert!(one_request(&mut stream).starts_with("HTTP/1.1 200"));
    up.kubectl(&["scale", "deployment", "app1", "--replicas=0"]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 503,
    );
    assert!(one_request(&mut stream).starts_with("HTTP/1.1 503"));
    up.kubectl(&["scale", "deployment", "app1", "--replicas=1"]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    assert!(one_request(&mut stream).starts_with("HTTP/1.1 200"));

    up.kubectl(&["delete", "ingress", "ingress-host-based"]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 404,
    );
    assert!(one_request(&mut stream).starts_with("HTTP/1.1 404"));
}

#[test]
fn a_rolling_update_loses_no_request() {
    let up = Up::start(&["-f", &examples("quickstart")]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    up.kubectl(&["rollout", "status", "deployment", "app1", "--timeout=60s"]);
    up.kubectl(&["rollout", "restart", "deployment", "app1"]);
    let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
    for _ in 0..150 {
        *statuses
            .entry(up.get("app1.example.com", "/").0)
            .or_default() += 1;
    }
    up.kubectl(&["rollout", "status", "deployment", "app1", "--timeout=60s"]);
    assert_eq!(
        statuses.keys().copied().collect::<Vec<_>>(),
        [200],
        "{statuses:?}"
    );
}
