//! One connection to the server: TCP, TLS, HTTP/1.1.

use crate::config::Config;
use crate::error::Error;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long connecting may take, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// After so long a silence the peer is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// So long may sent bytes stay without an acknowledgement.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// A connection that takes requests one after another.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// Opens one.
pub(crate) async fn open(config: &Config) -> Result<Connection, Error> {
    let opened = tokio::time::timeout(CONNECT_TIME, attempt(config)).await;
    let result = opened.unwrap_or_else(|_| Err(format!("no answer in {CONNECT_TIME:?}")));
    result.map_err(|message| Error::Transport {
        server: config.server(),
        message,
    })
}

async fn attempt(config: &Config) -> Result<Connection, String> {
    let tcp = TcpStream::connect((config.host.as_str(), config.port)).await;
    let tcp = tcp.map_err(|error| error.to_string())?;
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let socket = SockRef::from(&tcp);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 3)
        .with_retries(3);
    // A connection without these only notices later that its peer is gone.
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(DEAD_AFTER));
    if !config.secure {
        return http(TokioIo::new(tcp)).await;
    }
    let tls = tls(config)?;
    let name = config.server_name.as_deref().unwrap_or(&config.host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{name:?} is no name of a server"))?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(tls))
        .connect(name, tcp)
        .await;
    http(TokioIo::new(
        stream.map_err(|error| format!("TLS: {error}"))?,
    ))
    .await
}

async fn http<T>(io: T) -> Result<Connection, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(io).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the API server ended");
        }
    });
    Ok(sender)
}

/// Made anew for every connection: certificates in files are replaced while we run.
fn tls(config: &Config) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &config.authorities {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let pem = pem.read().map_err(|error| error.to_string())?;
            let (good, bad) = roots.add_parsable_certificates(certificates(&pem)?);
            if good == 0 {
                return Err(format!("no usable certificate authority ({bad} unusable)"));
            }
            builder.with_root_certificates(roots)
        }
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider))),
    };
    let mut tls = match &config.certificate {
        Some((chain, key)) => {
            let chain = chain.read().map_err(|error| error.to_string())?;
            let key = key.read().map_err(|error| error.to_string())?;
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|error| format!("the client key: {error}"))?;
            builder
                .with_client_auth_cert(certificates(&chain)?, key)
                .map_err(|error| format!("the client certificate: {error}"))?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.map_err(|error| format!("a certificate: {error}"))
}

/// `insecure-skip-tls-verify: true`
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
