//! Start and stop: store, certificates, listener, connections.

use crate::auth::{Access, AnyCertificate, Keys};
use crate::http::{self, Front};
use crate::hub::Hub;
use crate::lock::Lock;
use crate::pki::Authority;
use crate::store::{Loaded, Store};
use crate::{Client, Gate, Metrics, Settings, StartError, addresses, bootstrap, kubeconfig};
use ::http::Request;
use api::{Committed, Engine, HistoryLimits};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Idle connections and slow headers end after this.
const IDLE: Duration = Duration::from_secs(90);
const HEADER_BYTES: usize = 64 * 1024;
const STREAMS: u32 = 250;
/// How long `stop` waits for answers under way.
const GRACE: Duration = Duration::from_secs(5);

/// A running API server. Dropping it stops it without waiting.
pub struct Server {
    address: SocketAddr,
    kubeconfig: PathBuf,
    ca: PathBuf,
    client: Client,
    stop: watch::Sender<bool>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
    writing: Option<std::thread::JoinHandle<()>>,
    connections: Arc<Semaphore>,
    max_connections: usize,
    _lock: Lock,
}

impl Server {
    /// Opens the store, writes the kubeconfig and begins to answer.
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do.
    pub async fn start(mut settings: Settings) -> Result<Self, StartError> {
        std::fs::create_dir_all(&settings.data_dir)
            .map_err(StartError::file(&settings.data_dir))?;
        let lock = Lock::take(&settings.data_dir)?;
        let loaded = Store::open(&settings.data_dir)?;
        bootstrap::same_ranges(&settings, &loaded.state)?;
        let listener = listen(settings.listen)?;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: settings.listen,
            source,
        })?;
        let authority = Authority::open(&settings.data_dir)?;
        let gate = settings.gate.take();
        let tls = tls(&authority, &names(&settings, address, gate.as_ref()))?;
        let keys = Arc::new(Keys::new(&settings.data_dir));
        let (hub, writing) = open_hub(&settings, loaded)?;
        let known = gate.as_ref().map(|gate| gate.address);
        let known = known.unwrap_or_else(|| addresses::advertised(address));
        let started = bootstrap::run(&hub, known).await;
        if let Err(error) = started {
            hub.stop();
            return Err(StartError::Bootstrap(error.message));
        }
        let path = settings.kubeconfig.clone();
        let path = path.unwrap_or_else(|| settings.data_dir.join("kubeconfig"));
        let admin = authority.client("portolan-admin", &["system:masters"])?;
        kubeconfig::write(&path, addresses::local(address), &authority, &admin)?;
        let mut listeners = vec![listener];
        if let Some(gate) = gate {
            kubeconfig::write(&gate.kubeconfig, gate.address, &authority, &admin)?;
            let open = gate.listeners.into_iter().map(TcpListener::from_std);
            let open: Result<Vec<_>, _> = open.collect();
            listeners.extend(open.map_err(StartError::file("listener inside"))?);
        }
        let (stop, stopping) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(settings.max_connections));
        let front = Arc::new(Front {
            hub: hub.clone(),
            pods: settings.pods.clone(),
            metrics: settings.metrics.clone(),
            address: addresses::advertised(address).to_string(),
            watches: Arc::new(Semaphore::new(settings.max_watches)),
            sessions: Arc::new(Semaphore::new(http::SESSIONS)),
            stopping: stopping.clone(),
            documents: Default::default(),
            access: Access::default(),
            keys: keys.clone(),
        });
        let accepting = listeners.into_iter().map(|listener| {
            let (tls, front) = (tls.clone(), front.clone());
            let connections = connections.clone();
            tokio::spawn(accept(listener, tls, front, connections, stopping.clone()))
        });
        let accepting = accepting.collect();
        Ok(Self {
            address,
            kubeconfig: path,
            ca: settings.data_dir.join("pki/ca.crt"),
            client: Client::new(hub, keys),
            stop,
            accepting,
            writing: Some(writing),
            connections,
            max_connections: settings.max_connections,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kubeconfig that was written.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_certificate(&self) -> &Path {
        &self.ca
    }

    /// The API without sockets.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.client.hub.metrics
    }

    /// Ends watches, waits a while for answers under way, and makes the last writes durable.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for accepting in self.accepting.drain(..) {
            let _ = accepting.await;
        }
        let all = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        let drained = self.connections.acquire_many(all);
        if tokio::time::timeout(GRACE, drained).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        self.client.hub.stop();
        if let Some(writing) = self.writing.take() {
            let _ = tokio::task::spawn_blocking(move || writing.join()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.client.hub.stop();
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

fn open_hub(
    settings: &Settings,
    loaded: Loaded,
) -> Result<(Arc<Hub>, std::thread::JoinHandle<()>), StartError> {
    let Loaded {
        store,
        state,
        version,
    } = loaded;
    let engine = Engine::new(state.clone(), version);
    let registry = engine.registry().clone();
    let committed = Committed::new(state, registry, version, HistoryLimits::default());
    let settings = api::Settings {
        service_cidrs: settings.service_cidrs.clone(),
        node_ports: settings.node_ports,
        loopback_endpoints: settings.loopback_endpoints,
    };
    let hub = Arc::new(Hub::new(settings, engine, committed));
    let writer = hub.clone();
    let thread = std::thread::Builder::new().name("portolan-store".to_owned());
    let thread = thread.spawn(move || writer.run(store));
    thread
        .map(|thread| (hub, thread))
        .map_err(StartError::file("store thread"))
}

/// Addresses that the server's certificate names.
fn names(settings: &Settings, address: SocketAddr, gate: Option<&Gate>) -> Vec<IpAddr> {
    let mut names = addresses::named(address.ip());
    // The first of each range is the Service `kubernetes`' own.
    let services = settings
        .service_cidrs
        .iter()
        .filter_map(|range| range.nth(1));
    let inside = gate.into_iter().flat_map(|gate| &gate.listeners);
    let inside = inside.filter_map(|listener| Some(listener.local_addr().ok()?.ip()));
    for ip in services.chain(inside) {
        if !names.contains(&ip) {
            names.push(ip);
        }
    }
    names
}

fn tls(
    authority: &Authority,
    names: &[IpAddr],
) -> Result<(TlsAcceptor, Arc<AnyCertificate>), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Pki(error.to_string());
    let leaf = authority.server(names)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()?).map_err(|e| failed(&e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| failed(&e))?;
    let verifier = Arc::new(AnyCertificate::new(verifier));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_client_cert_verifier(verifier.clone())
        .with_single_cert(vec![leaf.certificate.clone()], leaf.key())
        .map_err(|e| failed(&e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), verifier))
}

