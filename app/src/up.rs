//! `portolan up`: starts every part, joins them, and stops them again.

use crate::cli::LogOptions;
use crate::config::{Config, UpOptions};
use crate::dataplane::DataPlane;
use crate::inside::Inside;
use crate::marker::{Listen, Marker};
use crate::node::agent::Agent;
use crate::pods::Pods;
use crate::problems::Problems;
use crate::{controllers, metrics, screen, seed};
use anyhow::{Context, bail};
use apid::{Batch, Client};
use arc_swap::ArcSwap;
use dns::Zone;
use gateway::Publish;
use model::{Resource, Snapshot, Write};
use proxy::LoadBalancers;
use relay::Relay;
use runner::Runner;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// The class of LoadBalancer Services that the embedded mode serves, besides those without one.
pub(crate) const LOAD_BALANCER_CLASS: &str = "portolan.dev/loopback";

/// File of the API server in a data directory.
const STORE: &str = "store.redb";

/// Checks that no server runs on the data directory, and keeps one from starting.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "{} is in use by `portolan up` (process {})",
                dir.display(),
                holder.trim()
            )
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Runs until it is told to stop.
pub(crate) fn run(options: &UpOptions, log: &LogOptions) -> anyhow::Result<()> {
    crate::logging::start(log)?;
    let config = options.resolve()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let result = runtime.block_on(serve(&config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Everything that runs.
struct Up {
    api: apid::Server,
    dns: dnsd::Server,
    httpd: Arc<httpd::Server>,
    relay: Relay,
    runner: Option<Arc<Runner>>,
    agent: Option<Arc<Agent>>,
    /// Held for as long as anything runs
    _inside: Option<Inside>,
    marker: Marker,
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(told_to_stop()?);
    let up = tokio::select! {
        up = start(config) => up?,
        () = &mut stop => return Ok(()),
    };
    let client = up.api.client();
    let seeded = tokio::select! {
        seeded = seed::apply(&client, &config.filename) => seeded,
        () = &mut stop => return up.stop(config).await,
    };
    screen::print(&up.marker, config, seeded);
    stop.await;
    eprintln!("Stopping. Press Ctrl-C again to stop at once.");
    let again = told_to_stop()?;
    tokio::select! {
        result = up.stop(config) => result,
        () = again => Ok(()),
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn start(config: &Config) -> anyhow::Result<Up> {
    make_data_dir(&config.data_dir)?;
    keep(config)?;
    let inside = Inside::open(config)?;
    let pods = Arc::new(Pods::default());
    let scrape = Arc::new(metrics::Sources::default());
    let api = start_api(config, inside.as_ref(), pods.clone(), scrape.clone()).await?;
    let client = api.client();
    client
        .submit(ingress_class())
        .await
        .context("cannot create the IngressClass nginx")?;
    if let Some(inside) = &inside {
        inside.announce_dns(&client).await;
        inside.start_egress()?;
    }
    let (objects, events) = client.subscribe();
    let snapshot = Snapshot::from_objects(&objects);
    drop(objects);

    let runner = config
        .runner
        .then(|| start_runner(config, inside.as_ref(), &api))
        .transpose()?;
    if let Some(runner) = &runner {
        pods.set(&config.node_name, runner.clone());
    }
    let (dns, zone) = start_dns(config, inside.as_ref(), &snapshot)?;
    let (httpd, gateway) = start_gateway(config, inside.as_ref(), &snapshot)?;
    let relay = Relay::start(relay::Settings {
        node_name: config.node_name.clone(),
        handover: inside.as_ref().map(Inside::handover),
        ..relay::Settings::default()
    });
    let mut proxy = proxy::Planner::new(proxy::Settings {
        node_name: config.node_name.clone(),
        ..proxy::Settings::default()
    });
    relay.apply(&proxy.replan_all(&snapshot));
    spawn_controllers(config, &api, client.clone())?;
    let snapshot = Arc::new(RwLock::new(snapshot));
    let agent = inside
        .as_ref()
        .map(|inside| inside.start_agent(config, &client, snapshot.clone()))
        .transpose()?;
    let (agent, measured) = agent.unzip();
    let agent = agent.map(Arc::new);
    scrape.set(dns.metrics().clone(), &httpd, relay.clone(), measured);
    let marker = marker(config, inside.as_ref(), &api, &dns, &httpd);
    let plane = DataPlane {
        problems: Problems::new(client.clone(), &config.data_dir, config.runner),
        client,
        snapshot,
        zone,
        proxy,
        relay: relay.clone(),
        agent: agent.clone(),
        gateway,
        httpd: httpd.clone(),
        publish: config.runner.then(|| Publish {
            addresses: published(&marker),
        }),
        runner: runner.clone(),
        load_balancers: LoadBalancers {
            served: config.runner,
            our_class: LOAD_BALANCER_CLASS,
        },
        planned: BTreeSet::new(),
        sent: crate::statuses::Sent::default(),
    };
    spawn_data_plane(plane, events);
    marker.write(&config.data_dir)?;
    Ok(Up {
        api,
        dns,
        httpd,
        relay,
        runner,
        agent,
        _inside: inside,
        marker,
    })
}

/// Keeps the choice for a new directory before anything is stored that depends on it.
fn keep(config: &Config) -> anyhow::Result<()> {
    let dir = &config.data_dir;
    let _lock = lock(dir)?;
    if dir.join(STORE).exists() {
        // What it holds may not agree; the API server will say so.
        return Ok(());
    }
    let mut marker = Marker::default();
    marker.keep(&config.chosen);
    marker.write(dir)
}

impl Up {
    async fn stop(mut self, config: &Config) -> anyhow::Result<()> {
        if let Some(runner) = &self.runner {
            runner.shutdown().await;
        }
        self.relay.shutdown();
        self.dns.shutdown().await;
        if let Some(httpd) = Arc::into_inner(self.httpd) {
            let _ = tokio::task::spawn_blocking(move || httpd.shutdown()).await;
        }
        self.api.stop().await;
        if let Some(agent) = self.agent.and_then(Arc::into_inner) {
            let _ = tokio::task::spawn_blocking(move || agent.stop(true)).await;
        }
        self.marker.ready = false;
        self.marker.network = None;
        self.marker.write(&config.data_dir)
    }
}

/// Makes a directory that only its owner reads.
pub(crate) fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.with_context(|| format!("cannot make the data directory {}", dir.display()))
}

async fn start_api(
    config: &Config,
    inside: Option<&Inside>,
    pods: Arc<Pods>,
    scrape: Arc<metrics::Sources>,
) -> anyhow::Result<apid::Server> {
    let cidrs = config.chosen.services.clone();
    let mut settings = apid::Settings::new(&config.data_dir, config.api_listen, cidrs);
    settings.kubeconfig = Some(config.kubeconfig.clone());
    settings.gate = inside
        .map(|inside| inside.gate(&config.data_dir))
        .transpose()?;
    settings.pods = config.runner.then_some(pods as Arc<dyn apid::PodAccess>);
    settings.metrics = Some(Arc::new(move || scrape.render()));
    Ok(apid::Server::start(settings).await?)
}

fn ingress_class() -> Write {
    Write::Create {
        resource: Resource::INGRESS_CLASSES,
        object: json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }),
    }
}

fn start_runner(
    config: &Config,
    inside: Option<&Inside>,
    api: &apid::Server,
) -> anyhow::Result<Arc<Runner>> {
    // Processes find files by these paths wherever they work.
    let data_dir = std::path::absolute(&config.data_dir)?;
    let mut settings = runner::Settings::new(data_dir.join("pods"));
    settings.node_name.clone_from(&config.node_name);
    settings.pod_cidrs.clone_from(&config.chosen.pods);
    settings.kubeconfig = Some(std::path::absolute(api.kubeconfig())?);
    if let Some(inside) = inside {
        inside.run_pods(&mut settings);
        settings.kubeconfig = Some(inside.kubeconfig(&data_dir));
    }
    for (name, command) in &config.images {
        let pair = format!("{name}={command}");
        settings
            .images
            .add(&pair)
            .map_err(|error| anyhow::anyhow!("--image {pair}: {error}"))?;
    }
    let (writes, queue) = mpsc::unbounded_channel();
    let client = api.client().named("kubelet");
    settings.tokens = Some(pod_tokens(client.clone()));
    let runner = Runner::start(settings, Arc::new(client.clone()), writes)?;
    tokio::spawn(submit_all(client, queue));
    Ok(Arc::new(runner))
}

/// Makes tokens for the volumes of Pods.
fn pod_tokens(client: Client) -> runner::TokenSource {
    runner::TokenSource(Arc::new(move |pod, audience, seconds| {
        let minted = client.pod_token(pod, audience, seconds);
        let minted = minted.map_err(|error| error.message)?;
        Ok(runner::Token {
            text: minted.token,
            expires: minted.expires,
        })
    }))
}

/// Sends the runner's writes in their order.
async fn submit_all(client: Client, mut queue: UnboundedReceiver<Write>) {
    while let Some(write) = queue.recv().await {
        if let Err(error) = client.submit(write).await {
            tracing::debug!(%error, "a write of the runner was refused");
        }
    }
}

fn start_dns(
    config: &Config,
    inside: Option<&Inside>,
    snapshot: &Snapshot,
) -> anyhow::Result<(dnsd::Server, Arc<ArcSwap<Zone>>)> {
    let serial = u32::try_from(controllers::now().seconds()).unwrap_or(1);
    let zone = Zone::build(dns::Settings::new(serial), snapshot);
    let zone = Arc::new(ArcSwap::from_pointee(zone));
    let mut upstreams = config.dns_upstream.clone();
    if upstreams.is_empty() {
        upstreams = dnsd::system_nameservers();
        upstreams.retain(|upstream| *upstream != config.dns_listen);
    }
    let mut settings = dnsd::Settings::new(vec![config.dns_listen], upstreams);
    settings.inside = inside.map(Inside::dns);
    let server = dnsd::Server::start(&settings, zone.clone())
        .context("DNS: choose another --dns-listen address")?;
    Ok((server, zone))
}

fn start_gateway(
    config: &Config,
    inside: Option<&Inside>,
    snapshot: &Snapshot,
) -> anyhow::Result<(Arc<httpd::Server>, gateway::Planner)> {
    let settings = httpd::Settings {
        http: Some(config.http_listen),
        https: Some(config.https_listen),
        threads: 2,
        drain: Duration::from_secs(3),
        sockets: inside.map(Inside::upstreams),
        ..httpd::Settings::default()
    };
    let bound = httpd::Server::bind(&settings)
        .context("Ingress: choose another --http-listen or --https-listen address")?;
    let https_port = bound
        .local_addrs()
        .https
        .map_or(443, |address| address.port());
    let settings = gateway::Settings {
        https_port,
        https_redirect_port: config.https_redirect_port.unwrap_or(https_port),
        ..gateway::Settings::default()
    };
    let (planner, update) = gateway::Planner::new(snapshot, &settings);
    let server = bound.serve(planner.table().clone())?;
    for error in server.apply(update) {
        tracing::warn!(%error, "a certificate cannot be used");
    }
    Ok((Arc::new(server), planner))
}

/// Signs tokens in Secrets with the API server's key.
fn token_signer(client: Client) -> control::TokenSigner {
    control::TokenSigner(Arc::new(move |whom| {
        let account = (whom.account, whom.uid);
        let token = client.secret_token(whom.namespace, account, whom.secret);
        token
            .inspect_err(|error| tracing::error!(%error, "cannot sign a token"))
            .ok()
    }))
}

fn spawn_controllers(config: &Config, api: &apid::Server, client: Client) -> anyhow::Result<()> {
    let ca = api.ca_certificate();
    let ca_pem = std::fs::read_to_string(ca);
    let settings = control::Settings {
        node: config.runner.then(|| config.node_name.clone()),
        load_balancer_pool: config.runner.then_some(config.load_balancer_cidr),
        ca_pem: ca_pem.with_context(|| format!("cannot read {}", ca.display()))?,
        token_signer: Some(token_signer(client.clone())),
    };
    let client = client.named("kube-controller-manager");
    tokio::spawn(async move {
        controllers::run(client, settings).await;
        tracing::debug!("the controllers have ended");
    });
    Ok(())
}

fn spawn_data_plane(plane: DataPlane, events: UnboundedReceiver<Batch>) {
    tokio::spawn(async move {
        plane.run(events).await;
        tracing::debug!("the data plane has ended");
    });
}

fn marker(
    config: &Config,
    inside: Option<&Inside>,
    api: &apid::Server,
    dns: &dnsd::Server,
    httpd: &httpd::Server,
) -> Marker {
    let mut marker = Marker {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        ready: true,
        kubeconfig: api.kubeconfig().to_owned(),
        ca: Some(api.ca_certificate().to_owned()),
        listen: Listen {
            api: Some(api.address()),
            dns: dns.local_addrs().first().copied(),
            http: httpd.local_addrs().http,
            https: httpd.local_addrs().https,
        },
        node: config.runner.then(|| config.node_name.clone()),
        node_addresses: inside.map_or_else(Vec::new, |inside| {
            let all = inside.node_addresses().iter();
            all.map(ToString::to_string).collect()
        }),
        network: inside.map(Inside::path),
        ..Marker::default()
    };
    marker.keep(&config.chosen);
    marker
}

/// Where Ingress is reached, for the Ingresses' status.
fn published(marker: &Marker) -> Vec<String> {
    marker
        .listen
        .http
        .iter()
        .map(|address| address.ip().to_string())
        .collect()
}
