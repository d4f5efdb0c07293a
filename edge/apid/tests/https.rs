//! The server over real sockets: who gets in, and what a write, a read and a watch say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use apid::{Server, Settings, StartError};
use base64::Engine;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

struct Bench {
    server: Server,
    dir: PathBuf,
}

impl Bench {
    async fn start(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("portolan-https-{name}-{}", std::process::id()));
        let server = Server::start(settings(&dir)).await.unwrap();
        Self { server, dir }
    }

    async fn end(self) {
        self.server.stop().await;
        std::fs::remove_dir_all(&self.dir).unwrap();
    }

    fn tls(&self, with_certificate: bool) -> ClientConfig {
        let text = std::fs::read_to_string(self.server.kubeconfig()).unwrap();
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        let pem = |value: &Value| {
            base64::engine::general_purpose::STANDARD
                .decode(value.as_str().unwrap())
                .unwrap()
        };
        let mut roots = RootCertStore::empty();
        let ca = pem(&config["clusters"][0]["cluster"]["certificate-authority-data"]);
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        if !with_certificate {
            return builder.with_no_client_auth();
        }
        let user = &config["users"][0]["user"];
        let certificate =
            CertificateDer::from_pem_slice(&pem(&user["client-certificate-data"])).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem(&user["client-key-data"])).unwrap();
        builder
            .with_client_auth_cert(vec![certificate], key)
            .unwrap()
    }

    async fn send(
        &self,
        admin: bool,
        request: http::request::Builder,
        body: Value,
    ) -> Response<Incoming> {
        let stream = tokio::net::TcpStream::connect(self.server.address())
            .await
            .unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.tls(admin)));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request: Request<Full<Bytes>> = request
            .header("host", "localhost")
            .body(Full::new(bytes))
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    async fn ask(&self, admin: bool, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path);
        let answer = self.send(admin, request, body).await;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes);
        (
            status,
            value.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()),
        )
    }
}

fn settings(dir: &PathBuf) -> Settings {
    Settings::new(
        dir,
        "127.0.0.1:0".parse().unwrap(),
        vec!["10.96.0.0/16".parse().unwrap()],
    )
}

#[tokio::test]
async fn only_the_administrator_gets_in() {
    let bench = Bench::start("auth").await;
    let mode = std::fs::metadata(bench.server.kubeconfig())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        bench.ask(false, "GET", "/healthz", Value::Null).await,
        (StatusCode::OK, json!("ok"))
    );
    let (status, refusal) = bench
        .ask(false, "GET", "/api/v1/secrets", Value::Null)
        .await;
    assert_eq!(status, 403);
    assert_eq!(
        refusal["message"],
        "secrets is forbidden: User \"system:anonymous\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"
    );
    let request = Request::builder()
        .uri("/api/v1/secrets")
        .header("authorization", "Bearer x");
    assert_eq!(bench.send(false, request, Value::Null).await.status(), 401);
    let (status, list) = bench
        .ask(true, "GET", "/api/v1/namespaces", Value::Null)
        .await;
    assert_eq!(
        (status, &list["kind"]),
        (StatusCode::OK, &json!("NamespaceList"))
    );
    bench.end().await;
}

#[tokio::test]
async fn a_watch_tells_of_a_write() {
    let bench = Bench::start("watch").await;
    let path = "/api/v1/namespaces/default/configmaps";
    let request = Request::builder().uri(format!("{path}?watch=1&labelSelector=w"));
    let mut watch = bench.send(true, request, Value::Null).await.into_body();
    let object = json!({"metadata": {"name": "a", "labels": {"w": "1"}}, "data": {"k": "v"}});
    let (status, created) = bench.ask(true, "POST", path, object).await;
    assert_eq!(status, 201);
    let event = watch.frame().await.unwrap().unwrap().into_data().unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event, json!({"type": "ADDED", "object": created}));
    let (status, got) = bench
        .ask(true, "GET", &format!("{path}/a"), Value::Null)
        .await;
    assert_eq!((status, got), (StatusCode::OK, created));
    let (status, stale) = bench
        .ask(
            true,
            "PUT",
            &format!("{path}/a"),
            json!({"metadata": {"name": "a", "resourceVersion": "1"}}),
        )
        .await;
    assert_eq!(
        (status, &stale["reason"]),
        (StatusCode::CONFLICT, &json!("Conflict"))
    );
    bench.end().await;
}

