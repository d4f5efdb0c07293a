//! The server over real sockets on loopback, with an upstream of this test's own.

use arc_swap::ArcSwap;
use dns::{Key, Name, Zone, describe, rtype, upstream_query};
use dnsd::{Server, Settings};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const OBJECTS: &str = "
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
---
kind: Service
metadata: {name: out, namespace: shop}
spec: {type: ExternalName, externalName: one.test}
";

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn key(name: &str) -> Key {
    Key {
        name: Name::parse(name).expect("a name"),
        qtype: rtype::A,
        dnssec: false,
        checking_disabled: false,
    }
}

fn question(name: &str, id: u16) -> Vec<u8> {
    upstream_query(&key(name), id, false)
}

fn start(upstream: SocketAddr) -> Server {
    let mut settings = Settings::new(vec![loopback()], vec![upstream]);
    settings.probe_loops = false;
    settings.max_concurrent = 3;
    settings.tcp_connections = 2;
    start_with(&settings)
}

fn start_with(settings: &Settings) -> Server {
    let zone = Zone::build(dns::Settings::new(1), &testkit::snapshot(OBJECTS));
    Server::start(settings, Arc::new(ArcSwap::from_pointee(zone))).expect("starts")
}

/// Sends one datagram and describes the reply, or says that there was none.
async fn ask(server: SocketAddr, message: &[u8]) -> String {
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    socket.send_to(message, server).await.expect("sends");
    let mut buffer = [0; 4096];
    let reply = tokio::time::timeout(Duration::from_secs(6), socket.recv(&mut buffer)).await;
    match reply {
        Ok(Ok(length)) => describe(&buffer[..length]),
        _ => "no reply".to_owned(),
    }
}

async fn frame(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("fits").to_be_bytes();
    let frame = [&length, message].concat();
    stream.write_all(&frame).await.expect("writes");
}

async fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Another server: `slow.test` is answered after a while, `cut.test` only over TCP, `old.test`
/// only without EDNS, `silent.test` never. The last octet of an address counts the questions.
struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, u8>>>,
}

impl Upstream {
    async fn start() -> Self {
        let udp = UdpSocket::bind(loopback()).await.expect("binds");
        let address = udp.local_addr().expect("has one");
        let tcp = TcpListener::bind(address).await.expect("binds");
        let asked: Arc<Mutex<HashMap<String, u8>>> = Arc::default();
        let udp = Arc::new(udp);
        let counts = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
                let message = buffer[..length].to_vec();
                let (udp, counts) = (udp.clone(), counts.clone());
                tokio::spawn(async move {
                    // Someone else's answer comes first, and is not believed.
                    let mut foreign = reply(&message, 66, false);
                    foreign[0] ^= 1;
                    let _ = udp.send_to(&foreign, peer).await;
                    if let Some(reply) = Self::answer(&message, false, &counts).await {
                        let _ = udp.send_to(&reply, peer).await;
                    }
                });
            }
        });
        let counts = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let message = read_frame(&mut stream).await.expect("a question");
                if let Some(reply) = Self::answer(&message, true, &counts).await {
                    frame(&mut stream, &reply).await;
                }
            }
        });
        Self { address, asked }
    }

    async fn answer(
        message: &[u8],
        tcp: bool,
        counts: &Mutex<HashMap<String, u8>>,
    ) -> Option<Vec<u8>> {
        let text = describe(message);
        let name = text
            .lines()
            .find(|line| line.starts_with(';') && line.ends_with(" A"))?;
        let name = name
            .trim_start_matches(';')
            .trim_end_matches(" IN A")
            .to_owned();
        let count = {
            let mut counts = counts.lock().expect("not poisoned");
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            *count
        };
        let mut reply = reply(message, count, name == "cut.test." && !tcp);
        match name.as_str() {
            "slow.test." => tokio::time::sleep(Duration::from_millis(200)).await,
            "silent.test." => return None,
            "old.test." if message[11] == 1 => reply[3] |= 1,
            _ => {}
        }
        Some(reply)
    }

    fn count(&self, name: &str) -> u8 {
        let counts = self.asked.lock().expect("not poisoned");
        counts.get(name).copied().unwrap_or(0)
    }
}

/// A reply with one address, or one that is cut.
fn reply(message: &[u8], last: u8, cut: bool) -> Vec<u8> {
    let end = 12
        + message[12..]
            .iter()
            .position(|octet| *octet == 0)
            .expect("a root")
        + 5;
    let mut reply = message[..end].to_vec();
    reply[2] = 0x84 | if cut { 2 } else { 0 };
    reply[3] = 0x80;
    reply[7] = u8::from(!cut);
    reply[11] = 0;
    if !cut {
        reply.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    }
    reply
}

#[tokio::test]
async fn answers_its_own_names_and_drops_rubbish() {
    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    for rubbish in [&b""[..], b"x", &[0xFF; 12], &[0x81; 600]] {
        socket.send_to(rubbish, address).await.expect("sends");
    }
    let text = ask(address, &question("WEB.shop.svc.cluster.local.", 7)).await;
    let wanted = "WEB.shop.svc.cluster.local. 30 IN A 10.96.0.10";
    assert!(text.contains(wanted), "{text}");
    let metrics = server.metrics().render();
    let wanted = "coredns_dns_requests_total{server=\"dns://:53\",zone=\".\",view=\"\",\
                  proto=\"udp\",family=\"1\",type=\"A\"} 1";
    assert!(metrics.contains(wanted), "{metrics}");
    server.shutdown().await;
    UdpSocket::bind(address)
        .await
        .expect("the port is free again");
}

