//! Real sockets: clients, the server, and backends on loopback.

mod bed;

use bed::{Backend, Bed, Client};
use std::time::{Duration, Instant};

#[test]
fn targets_and_headers_reach_the_backend_as_they_were_sent() {
    let backend = Backend::start("one");
    let bed = Bed::start(&[("a.test", "/", &[&backend])], "");
    let mut client = Client::open(bed.http());
    let answer = client.ask(
        "GET /x%2Fy/../\"<z>?q#f HTTP/1.1\r\nHost: A.test:81\r\nX-Forwarded-For: 9.9.9.9\r\n\
         Connection: keep-alive\r\nX-Odd: \u{1}\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let seen = answer.body;
    let line = "GET /x%2Fy/../\"<z>?q#f HTTP/1.1\r\n";
    assert!(seen.starts_with(line), "{seen}");
    for header in [
        "Host: A.test:81",
        "X-Real-IP: 127.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Original-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: http",
        "X-Scheme: http",
        "X-Odd: \u{1}",
    ] {
        assert!(
            seen.contains(&format!("\r\n{header}\r\n")),
            "{header} in {seen}"
        );
    }
    assert!(!seen.contains("Connection:"), "{seen}");
}

#[test]
fn a_change_shows_on_an_open_connection() {
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    let mut bed = Bed::start(&[("a.test", "/", &[&one])], "");
    let mut client = Client::open(bed.http());
    let ask = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(client.ask(ask).header("x-backend"), "one");
    bed.apply(&[("a.test", "/", &[&two])], "");
    assert_eq!(client.ask(ask).header("x-backend"), "two");
    bed.apply(&[("a.test", "/", &[])], "");
    assert_eq!(client.ask(ask).status, 503);
    bed.apply(&[("b.test", "/", &[&two])], "");
    assert_eq!(client.ask(ask).status, 404);
}

#[test]
fn a_dead_endpoint_is_passed_over() {
    let (alive, dead) = (Backend::start("alive"), Backend::dead());
    let bed = Bed::start(&[("a.test", "/", &[&dead, &alive])], "");
    let mut client = Client::open(bed.http());
    for _ in 0..4 {
        let answer = client.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(
            (answer.status, answer.header("x-backend")),
            (200, "alive".to_owned())
        );
        assert!(answer.body.ends_with("\r\n\r\nabc"), "{}", answer.body);
    }
}

#[test]
fn long_bodies_and_heads_are_refused_and_the_server_stays() {
    let backend = Backend::start("one");
    let bed = Bed::start(&[("a.test", "/", &[&backend])], "proxy-body-size: 1k");
    let chunk = "400\r\n".to_owned() + &"y".repeat(1024) + "\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let too_long = format!("{chunked}{}0\r\n\r\n", chunk.repeat(2));
    assert_eq!(Client::open(bed.http()).ask(&too_long).status, 413);
    let fits = format!("{chunked}{chunk}0\r\n\r\n");
    let answer = Client::open(bed.http()).ask(&fits);
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.contains("Content-Length: 1024\r\n"),
        "{}",
        answer.body
    );
    let known = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000\r\n\r\n";
    assert_eq!(Client::open(bed.http()).ask(known).status, 413);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: {}",
        "v".repeat(1 << 20)
    );
    assert_eq!(Client::open(bed.http()).ask(&head).status, 400);
    let garbage = Client::open(bed.http()).ask("\u{16}\u{3}garbage\r\n\r\n");
    assert_eq!(garbage.status, 400);
    let ask = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(Client::open(bed.http()).ask(ask).status, 200);
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    let backend = Backend::start("one");
    let mut bed = Bed::start(&[("a.test", "/", &[&backend])], "");
    let mut client = Client::open(bed.http());
    let answer = client.ask(
        "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), "websocket");
    client.send("ping");
    assert_eq!(client.read(4), "ping");
    // A change does not end it.
    bed.apply(&[("b.test", "/", &[])], "");
    client.send("more");
    assert_eq!(client.read(4), "more");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start("one");
    let bed = Bed::start(&[("a.test", "/", &[&backend])], "");
    let mut client = Client::open(bed.http());
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: no.test\r\n\r\n\
         GET /3 HTTP/1.0\r\nHost: a.test\r\n\r\n",
    );
    let answers = [client.answer(), client.answer(), client.answer()];
    assert_eq!(answers.each_ref().map(|a| a.status), [200, 404, 200]);
    assert!(answers[0].body.starts_with("GET /1 "));
    assert!(answers[2].body.starts_with("GET /3 "));
    assert_eq!(answers[2].header("connection"), "close");
}

#[test]
fn shutdown_lets_a_request_finish() {
    let backend = Backend::start("one");
    let bed = Bed::start(&[("a.test", "/", &[&backend])], "");
    let mut client = Client::open(bed.http());
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    backend.wait_for_request();
    let address = bed.http();
    let stopping = std::thread::spawn(move || bed.shutdown());
    assert_eq!(client.answer().status, 200);
    let started = Instant::now();
    stopping.join().expect("a clean shutdown");
    assert!(
        started.elapsed() < Duration::from_secs(9),
        "no connection was left open"
    );
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn metrics_count_by_ingress_and_status() {
    let backend = Backend::start("one");
    let bed = Bed::start(&[("a.test", "/", &[&backend])], "");
    let mut client = Client::open(bed.http());
    client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.ask("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    // A request is counted after its answer; the next one on the connection waits for that.
    client.ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    let text = bed.metrics();
    let line = "nginx_ingress_controller_requests{host=\"a.test\",ingress=\"i0\",namespace=\"d\",\
                service=\"s0\",path=\"/\",method=\"GET\",status=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("status=\"404\"}"), "{text}");
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_told() {
    let (certificate, key) = bed::key_pair("a.test");
    let (_, other) = bed::key_pair("a.test");
    let pair = |certificate: &str, key: &str| gateway::KeyPair {
        secret: model::NamespacedName::new("d", "s"),
        certificate: certificate.as_bytes().to_vec(),
        key: key.as_bytes().to_vec(),
    };
    assert_eq!(httpd::check_key_pair(&pair(&certificate, &key)), Ok(()));
    let error = httpd::check_key_pair(&pair(&certificate, &other)).unwrap_err();
    assert!(error.to_string().contains("does not belong"), "{error}");
    let error = httpd::check_key_pair(&pair(&certificate, &key[..60])).unwrap_err();
    assert!(error.to_string().contains("tls.key"), "{error}");
}
