//! A small client of the running API server, for the commands that look at it.

use anyhow::{Context, bail};
use base64::Engine;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use model::{Object, Resource};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Deserialize;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// What a data plane reads, by its path in the API.
const COLLECTIONS: [(&str, Resource); 10] = [
    ("/api/v1/namespaces", Resource::NAMESPACES),
    ("/api/v1/nodes", Resource::NODES),
    ("/api/v1/services", Resource::SERVICES),
    ("/api/v1/pods", Resource::PODS),
    ("/api/v1/secrets", Resource::SECRETS),
    ("/api/v1/configmaps", Resource::CONFIG_MAPS),
    (
        "/apis/discovery.k8s.io/v1/endpointslices",
        Resource::ENDPOINT_SLICES,
    ),
    ("/apis/networking.k8s.io/v1/ingresses", Resource::INGRESSES),
    (
        "/apis/networking.k8s.io/v1/ingressclasses",
        Resource::INGRESS_CLASSES,
    ),
    ("/api/v1/endpoints", Resource::ENDPOINTS),
];

/// Longest answer that is read.
const ANSWER_BYTES: usize = 512 << 20;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: String,
    client_key_data: String,
}

/// A connection's worth of settings.
pub(crate) struct Remote {
    address: String,
    tls: Arc<rustls::ClientConfig>,
}

impl Remote {
    /// Reads the kubeconfig that `up` wrote.
    pub(crate) fn from_kubeconfig(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let config: Kubeconfig = serde_saphyr::from_str(&text)
            .with_context(|| format!("{} is no kubeconfig", path.display()))?;
        let cluster = config
            .clusters
            .into_iter()
            .next()
            .context("no cluster in the kubeconfig")?;
        let user = config
            .users
            .into_iter()
            .next()
            .context("no user in the kubeconfig")?;
        let address = cluster
            .cluster
            .server
            .strip_prefix("https://")
            .unwrap_or_default();
        if address.is_empty() {
            bail!(
                "{}: server {:?} is not https",
                path.display(),
                cluster.cluster.server
            );
        }
        Ok(Self {
            address: address.trim_end_matches('/').to_owned(),
            tls: Arc::new(tls(&cluster.cluster, &user.user)?),
        })
    }

    /// GET of a path, as JSON.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = tokio::time::timeout(TIMEOUT, self.fetch(path)).await;
        let bytes = answer.with_context(|| format!("GET {path}: no answer in {TIMEOUT:?}"))??;
        serde_json::from_slice(&bytes).with_context(|| format!("GET {path}: no JSON"))
    }

    /// Every object that data planes read.
    pub(crate) async fn objects(&self) -> anyhow::Result<Vec<Arc<Object>>> {
        let mut objects = Vec::new();
        for (path, resource) in COLLECTIONS {
            let list = self.get(path).await?;
            for item in list["items"].as_array().into_iter().flatten() {
                let object = Object::from_value(resource, item);
                objects.push(Arc::new(object.with_context(|| format!("{path}: {item}"))?));
            }
        }
        Ok(objects)
    }

    /// GET of a path, whose answer is written as it comes.
    pub(crate) async fn download(&self, path: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut body = self.ask(path).await?;
        let next = async |body: &mut Incoming| tokio::time::timeout(TIMEOUT, body.frame()).await;
        while let Some(frame) = next(&mut body)
            .await
            .with_context(|| format!("GET {path}: nothing came for {TIMEOUT:?}"))?
        {
            let frame = frame.with_context(|| format!("GET {path}"))?;
            if let Some(data) = frame.data_ref() {
                out.write_all(data).context("cannot write the answer")?;
            }
        }
        Ok(())
    }

    async fn fetch(&self, path: &str) -> anyhow::Result<Bytes> {
        let body = http_body_util::Limited::new(self.ask(path).await?, ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow::anyhow!("GET {path}: {error}"))?;
        Ok(body.to_bytes())
    }

    /// Sends a request and gives back the body of its good answer.
    async fn ask(&self, path: &str) -> anyhow::Result<Incoming> {
        let stream = TcpStream::connect(&self.address).await.with_context(|| {
            format!(
                "nothing answers at {}: is `portolan up` running?",
                self.address
            )
        })?;
        let host = self
            .address
            .rsplit_once(':')
            .map_or(self.address.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let connector = tokio_rustls::TlsConnector::from(self.tls.clone());
        let stream = connector
            .connect(name, stream)
            .await
            .context("TLS with the API server")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", &self.address)
            .header("accept", "application/json")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES);
        let body = body.collect().await.map(|body| body.to_bytes());
        let message: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        bail!(
            "GET {path}: {status} {}",
            message["message"].as_str().unwrap_or_default()
        )
    }
}

fn tls(cluster: &Cluster, user: &User) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&cluster.certificate_authority_data)? {
        roots.add(certificate)?;
    }
    let key = PrivateKeyDer::from_pem_slice(&decode(&user.client_key_data)?)
        .map_err(|error| anyhow::anyhow!("the client key: {error}"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&user.client_certificate_data)?, key)?)
}

fn certificates(data: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let pem = decode(data)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    all.map_err(|error| anyhow::anyhow!("a certificate of the kubeconfig: {error}"))
}

fn decode(data: &str) -> anyhow::Result<Vec<u8>> {
    let engine = base64::engine::general_purpose::STANDARD;
    engine
        .decode(data.trim())
        .context("the kubeconfig holds broken base64")
}