async fn accept(
    listener: TcpListener,
    tls: (TlsAcceptor, Arc<AnyCertificate>),
    front: Arc<Front>,
    connections: Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let permit = tokio::select! {
            permit = connections.clone().acquire_owned() => permit,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, front) = (tls.clone(), front.clone());
                tokio::spawn(async move {
                    front
                        .hub
                        .metrics
                        .connections
                        .fetch_add(1, Ordering::Relaxed);
                    connection(stream, tls, &front).await;
                    front
                        .hub
                        .metrics
                        .connections
                        .fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close theirs.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    (acceptor, certificates): (TlsAcceptor, Arc<AnyCertificate>),
    front: &Arc<Front>,
) {
    let _ = stream.set_nodelay(true);
    let address = stream.peer_addr().ok().map(http::Peer);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let (_, session) = stream.get_ref();
    let peer = Arc::new(certificates.peer(session.peer_certificates()));
    let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
        let (front, peer) = (front.clone(), peer.clone());
        if let Some(address) = address {
            request.extensions_mut().insert(address);
        }
        async move { Ok::<_, std::convert::Infallible>(http::serve(front, peer, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEADER_BYTES * 4);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(IDLE / 3)
        .keep_alive_timeout(IDLE / 3)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES as u32);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stopping = front.stopping.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopping.wait_for(|stop| *stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended");
    }
}
