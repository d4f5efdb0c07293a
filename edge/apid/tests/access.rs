//! Credentials over real sockets: certificates and tokens, good and bad, and what they may do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use apid::{Server, Settings};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a request shows.
enum Shows {
    Nothing,
    Token(String),
    Certificate(CertificateDer<'static>, KeyPair),
}

struct Bench {
    server: Server,
    dir: PathBuf,
}

impl Bench {
    async fn start(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("portolan-access-{name}-{}", std::process::id()));
        let ranges = vec!["10.96.0.0/16".parse().unwrap()];
        let settings = Settings::new(&dir, "127.0.0.1:0".parse().unwrap(), ranges);
        let server = Server::start(settings).await.unwrap();
        Self { server, dir }
    }

    async fn end(self) {
        self.server.stop().await;
        std::fs::remove_dir_all(&self.dir).unwrap();
    }

    fn tls(&self, shows: &Shows) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = std::fs::read(self.server.ca_certificate()).unwrap();
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match shows {
            Shows::Certificate(certificate, key) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate.clone()], key)
                    .unwrap()
            }
            _ => builder.with_no_client_auth(),
        }
    }

    async fn ask(&self, shows: &Shows, method: &str, path: &str, body: Value) -> (u16, Value) {
        let stream = tokio::net::TcpStream::connect(self.server.address())
            .await
            .unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.tls(shows)));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if let Shows::Token(token) = shows {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let answer = sender
            .send_request(request.body(Full::new(bytes)).unwrap())
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn get(&self, shows: &Shows, path: &str) -> (u16, Value) {
        self.ask(shows, "GET", path, Value::Null).await
    }
}

/// Signs with the server's own authority.
fn signed_by(dir: &Path, name: &str, group: &str, last_year: i32) -> Shows {
    let key = std::fs::read_to_string(dir.join("pki/ca.key")).unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority
        .distinguished_name
        .push(DnType::CommonName, "portolan-ca");
    let issuer = Issuer::new(authority, KeyPair::from_pem(&key).unwrap());
    signed(&issuer, name, group, last_year)
}

fn signed(issuer: &Issuer<'_, KeyPair>, name: &str, group: &str, last_year: i32) -> Shows {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, group);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Shows::Certificate(certificate.der().clone(), key)
}

fn assert_unauthorized((status, body): (u16, Value), what: &str) {
    assert_eq!(status, 401, "{what}");
    let wanted = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    assert_eq!(body, wanted, "{what}");
}

#[tokio::test]
async fn wrong_certificates_are_told_so() {
    let bench = Bench::start("certificates").await;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger = Issuer::new(authority, KeyPair::generate().unwrap());
    let stranger = signed(&stranger, "admin", "system:masters", 4000);
    assert_unauthorized(bench.get(&stranger, "/api").await, "another authority");
    assert_unauthorized(
        bench.get(&stranger, "/healthz").await,
        "health needs none, but no wrong one",
    );
    let old = signed_by(&bench.dir, "admin", "system:masters", 2021);
    assert_unauthorized(bench.get(&old, "/api").await, "expired");
    let jane = signed_by(&bench.dir, "jane", "dev", 4000);
    assert_eq!(bench.get(&jane, "/api").await.0, 200);
    let (status, refused) = bench.get(&jane, "/api/v1/namespaces/default/pods").await;
    assert_eq!(status, 403);
    assert_eq!(
        refused["message"],
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(bench.get(&Shows::Nothing, "/healthz").await.0, 200);
    assert_eq!(bench.get(&Shows::Nothing, "/api").await.0, 403);
    bench.end().await;
}

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn a_token_is_as_good_as_its_service_account() {
    let bench = Bench::start("tokens").await;
    let admin = signed_by(&bench.dir, "root", "system:masters", 4000);
    let account = json!({"metadata": {"name": "robot"}});
    assert_eq!(bench.ask(&admin, "POST", ACCOUNTS, account).await.0, 201);
    let path = format!("{ACCOUNTS}/robot/token");
    let (status, answered) = bench.ask(&admin, "POST", &path, json!({"spec": {}})).await;
    assert_eq!(status, 201, "{answered}");
    let token = answered["status"]["token"].as_str().unwrap().to_owned();
    let robot = Shows::Token(token.clone());
    let (status, refused) = bench.get(&robot, PODS).await;
    assert_eq!(status, 403);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("system:serviceaccount:default:robot")
    );
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let binding = json!({
        "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot"}],
    });
    assert_eq!(bench.ask(&admin, "POST", rbac, binding).await.0, 201);
    // Nobody gathers rules here: the role is still empty, until it is told what it grants.
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/edit";
    let (_, mut edit) = bench.get(&admin, role).await;
    edit["rules"] = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    assert_eq!(bench.get(&robot, PODS).await.0, 403);
    assert_eq!(bench.ask(&admin, "PUT", role, edit).await.0, 200);
    assert_eq!(bench.get(&robot, PODS).await.0, 200);
    let path = format!("{rbac}/b");
    assert_eq!(bench.ask(&admin, "DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(bench.get(&robot, PODS).await.0, 403);
    let mut forged: Vec<&str> = token.split('.').collect();
    forged[2] = "c2lnbmF0dXJl";
    for wrong in ["x".to_owned(), forged.join("."), format!("{token}.x")] {
        assert_unauthorized(bench.get(&Shows::Token(wrong.clone()), PODS).await, &wrong);
    }
    let path = format!("{ACCOUNTS}/robot");
    assert_eq!(bench.ask(&admin, "DELETE", &path, Value::Null).await.0, 200);
    assert_unauthorized(bench.get(&robot, PODS).await, "its ServiceAccount is gone");
    bench.end().await;
}

#[tokio::test]
async fn tokens_outlive_the_server_and_end_with_their_pod() {
    let bench = Bench::start("pods").await;
    let client = bench.server.client();
    let create = |resource, mut object: Value| {
        object["metadata"]["namespace"] = "default".into();
        client.submit(model::Write::Create { resource, object })
    };
    let accounts = model::Resource::SERVICE_ACCOUNTS;
    create(accounts, json!({"metadata": {"name": "default"}}))
        .await
        .unwrap();
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": "n"});
    let pod = create(
        model::Resource::PODS,
        json!({"metadata": {"name": "p"}, "spec": spec}),
    );
    let pod = pod.await.unwrap().unwrap();
    assert!(client.pod_token(&pod, "", 10).is_err());
    let minted = client.pod_token(&pod, "", 3607).unwrap();
    let shown = Shows::Token(minted.token.clone());
    let review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (status, who) = bench.ask(&shown, "POST", review, json!({})).await;
    assert_eq!(status, 201, "{who}");
    let extra = &who["status"]["userInfo"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["p"]));
    assert_eq!(
        extra["authentication.kubernetes.io/node-name"],
        json!(["n"])
    );
    let Bench { server, dir } = bench;
    server.stop().await;
    let ranges = vec!["10.96.0.0/16".parse().unwrap()];
    let settings = Settings::new(&dir, "127.0.0.1:0".parse().unwrap(), ranges);
    let server = Server::start(settings).await.unwrap();
    let bench = Bench { server, dir };
    assert_eq!(bench.ask(&shown, "POST", review, json!({})).await.0, 201);
    let gone = model::Write::Delete {
        key: pod.key(),
        uid: None,
        grace_seconds: Some(0),
        propagation: None,
    };
    bench.server.client().submit(gone).await.unwrap();
    assert_unauthorized(
        bench.ask(&shown, "POST", review, json!({})).await,
        "its Pod is gone",
    );
    bench.end().await;
}