#[tokio::test]
async fn a_new_zone_counts_from_the_next_question_on() {
    let upstream = Upstream::start().await;
    let zone = Arc::new(ArcSwap::from_pointee(Zone::new(dns::Settings::new(1))));
    let settings = Settings::new(vec![loopback()], vec![upstream.address]);
    let server = Server::start(&settings, zone.clone()).expect("starts");
    let address = server.local_addrs()[0];
    let message = question("web.shop.svc.cluster.local.", 7);
    assert!(ask(address, &message).await.starts_with(";; NXDOMAIN"));
    let built = Zone::build(dns::Settings::new(1), &testkit::snapshot(OBJECTS));
    zone.store(Arc::new(built));
    assert!(ask(address, &message).await.starts_with(";; NOERROR"));
}

#[tokio::test]
async fn other_names_are_asked_once_and_kept() {
    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    for name in ["one.test.", "ONE.test.", "out.shop.svc.cluster.local."] {
        let text = ask(address, &question(name, 7)).await;
        assert!(text.contains(" 30 IN A 192.0.2.1\n"), "{text}");
    }
    assert_eq!(upstream.count("one.test."), 1);
    // Equal questions that come together share one flight.
    let slow = question("slow.test.", 7);
    let (a, b) = tokio::join!(ask(address, &slow), ask(address, &slow));
    assert!(a.contains("192.0.2.1") && a == b, "{a}{b}");
    assert_eq!(upstream.count("slow.test."), 1);
}

#[tokio::test]
async fn cut_and_old_fashioned_answers_are_asked_for_again() {
    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    for name in ["cut.test.", "old.test."] {
        let text = ask(address, &question(name, 7)).await;
        assert!(text.contains(" IN A 192.0.2.2\n"), "{text}");
    }
}

#[tokio::test]
async fn a_dead_upstream_is_told_and_too_many_questions_are_refused() {
    let dead = UdpSocket::bind(loopback()).await.expect("binds");
    let address = dead.local_addr().expect("has one");
    drop(dead);
    let server = start(address);
    let text = ask(server.local_addrs()[0], &question("one.test.", 7)).await;
    assert!(text.starts_with(";; SERVFAIL"), "{text}");

    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    for _ in 0..3 {
        let message = question("silent.test.", 7);
        socket.send_to(&message, address).await.expect("sends");
    }
    let text = ask(address, &question("one.test.", 8)).await;
    assert!(text.starts_with(";; REFUSED"), "{text}");
    let text = ask(address, &question("web.shop.svc.cluster.local.", 9)).await;
    assert!(text.starts_with(";; NOERROR"), "{text}");
}

#[tokio::test]
async fn one_tcp_connection_takes_many_questions() {
    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let names = [
        "slow.test.",
        "web.shop.svc.cluster.local.",
        "ghost.shop.svc.cluster.local.",
    ];
    for (id, name) in (0u16..).zip(names) {
        frame(&mut stream, &question(name, id)).await;
    }
    // Whoever half-closes still gets all replies.
    stream.shutdown().await.expect("half-closes");
    let mut ids = Vec::new();
    while let Some(reply) = read_frame(&mut stream).await {
        ids.push(reply[1]);
    }
    assert_eq!(ids, [1, 2, 0], "the slow one is last and holds nobody up");
}

#[tokio::test]
async fn tcp_rubbish_ends_the_connection_and_connections_are_limited() {
    let upstream = Upstream::start().await;
    let server = start(upstream.address);
    let address = server.local_addrs()[0];
    for rubbish in [&b"\x00\x00"[..], b"\x00\x02xx", b"\xFF\xFFxx"] {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(rubbish).await.expect("writes");
        stream.shutdown().await.expect("half-closes");
        assert_eq!(read_frame(&mut stream).await, None);
    }
    // Those connections may take a moment to be counted out.
    let mut held = Vec::new();
    while held.len() < 2 {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        frame(&mut stream, &question("web.shop.svc.cluster.local.", 7)).await;
        if read_frame(&mut stream).await.is_some() {
            held.push(stream);
        }
    }
    let mut third = TcpStream::connect(address).await.expect("connects");
    assert_eq!(read_frame(&mut third).await, None);
}

#[tokio::test]
async fn an_upstream_that_forwards_back_is_not_used() {
    // Two servers, each the other's upstream; the second one's port is found first.
    let free = UdpSocket::bind(loopback()).await.expect("binds");
    let second = free.local_addr().expect("has one");
    drop(free);
    let mut settings = Settings::new(vec![loopback()], vec![second]);
    settings.probe_loops = false;
    let first = start_with(&settings);
    let back = first.local_addrs()[0];
    let looped = start_with(&Settings::new(vec![second], vec![back]));
    // Until the probe has come back, questions run in circles and get no answer soon.
    let mut text = String::new();
    for id in 0..50 {
        let message = question(&format!("n{id}.test."), id);
        let patience = Duration::from_millis(100);
        let reply = tokio::time::timeout(patience, ask(second, &message)).await;
        text = reply.unwrap_or_default();
        if text.starts_with(";; SERVFAIL") {
            break;
        }
    }
    assert!(text.starts_with(";; SERVFAIL"), "{text}");
    looped.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = UdpSocket::bind(loopback()).await.expect("binds");
    let address = taken.local_addr().expect("has one");
    for workers in [1, 2] {
        let mut settings = Settings::new(vec![address], vec![]);
        settings.workers = workers;
        let zone = Arc::new(ArcSwap::from_pointee(Zone::new(dns::Settings::new(1))));
        let error = Server::start(&settings, zone).expect_err("cannot start");
        let text = error.to_string();
        let wanted = format!("cannot listen for DNS on {address} over UDP: ");
        assert!(text.starts_with(&wanted), "{text}");
    }
}
