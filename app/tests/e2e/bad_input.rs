//! Nonsense from outside gets a refusal, and the process stays up.

use crate::harness::{Up, eventually, examples, text};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

#[test]
fn refuses_bad_objects_with_the_field_that_is_wrong() {
    let mut up = Up::start(&["--no-runner"]);
    for (yaml, want) in [
        ("a: [\n", "error"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n",
            "unknown field \"spec.prots\"",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: x}\n",
            "spec.ports",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: A_b}\nspec: {ports: [{port: 80}]}\n",
            "metadata.name",
        ),
        (
            "apiVersion: v1\nkind: Wrong\nmetadata: {name: a}\n",
            "Wrong",
        ),
    ] {
        let output = up.kubectl_stdin(&["apply", "-f", "-"], yaml);
        let errors = text(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(want),
            "{yaml}: {errors}"
        );
    }
    assert!(up.is_running());
}

#[test]
fn a_truncated_key_costs_its_host_the_certificate_and_nothing_else() {
    let up = Up::start(&["-f", &examples("quickstart")]);
    up.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: cut}\ntype: kubernetes.io/tls\nstringData:\n  \
         tls.crt: '-----BEGIN CERTIFICATE-----'\n  tls.key: '-----BEGIN PRIVATE KEY-----'\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: cut}\nspec:\n  \
         ingressClassName: nginx\n  tls: [{hosts: [cut.example.com], secretName: cut}]\n  rules:\n  \
         - host: cut.example.com\n    http:\n      paths:\n      \
         - {path: /, pathType: Prefix, backend: {service: {name: app1-svc, port: {number: 80}}}}\n",
    );
    let port = up.port("https");
    let at = format!("cut.example.com:{port}:127.0.0.1");
    let url = format!("https://cut.example.com:{port}/");
    eventually(
        || up.curl(&["-k", "--resolve", &at, &url]).0,
        |status| *status == 200,
    );
    let data = up.dir().display().to_string();
    let told = eventually(
        || crate::harness::portolan(&["status", "--data-dir", &data]).1,
        |status| status.contains("cut"),
    );
    assert!(told.contains("tls."), "{told}");
    assert_eq!(up.get("app1.example.com", "/").0, 200);
}

#[test]
fn survives_garbage_on_every_port() {
    let mut up = Up::start(&["-f", &examples("quickstart")]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    let dns = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    dns.connect(up.address("dns")).expect("a peer");
    for n in 0..200u32 {
        let length = 1 + (n as usize * 7) % 500;
        let garbage: Vec<u8> = (0..length as u32)
            .map(|i| (i.wrapping_mul(2654435761 + n) >> 13) as u8)
            .collect();
        dns.send(&garbage).expect("loopback takes it");
    }
    for listener in ["api", "http", "https", "dns"] {
        let mut stream = TcpStream::connect(up.address(listener)).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let _ = stream.write_all(&[0xff; 4096]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.take(1 << 20).read_to_end(&mut answer);
    }
    let huge = format!("X-Huge: {}", "x".repeat(1 << 20));
    let mut stream = TcpStream::connect(up.address("http")).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    let request = format!("GET / HTTP/1.1\r\nHost: app1.example.com\r\n{huge}\r\n\r\n");
    let _ = stream.write_all(request.as_bytes());
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).is_ok() {
        assert_eq!(&answer[9..10], b"4", "{}", text(&answer));
    }
    assert!(up.is_running());
    assert_eq!(up.get("app1.example.com", "/").0, 200);
    assert_eq!(up.dig("app1.dev.svc.cluster.local", "A").len(), 1);
}