/// All lines of an answer, read to its end.
async fn lines(answer: Response<Incoming>) -> Vec<Value> {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let lines = bytes.split(|byte| *byte == b'\n');
    let whole = lines.filter(|line| !line.is_empty());
    whole
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_watch_that_is_not_read_is_told_410_and_holds_no_history() {
    let bench = Bench::start("slow").await;
    let path = "/api/v1/namespaces/default/configmaps";
    let now = bench.ask(true, "GET", path, Value::Null).await.1;
    let version = now["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = Request::get(format!("{path}?watch=1&resourceVersion={version}"));
    let slow = bench.send(true, watch, Value::Null).await;
    assert_eq!(slow.status(), 200);
    let text = "x".repeat(400_000);
    for n in 0..60 {
        let object = json!({"metadata": {"name": format!("c{n}")}, "data": {"text": text}});
        assert_eq!(bench.ask(true, "POST", path, object).await.0, 201);
    }
    let seen = lines(slow).await;
    let (last, before) = seen.split_last().unwrap();
    assert_eq!(
        (&last["type"], &last["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert!(
        before.len() < 60,
        "{} events were kept for it",
        before.len()
    );
    assert!(before.iter().all(|event| event["type"] == "ADDED"));
    bench.end().await;
}

#[tokio::test]
async fn a_watch_ends_with_a_bookmark_shortly_before_its_time() {
    let bench = Bench::start("bookmark").await;
    let path = "/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=0";
    let watch = Request::get(format!("{path}&allowWatchBookmarks=true&timeoutSeconds=3"));
    let seen = lines(bench.send(true, watch, Value::Null).await).await;
    let last = seen.last().unwrap();
    assert_eq!(last["type"], "BOOKMARK", "{seen:?}");
    let version = last["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap();
    let now = bench
        .ask(true, "GET", "/api/v1/configmaps", Value::Null)
        .await
        .1;
    assert_eq!(now["metadata"]["resourceVersion"], version);
    bench.end().await;
}

#[tokio::test]
async fn a_collection_is_deleted_in_one_commit() {
    let bench = Bench::start("collection").await;
    let path = "/api/v1/namespaces/default/configmaps";
    for n in 0..50 {
        let object = json!({"metadata": {"name": format!("c{n}")}});
        assert_eq!(bench.ask(true, "POST", path, object).await.0, 201);
    }
    let commits = || {
        bench
            .server
            .metrics()
            .commits
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = commits();
    let (status, gone) = bench.ask(true, "DELETE", path, Value::Null).await;
    assert_eq!(
        (status.as_u16(), gone["items"].as_array().unwrap().len()),
        (200, 50)
    );
    assert_eq!(commits(), before + 1);
    bench.end().await;
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let bench = Bench::start("lock").await;
    let second = Server::start(settings(&bench.dir)).await;
    match second.err() {
        Some(StartError::Locked { holder, .. }) => {
            assert_eq!(holder, std::process::id().to_string())
        }
        other => panic!("{other:?}"),
    }
    bench.end().await;
}

#[tokio::test]
async fn subscribers_miss_nothing() {
    let bench = Bench::start("subscribe").await;
    let (before, mut batches) = bench.server.client().subscribe();
    assert!(
        before
            .iter()
            .any(|o| o.resource == model::Resource::SERVICES && &*o.meta.name == "kubernetes")
    );
    let path = "/api/v1/namespaces/default/configmaps";
    bench
        .ask(true, "POST", path, json!({"metadata": {"name": "a"}}))
        .await;
    let batch = batches.recv().await.unwrap();
    let names: Vec<_> = batch
        .iter()
        .map(|event| event.object.meta.name.to_string())
        .collect();
    assert_eq!(names, ["a"]);
    bench.end().await;
}
