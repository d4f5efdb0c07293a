use super::*;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

async fn run(probe_spec: Value, launch: Option<&Launch>) -> Result<(), String> {
    let container = json!({"name": "c", "readinessProbe": probe_spec,
        "ports": [{"name": "web", "containerPort": 1}]});
    let target = Target {
        sockets: Default::default(),
        ip: "127.0.0.1".parse().unwrap(),
        container: Arc::new(serde_json::from_value(container).unwrap()),
    };
    probe(ProbeKind::Readiness, &target, launch).await
}

/// A server that answers its requests in turn.
async fn server(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 2048];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn http_codes_decide_and_redirects_to_the_same_host_are_followed() {
    const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    const FAIL: &str = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
    const HERE: &str = "HTTP/1.1 302 X\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
    const AWAY: &str = "HTTP/1.1 302 X\r\nLocation: http://a.test/\r\nContent-Length: 0\r\n\r\n";
    let get = async |answers| {
        let port = server(answers).await;
        run(json!({"httpGet": {"port": port, "path": "/x"}}), None).await
    };
    assert_eq!(get(&[OK]).await, Ok(()));
    assert_eq!(
        get(&[FAIL]).await,
        Err("HTTP probe failed with statuscode: 500".to_owned())
    );
    assert_eq!(
        get(&[HERE, FAIL]).await,
        Err("HTTP probe failed with statuscode: 500".to_owned())
    );
    assert_eq!(get(&[HERE, OK]).await, Ok(()));
    assert_eq!(get(&[AWAY]).await, Ok(()));
}

#[tokio::test]
async fn refusals_are_worded_as_kubelet_words_them() {
    let why = async |spec| run(spec, None).await.unwrap_err();
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(why(json!({"tcpSocket": {"port": "web"}})).await, refused);
    assert_eq!(
        why(json!({"httpGet": {"port": 1}})).await,
        format!("Get \"http://127.0.0.1:1/\": {refused}")
    );
    let grpc = why(json!({"grpc": {"port": 1}})).await;
    assert_eq!(
        grpc,
        format!("error: failed to connect service at \"127.0.0.1:1\": {refused}")
    );
    let name = why(json!({"tcpSocket": {"port": "no"}})).await;
    assert!(name.contains("\"no\" is not the name of a port"), "{name}");
}

#[tokio::test]
async fn commands_pass_by_their_exit_code_and_end_with_their_time() {
    let env = [("PATH", std::env::var("PATH").unwrap())];
    let launch = Launch {
        enter: Vec::new(),
        words: Vec::new(),
        env: env.map(|(key, value)| (key.to_owned(), value)).into(),
        folder: std::env::temp_dir(),
    };
    let exec = async |script: &str| {
        let spec = json!({"exec": {"command": ["sh", "-c", script]}});
        run(spec, Some(&launch)).await
    };
    assert_eq!(exec("true").await, Ok(()));
    assert_eq!(exec("echo bad; exit 2").await, Err("bad\n".to_owned()));
    let late = exec("sleep 600").await.unwrap_err();
    assert!(late.ends_with("timed out after 1s"), "{late}");
}

#[tokio::test]
async fn any_certificate_will_do() {
    let made = rcgen::generate_simple_self_signed(["elsewhere.test".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut buffer = [0; 2048];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let spec = json!({"timeoutSeconds": 10, "httpGet": {"port": port, "scheme": "HTTPS"}});
    assert_eq!(run(spec, None).await, Ok(()));
}
