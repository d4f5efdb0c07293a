//! What a cluster keeps from start to start, and how it is reached from another network.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use apid::{Gate, Server, Settings, StartError};
use model::{Resource, View};
use std::net::TcpListener;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("apid-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn settings(folder: &PathBuf, ranges: &str) -> Settings {
    let ranges = ranges.split(',').map(|range| range.parse().unwrap());
    Settings::new(folder, "127.0.0.1:0".parse().unwrap(), ranges.collect())
}

#[tokio::test]
async fn service_ranges_never_change_silently() {
    let folder = folder("ranges");
    let first = Server::start(settings(&folder, "10.96.0.0/16")).await;
    first.unwrap().stop().await;
    for other in ["10.97.0.0/16", "10.96.0.0/16,fd00::/112"] {
        let started = Server::start(settings(&folder, other)).await;
        let Err(error @ StartError::ServiceRange { .. }) = started else {
            panic!("{other} is refused");
        };
        let told = error.to_string();
        assert!(told.contains("--service-cidr 10.96.0.0/16"), "{told}");
    }
    let again = Server::start(settings(&folder, "10.96.0.0/16")).await;
    again.unwrap().stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_gate_is_what_the_cluster_knows_the_server_by() {
    let folder = folder("gate");
    let listener = TcpListener::bind("127.0.0.9:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut settings = settings(&folder, "10.96.0.0/16");
    settings.gate = Some(Gate {
        listeners: vec![listener],
        address,
        kubeconfig: folder.join("inside"),
    });
    let server = Server::start(settings).await.unwrap();
    let endpoints = server
        .client()
        .get(Resource::ENDPOINTS, "default", "kubernetes");
    let endpoints = endpoints.unwrap().value();
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "127.0.0.9");
    assert_eq!(endpoints["subsets"][0]["ports"][0]["port"], address.port());
    let inside = std::fs::read_to_string(folder.join("inside")).unwrap();
    assert!(
        inside.contains(&format!("server: https://{address}\n")),
        "{inside}"
    );
    let outside = std::fs::read_to_string(server.kubeconfig()).unwrap();
    assert!(!outside.contains("127.0.0.9"), "{outside}");
    // It is served, and drops who does not speak TLS.
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let asked = std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n");
    asked.unwrap();
    let mut answer = Vec::new();
    let read = tokio::task::spawn_blocking(move || {
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        answer
    });
    assert!(!read.await.unwrap().starts_with(b"HTTP"));
    server.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}
