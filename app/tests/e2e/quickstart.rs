//! What the README promises after its first command.

use crate::harness::{Up, eventually, examples};
use serde_json::Value;

fn pod_of(body: &str) -> String {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    answer["pod"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn quickstart_answers_through_ingress_service_and_names() {
    let up = Up::start(&["-f", &examples("quickstart")]);
    for (host, app) in [
        ("app1.example.com", "app1-"),
        ("app2.example.com", "app2-"),
        ("app1.localhost", "app1-"),
        ("app2.localhost", "app2-"),
    ] {
        let (_, body) = eventually(|| up.get(host, "/hello?x=1"), |(status, _)| *status == 200);
        assert!(pod_of(&body).starts_with(app), "{host}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("the echo answers JSON");
        assert_eq!(answer["path"], "/hello");
        assert_eq!(answer["host"], host);
        assert_eq!(answer["namespace"], "default");
    }
    assert_eq!(up.get("nobody.example.com", "/").0, 404);

    let cluster_ip = up.kubectl(&[
        "-n",
        "dev",
        "get",
        "service",
        "app1",
        "-o",
        "jsonpath={.spec.clusterIP}",
    ]);
    assert_eq!(
        up.dig("app1.dev.svc.cluster.local", "A"),
        [cluster_ip.as_str()]
    );
    let pods = eventually(
        || up.dig("db.dev.svc.cluster.local", "A"),
        |pods| pods.len() == 2,
    );
    let first = up.dig("db-0.db.dev.svc.cluster.local", "A");
    assert!(
        first.len() == 1 && pods.contains(&first[0]),
        "{first:?} of {pods:?}"
    );
    let srv = up.dig("_http._tcp.db.dev.svc.cluster.local", "SRV");
    assert!(
        srv.iter()
            .any(|line| line.ends_with("8080 db-0.db.dev.svc.cluster.local.")),
        "{srv:?}"
    );

    let (_, body) = eventually(
        || up.curl(&[&format!("http://{}:8080/direct", first[0])]),
        |(status, _)| *status == 200,
    );
    assert_eq!(pod_of(&body), "db-0");
}

#[test]
fn a_second_up_finds_its_state_again() {
    let mut up = Up::start(&["-f", &examples("quickstart")]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    let read = [
        "get",
        "service",
        "app1-svc",
        "-o",
        "jsonpath={.spec.clusterIP} {.metadata.uid}",
    ];
    let before = up.kubectl(&read);
    up.kill_and_restart();
    assert_eq!(up.kubectl(&read), before);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
}
