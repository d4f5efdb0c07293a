//! The relay with real sockets; every test has loopback addresses of its own.

use crate::{Handover, Relay, Settings};
use model::{NamespacedName, Protocol};
use proxy::{Change, Changes, Frontend, Origin, Policy, Route};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(10);

fn frontend(ip: &str, port: u16, protocol: Protocol) -> Frontend {
    Frontend {
        address: ip.parse().unwrap(),
        protocol,
        port,
    }
}

fn route(backends: &[SocketAddr]) -> Route {
    Route {
        service: NamespacedName::new("dev", "web"),
        port_name: String::new(),
        field: "spec.ports[0].nodePort".to_owned(),
        origin: Origin::NodePort,
        policy: Policy::Cluster,
        backends: backends.to_vec(),
        affinity_seconds: None,
        source_ranges: None,
    }
}

fn open(relay: &Relay, frontend: Frontend, route: Route) {
    let route = Arc::new(route);
    let step = match relay.observed().contains_key(&frontend) {
        true => Change::Redirect(frontend, route),
        false => Change::Open(frontend, route),
    };
    relay.apply(&Changes::new(vec![step]));
}

/// A server that says its name and then echoes until the client is done.
async fn backend(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(name.as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.write_all(b"!").await;
            });
        }
    });
    at
}

async fn udp_backend(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let answer = [name.as_bytes(), &buffer[..length]].concat();
            let _ = socket.send_to(&answer, peer).await;
        }
    });
    at
}

/// A port on which nobody listens.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

async fn name(at: SocketAddr) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let mut name = [0; 1];
    stream.read_exact(&mut name).await.unwrap();
    String::from_utf8_lossy(&name).into_owned()
}

async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

#[tokio::test]
async fn connections_are_spread_and_each_end_is_passed_on() {
    let relay = Relay::start(Settings::default());
    let door = frontend("127.33.1.1", 8080, Protocol::Tcp);
    open(
        &relay,
        door,
        route(&[backend("a").await, backend("b").await]),
    );
    let at = door.socket();
    let names = [name(at).await, name(at).await, name(at).await];
    assert_eq!(names, ["a", "b", "a"]);
    // Half-close: the backend answers after the client has ended its side.
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "bhello!");
    eventually(async || {
        relay
            .metrics()
            .contains("portolan_relay_tcp_connections 0\n")
    })
    .await;
    assert!(
        relay
            .metrics()
            .contains("portolan_relay_tcp_connections_total 4\n")
    );
    relay.shutdown();
}

