//! A small HTTP client: one connection, HTTP/1.1 or HTTP/2, with or without TLS.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Target {
    /// `address:port`
    pub(crate) address: String,
    /// TLS settings; `None` speaks plain HTTP
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// Version of HTTP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    address: String,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target, protocol: Protocol) -> Result<Self> {
        let stream = TcpStream::connect(&target.address)
            .await
            .with_context(|| format!("cannot connect to {}", target.address))?;
        stream.set_nodelay(true)?;
        let sender = match &target.tls {
            None => handshake(TokioIo::new(stream), protocol).await?,
            Some(tls) => {
                let host = target.address.rsplit_once(':').map_or("", |(host, _)| host);
                let name = ServerName::try_from(host.to_owned())?;
                let mut tls = ClientConfig::clone(tls);
                tls.alpn_protocols = vec![match protocol {
                    Protocol::Http1 => b"http/1.1".to_vec(),
                    Protocol::Http2 => b"h2".to_vec(),
                }];
                let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
                handshake(
                    TokioIo::new(connector.connect(name, stream).await?),
                    protocol,
                )
                .await?
            }
        };
        Ok(Self {
            sender,
            address: target.address.clone(),
        })
    }

    /// Another handle on the same HTTP/2 connection.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                address: self.address.clone(),
            }),
        }
    }

    async fn start(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("user-agent", "bench/1");
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                let request = request.uri(path).header("host", &self.address);
                sender.send_request(request.body(Full::new(body))?).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                let request = request.uri(format!("https://{}{path}", self.address));
                sender.send_request(request.body(Full::new(body))?).await?
            }
        };
        if !response.status().is_success() {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(response)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let response = self.start(method, path, body).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }

    /// Sends a request and gives back its answer's body as it comes.
    pub(crate) async fn stream(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Incoming> {
        Ok(self.start(method, path, body).await?.into_body())
    }
}

async fn handshake<T>(io: TokioIo<T>, protocol: Protocol) -> Result<Sender>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Ok(match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            Sender::Http1(sender)
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        }
    })
}
