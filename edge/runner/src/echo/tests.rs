use super::*;
use std::path::PathBuf;
use tokio::net::TcpStream;

struct Bench {
    echo: Option<Echo>,
    at: SocketAddr,
    folder: PathBuf,
}

/// An echo server on an address of its own, with a TCP and a UDP port.
fn start(ip: &str) -> Bench {
    let folder = std::env::temp_dir().join(format!("runner-echo-{ip}-{}", std::process::id()));
    let log = Log::create(&folder, 0, 1 << 20).unwrap();
    let container: Container = serde_json::from_value(serde_json::json!({"name": "c", "ports": [
        {"containerPort": 8080}, {"containerPort": 8081, "protocol": "UDP"}]}))
    .unwrap();
    let identity = Arc::new(Identity {
        pod: "web-0".to_owned(),
        namespace: "dev".to_owned(),
        log,
        clock: Clock::new(),
    });
    let ip: IpAddr = ip.parse().unwrap();
    let echo = Echo::start(&container, &[ip], &Default::default(), identity).unwrap();
    Bench {
        echo: Some(echo),
        at: SocketAddr::new(ip, 8080),
        folder,
    }
}

impl Bench {
    async fn exchange(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn one_port_tells_http_from_plain_tcp() {
    let bench = start("127.31.2.1");
    let answer = bench
        .exchange(
            "POST /a/b?c=d HTTP/1.1\r\nHost: app.test\r\nX-One: 1\r\nX-One: 2\r\n\
             Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    let want = serde_json::json!({"method": "POST", "path": "/a/b", "query": "c=d",
        "host": "app.test", "protocol": "HTTP/1.1", "pod": "web-0", "namespace": "dev",
        "port": 8080, "body": "hello", "bodyBytes": 5, "client": json["client"],
        "headers": {"host": "app.test", "x-one": "1, 2", "content-length": "5",
            "connection": "close"}});
    assert_eq!(json, want);
    assert_eq!(bench.exchange("anything\r\n").await, "anything\r\n");
    assert_eq!(
        bench.exchange("GET").await,
        "GET",
        "a beginning is waited for, not for ever"
    );
    let log = std::fs::read_to_string(crate::logs::file_of(&bench.folder, 0)).unwrap();
    assert!(log.contains("\"POST /a/b?c=d HTTP/1.1\" 200"), "{log}");
}

#[tokio::test]
async fn datagrams_come_back() {
    let bench = start("127.31.2.2");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(b"ping", (bench.at.ip(), 8081))
        .await
        .unwrap();
    let mut buffer = [0; 16];
    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..length], from.port()), (&b"ping"[..], 8081));
}

#[tokio::test]
async fn grpc_health_is_served_and_messages_are_echoed() {
    use crate::probe::{Target, probe};
    let bench = start("127.31.2.3");
    let container: Container = serde_json::from_value(serde_json::json!({"name": "c",
        "readinessProbe": {"grpc": {"port": 8080, "service": "any"}}}))
    .unwrap();
    let target = Target {
        sockets: Default::default(),
        ip: bench.at.ip(),
        container: Arc::new(container),
    };
    let kind = crate::machine::ProbeKind::Readiness;
    assert_eq!(probe(kind, &target, None).await, Ok(()));

    let stream = TcpStream::connect(bench.at).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = ::http::Request::post("http://x/any.Service/Stream")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let mut answers = response.into_body();
    for message in [&b"one"[..], &b""[..]] {
        let frame: bytes::Bytes = crate::wire::frame(message).into();
        // A frame in two pieces is one message all the same.
        body.send_data(frame.slice(..3), false).unwrap();
        body.send_data(frame.slice(3..), false).unwrap();
        assert_eq!(answers.data().await.unwrap().unwrap(), frame);
    }
    body.send_data(bytes::Bytes::new(), true).unwrap();
    assert!(answers.data().await.is_none());
    let trailers = answers.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn websocket_frames_come_back_unmasked() {
    let bench = start("127.31.2.4");
    let mut stream = TcpStream::connect(bench.at).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // The example of RFC 6455 1.3.
    assert!(
        head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{head}"
    );
    let mut exchange = async |first: u8, text: &[u8]| {
        let mut frame = vec![first, 0x80 | text.len() as u8, 1, 2, 3, 4];
        let mask = [1, 2, 3, 4].into_iter().cycle();
        frame.extend(text.iter().zip(mask).map(|(byte, key)| byte ^ key));
        stream.write_all(&frame).await.unwrap();
        let mut answer = vec![0; 2 + text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        (answer[0], answer[2..].to_vec())
    };
    assert_eq!(exchange(0x81, b"hello").await, (0x81, b"hello".to_vec()));
    assert_eq!(exchange(0x89, b"ping").await, (0x8A, b"ping".to_vec()));
    assert_eq!(exchange(0x88, &[3, 232]).await, (0x88, vec![3, 232]));
}

#[tokio::test]
async fn a_port_is_listened_on_once_and_stopping_closes_idle_connections() {
    let mut bench = start("127.31.2.5");
    let second = std::panic::catch_unwind(|| start("127.31.2.5"));
    assert!(second.is_err());
    let mut idle = TcpStream::connect(bench.at).await.unwrap();
    let mut kept = TcpStream::connect(bench.at).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(kept.read(&mut buffer).await.unwrap() > 0);
    let at = bench.at;
    let echo = bench.echo.take().unwrap();
    echo.stop(Duration::from_secs(60)).await;
    assert_eq!(idle.read(&mut buffer).await.unwrap_or(0), 0);
    assert_eq!(kept.read(&mut buffer).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(at).await.is_err());
}