#[tokio::test]
async fn a_dead_backend_is_passed_over_and_without_any_clients_are_refused() {
    let relay = Relay::start(Settings::default());
    let door = frontend("127.33.2.1", 8080, Protocol::Tcp);
    open(&relay, door, route(&[dead().await, backend("b").await]));
    assert_eq!(name(door.socket()).await, "b");
    open(&relay, door, route(&[dead().await]));
    let mut stream = TcpStream::connect(door.socket()).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    open(&relay, door, route(&[]));
    let refused = async || {
        let result = TcpStream::connect(door.socket()).await;
        result.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    eventually(refused).await;
    assert_eq!(relay.problems(), []);
    open(&relay, door, route(&[backend("c").await]));
    assert_eq!(name(door.socket()).await, "c");
    relay.shutdown();
}

#[tokio::test]
async fn changes_touch_no_connection() {
    let relay = Relay::start(Settings::default());
    let (door, other) = (
        frontend("127.33.3.1", 8080, Protocol::Tcp),
        frontend("127.33.3.2", 8080, Protocol::Tcp),
    );
    open(&relay, door, route(&[backend("a").await]));
    open(&relay, other, route(&[backend("o").await]));
    let mut kept = TcpStream::connect(door.socket()).await.unwrap();
    let mut kept_other = TcpStream::connect(other.socket()).await.unwrap();
    let exchange = async |stream: &mut TcpStream, text: &str| {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    kept.read_u8().await.unwrap();
    kept_other.read_u8().await.unwrap();
    open(&relay, door, route(&[backend("b").await]));
    assert_eq!(name(door.socket()).await, "b");
    assert_eq!(exchange(&mut kept, "still").await, "still");
    relay.apply(&Changes::new(vec![Change::Close(door)]));
    assert_eq!(exchange(&mut kept, "here").await, "here");
    assert_eq!(exchange(&mut kept_other, "too").await, "too");
    assert_eq!(
        relay.observed().keys().copied().collect::<Vec<_>>(),
        [other]
    );
    relay.shutdown();
    assert_eq!(
        kept.read(&mut [0]).await.unwrap_or(0),
        0,
        "a shutdown ends them all"
    );
}

#[tokio::test]
async fn clients_keep_their_backend_over_all_frontends_of_a_port() {
    let relay = Relay::start(Settings::default());
    let doors = ["127.33.4.1", "127.33.4.2"].map(|ip| frontend(ip, 8080, Protocol::Tcp));
    let backends = [backend("a").await, backend("b").await];
    for door in doors {
        let affinity = Route {
            affinity_seconds: Some(600),
            ..route(&backends)
        };
        open(&relay, door, affinity);
    }
    let first = name(doors[0].socket()).await;
    for door in [doors[1], doors[0], doors[1]] {
        assert_eq!(name(door.socket()).await, first);
    }
    relay.shutdown();
}

#[tokio::test]
async fn strangers_are_reset_and_loopback_clients_keep_their_address() {
    let relay = Relay::start(Settings::default());
    let door = frontend("127.33.5.1", 8080, Protocol::Tcp);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let only = Route {
        source_ranges: Some(vec!["127.33.5.9/32".parse().unwrap()]),
        ..route(&[listener.local_addr().unwrap()])
    };
    open(&relay, door, only);
    let mut stranger = TcpStream::connect(door.socket()).await.unwrap();
    assert!(stranger.read_u8().await.is_err());
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.33.5.9:0".parse().unwrap()).unwrap();
    let _stream = socket.connect(door.socket()).await.unwrap();
    let (_accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_string(), "127.33.5.9");
    relay.shutdown();
}

#[tokio::test]
async fn datagrams_go_to_one_backend_per_client_and_back() {
    let relay = Relay::start(Settings {
        max_udp_sessions: 2,
        ..Settings::default()
    });
    let door = frontend("127.33.6.1", 8053, Protocol::Udp);
    open(
        &relay,
        door,
        route(&[udp_backend("a").await, udp_backend("b").await]),
    );
    let ask = async |socket: &UdpSocket, text: &str| {
        socket
            .send_to(text.as_bytes(), door.socket())
            .await
            .unwrap();
        let mut buffer = [0; 64];
        let answer = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
        let (length, from) = answer.unwrap().unwrap();
        assert_eq!(
            from,
            door.socket(),
            "the answer comes from where the question went"
        );
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let client = async || UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (one, two, three) = (client().await, client().await, client().await);
    assert_eq!(ask(&one, "1").await, "a1");
    assert_eq!(ask(&two, "2").await, "b2");
    assert_eq!(ask(&one, "3").await, "a3");
    assert_eq!(ask(&three, "4").await, "a4", "the longest silent made room");
    assert!(relay.metrics().contains("portolan_relay_udp_sessions 2\n"));
    // A backend that goes takes its clients along: the next datagram finds another one.
    open(&relay, door, route(&[udp_backend("c").await]));
    assert_eq!(ask(&one, "5").await, "c5");
    open(&relay, door, route(&[]));
    let refused = async || {
        let probe = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        probe.connect(door.socket()).await.unwrap();
        probe.send(b"x").await.unwrap();
        let mut buffer = [0; 8];
        let answer = tokio::time::timeout(Duration::from_millis(200), probe.recv(&mut buffer));
        matches!(answer.await, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
    };
    eventually(refused).await;
    relay.shutdown();
}

#[tokio::test]
async fn a_taken_port_is_told_and_taken_over_when_it_is_free() {
    let relay = Relay::start(Settings {
        retry: Duration::from_millis(20),
        ..Settings::default()
    });
    let taken = TcpListener::bind("127.33.7.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let door = frontend("127.33.7.1", port, Protocol::Tcp);
    open(&relay, door, route(&[backend("a").await]));
    let problems = relay.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].object.to_string(), "services/dev/web");
    assert_eq!(problems[0].field, "spec.ports[0].nodePort");
    assert_eq!(problems[0].reason, "PortTaken");
    drop(taken);
    eventually(async || relay.problems().is_empty()).await;
    assert_eq!(name(door.socket()).await, "a");
    relay.shutdown();
}

#[tokio::test]
async fn connections_are_bounded() {
    let relay = Relay::start(Settings {
        max_connections: 1,
        ..Settings::default()
    });
    let door = frontend("127.33.8.1", 8080, Protocol::Tcp);
    open(&relay, door, route(&[backend("a").await]));
    let mut first = TcpStream::connect(door.socket()).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(door.socket()).await.unwrap();
    assert!(second.read_u8().await.is_err());
    drop(first);
    eventually(async || {
        let mut next = TcpStream::connect(door.socket()).await.unwrap();
        next.read_u8().await.is_ok()
    })
    .await;
    relay.shutdown();
}

#[tokio::test]
async fn thousands_of_frontends_are_opened_and_closed() {
    let relay = Relay::start(Settings::default());
    let at = backend("a").await;
    let doors: Vec<Frontend> = (0..3000u16)
        .map(|n| {
            frontend(
                &format!("127.34.{}.{}", n / 250, n % 250 + 1),
                8080,
                Protocol::Tcp,
            )
        })
        .collect();
    let steps = doors
        .iter()
        .map(|door| Change::Open(*door, Arc::new(route(&[at]))));
    relay.apply(&Changes::new(steps.collect()));
    assert_eq!(relay.problems(), []);
    for door in [doors[0], doors[1499], doors[2999]] {
        assert_eq!(name(door.socket()).await, "a");
    }
    assert!(relay.metrics().contains("portolan_relay_listeners 3000\n"));
    relay.apply(&Changes::new(
        doors.into_iter().map(Change::Close).collect(),
    ));
    assert!(relay.metrics().contains("portolan_relay_listeners 0\n"));
    relay.shutdown();
}

#[tokio::test]
async fn another_data_path_chooses_for_what_is_handed_over() {
    let (tcp, udp) = (backend("i").await, udp_backend("inside ").await);
    let handover = Handover {
        known: Arc::new(move |frontend, _| match frontend.protocol {
            Protocol::Udp => udp,
            _ => tcp,
        }),
        sockets: Arc::new(|address, protocol| {
            let kind = match protocol {
                Protocol::Udp => socket2::Type::DGRAM,
                _ => socket2::Type::STREAM,
            };
            let domain = socket2::Domain::for_address(address);
            Ok(socket2::Socket::new(domain, kind, None)?.into())
        }),
    };
    let relay = Relay::start(Settings {
        handover: Some(handover),
        ..Settings::default()
    });
    // What the plan names as a backend only says that there is one.
    let nowhere = route(&["192.0.2.1:80".parse().unwrap()]);
    let door = frontend("127.33.31.1", 8080, Protocol::Tcp);
    open(&relay, door, nowhere.clone());
    assert_eq!(name(door.socket()).await, "i");
    let door = frontend("127.33.31.1", 8080, Protocol::Udp);
    open(&relay, door, nowhere);
    let client = UdpSocket::bind("127.33.31.2:0").await.unwrap();
    client.connect(door.socket()).await.unwrap();
    for question in ["a", "b"] {
        client.send(question.as_bytes()).await.unwrap();
        let mut buffer = [0; 64];
        let answer = tokio::time::timeout(PATIENCE, client.recv(&mut buffer));
        let length = answer.await.expect("in time").unwrap();
        assert_eq!(buffer[..length], *format!("inside {question}").as_bytes());
    }
    relay.shutdown();
}
