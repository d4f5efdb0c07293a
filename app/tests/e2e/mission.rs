//! Every YAML of the document that the product implements, applied as a user would.

use crate::harness::{Up, eventually, examples, portolan};
use serde_json::Value;

fn apply(up: &Up, files: &[&str]) {
    for file in files {
        up.kubectl(&["apply", "-f", &format!("{}/{file}", examples("mission"))]);
    }
}

fn path_seen(body: &str) -> (String, String) {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let read = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    (read("pod"), read("path"))
}

#[test]
fn services_of_every_type() {
    let up = Up::start(&[]);
    apply(
        &up,
        &[
            "my-app.yaml",
            "service-clusterip.yaml",
            "service-nodeport.yaml",
            "service-loadbalancer.yaml",
            "service-headless.yaml",
            "service-externalname.yaml",
        ],
    );
    let field = |name: &str, path: &str| {
        up.kubectl(&[
            "get",
            "service",
            name,
            "-o",
            &format!("jsonpath={{{path}}}"),
        ])
    };
    let cluster_ip = field("my-app-svc", ".spec.clusterIP");
    assert_eq!(
        up.dig("my-app-svc.default.svc.cluster.local", "A"),
        [cluster_ip.as_str()]
    );
    assert_eq!(field("my-app-nodeport", ".spec.ports[0].nodePort"), "30080");
    let answers = |url: &str| {
        let (_, body) = eventually(|| up.curl(&[url]), |(status, _)| *status == 200);
        assert!(path_seen(&body).0.starts_with("my-app-"), "{url}: {body}");
    };
    answers("http://127.0.0.1:30080/");
    let balanced = eventually(
        || field("my-app-lb", ".status.loadBalancer.ingress[0].ip"),
        |address| !address.is_empty(),
    );
    if may_bind_port_80() {
        answers(&format!("http://{cluster_ip}/"));
        answers(&format!("http://{balanced}/"));
    }
    eventually(
        || up.dig("my-db.default.svc.cluster.local", "A"),
        |pods| pods.len() == 2,
    );
    assert_eq!(
        up.dig("my-external.default.svc.cluster.local", "CNAME"),
        ["db.example.com."]
    );
}

fn may_bind_port_80() -> bool {
    std::net::TcpListener::bind("127.99.99.99:80").is_ok()
}

#[test]
fn ingress_by_path_rewrites_and_by_host_routes() {
    let up = Up::start(&[]);
    apply(
        &up,
        &[
            "apps.yaml",
            "ingress-path-based.yaml",
            "ingress-host-based.yaml",
            "ingress-alb.yaml",
        ],
    );
    for app in ["app1", "app2"] {
        let (_, body) = eventually(
            || up.get("any.host", &format!("/{app}/deeper")),
            |(status, _)| *status == 200,
        );
        let (pod, path) = path_seen(&body);
        assert!(pod.starts_with(&format!("{app}-")), "{body}");
        assert_eq!(path, "/", "rewrite-target replaces the whole path");
        let host = format!("{app}.example.com");
        let (_, body) = eventually(|| up.get(&host, "/x"), |(status, _)| *status == 200);
        assert!(path_seen(&body).0.starts_with(&format!("{app}-")), "{body}");
    }
    let address = eventually(
        || {
            up.kubectl(&[
                "get",
                "ingress",
                "ingress-host-based",
                "-o",
                "jsonpath={.status.loadBalancer.ingress[0].ip}",
            ])
        },
        |address| !address.is_empty(),
    );
    assert_eq!(address, "127.0.0.1");

    let data = up.dir().display().to_string();
    eventually(
        || portolan(&["status", "--data-dir", &data]).1,
        |status| status.contains("ingress-alb") && status.contains("class"),
    );
}

#[test]
fn ingress_with_tls_redirects_and_serves_a_certificate() {
    let up = Up::start(&[]);
    apply(&up, &["apps.yaml", "ingress-tls.yaml"]);
    let host = "app1.example.com";
    eventually(|| up.get(host, "/x").0, |status| *status == 308);
    let port = up.port("https");
    let (status, body) = up.curl(&[
        "-k",
        "--resolve",
        &format!("{host}:{port}:127.0.0.1"),
        &format!("https://{host}:{port}/x"),
    ]);
    assert_eq!(status, 200, "{body}");
}
