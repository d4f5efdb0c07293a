//! `portolan run`: this node's part in a real cluster.
//!
//! ```text
//! API server ─Feed─► Snapshot ─┬─► agent (Services in the kernel)
//!                              └─► zone (DNS on the cluster's DNS address)
//! ```

use crate::cli::LogOptions;
use crate::node::addresses::{Choice, LocalMode, node_ips, node_ports};
use crate::node::agent::{Agent, AgentNotice, AgentOptions, SharedSnapshot, Told};
use crate::node::dns::{Dns, DnsOptions};
use crate::node::flags::{Role, RunOptions};
use crate::node::metrics::{NodeMetrics, seconds};
use anyhow::{Context, bail};
use cluster::{Client, Collection, Config, Feed, Notes, Notice, Regarding, Told as Note};
use kernel::link::Links;
use model::{ChangedKeys, Cidr, Event, EventKind, NamespacedName, Resource, Snapshot, Timestamp};
use proxy::kernel::NodeSettings;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// When the last change of an endpoint happened, as its writer says.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// How often what was refused by the system is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub(crate) fn run(options: &RunOptions, log: &LogOptions) -> anyhow::Result<()> {
    crate::logging::start(log)?;
    options.proxy.check()?;
    if options.proxy.cleanup {
        return crate::node::cleanup::run();
    }
    let node = NodeOptions::read(options)?;
    let config = match &options.kubeconfig {
        Some(path) => Config::from_kubeconfig(path)?,
        None => Config::in_cluster()?,
    };
    let config = match options
        .master
        .as_deref()
        .filter(|master| !master.is_empty())
    {
        Some(master) => config.with_server(master)?,
        None => config,
    };
    let client = Client::new(config, concat!("portolan/", env!("CARGO_PKG_VERSION")));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let result = runtime.block_on(serve(options, node, client));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// What the plan of the node depends on, besides the cluster.
struct NodeOptions {
    name: String,
    bind_address: IpAddr,
    node_ports: Vec<Choice>,
    localhost: bool,
    local: LocalMode,
    fixed: NodeSettings,
}

impl NodeOptions {
    fn read(options: &RunOptions) -> anyhow::Result<Self> {
        let flags = &options.proxy;
        let name = match flags.hostname_override.as_deref().map(str::trim) {
            Some(name) if !name.is_empty() => name.to_lowercase(),
            _ => host_name()?,
        };
        let all = flags.all_addresses()?;
        let local = LocalMode {
            mode: flags.detect_local_mode.clone().unwrap_or_default(),
            cluster: flags.cidrs()?,
            bridge: flags.pod_bridge_interface.clone().unwrap_or_default(),
            prefix: flags.pod_interface_name_prefix.clone().unwrap_or_default(),
        };
        local.check()?;
        let fixed = NodeSettings {
            node_name: name.clone(),
            masquerade_all: flags.masquerade_all,
            masquerade_mark: 1 << flags.iptables_masquerade_bit,
            external_ips: options.external_ips,
            counters: options.service_counters,
            reset_removed: options.reset_removed_endpoints,
            service_proxy_name: options.service_proxy_name.clone(),
            ..NodeSettings::default()
        };
        Ok(Self {
            name,
            bind_address: flags.bind_address,
            node_ports: Choice::read(&flags.nodeport_addresses, all)?,
            localhost: flags.iptables_localhost_nodeports,
            local,
            fixed,
        })
    }
}

fn host_name() -> anyhow::Result<String> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .trim()
        .to_lowercase();
    if name.is_empty() {
        bail!("the host has no name: give --hostname-override");
    }
    Ok(name)
}

async fn serve(options: &RunOptions, node: NodeOptions, client: Client) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(crate::up::told_to_stop()?);
    let (notices, told) = unbounded_channel();
    let mut session = Session::start(options, node, client, notices)?;
    tokio::select! {
        result = session.run(told) => result,
        () = &mut stop => {
            session.stop().await;
            Ok(())
        }
    }
}

/// Everything that runs.
struct Session {
    node: NodeOptions,
    client: Client,
    feed: Feed,
    snapshot: SharedSnapshot,
    service_cidrs: BTreeMap<Arc<str>, Vec<Cidr>>,
    agent: Option<Agent>,
    dns: Option<Dns>,
    notes: Arc<Notes>,
    metrics: Arc<NodeMetrics>,
    synced: bool,
    /// Changes that came before everything was there
    settings_stale: bool,
}

impl Session {
    fn start(
        options: &RunOptions,
        node: NodeOptions,
        client: Client,
        notices: tokio::sync::mpsc::UnboundedSender<AgentNotice>,
    ) -> anyhow::Result<Self> {
        let has = |role| options.role.contains(&role);
        let snapshot = SharedSnapshot::default();
        let metrics = Arc::new(NodeMetrics::default());
        let agent = has(Role::Node).then(|| {
            let options = AgentOptions {
                check_every: Some(options.proxy.iptables_sync_period).filter(|p| !p.is_zero()),
                begin: false,
                min_sync_period: options.proxy.iptables_min_sync_period,
                notify: Box::new(move |notice| drop(notices.send(notice))),
                metrics: metrics.clone(),
                ..AgentOptions::new(None, node.fixed.clone())
            };
            Agent::start(options, snapshot.clone())
        });
        let agent = agent.transpose()?;
        let dns = (has(Role::Dns) || (has(Role::Node) && options.dns))
            .then(|| Dns::new(dns_options(options)?))
            .transpose()?;
        let mut feed = Feed::new(client.clone());
        feed.follow(collections(agent.is_some(), dns.is_some(), &node.name));
        Ok(Self {
            notes: Arc::new(Notes::new(client.clone(), "portolan", &node.name)),
            node,
            client,
            feed,
            snapshot,
            service_cidrs: BTreeMap::new(),
            agent,
            dns,
            metrics,
            synced: false,
            settings_stale: false,
        })
    }

    async fn run(&mut self, mut told: UnboundedReceiver<AgentNotice>) -> anyhow::Result<()> {
        let mut again = tokio::time::interval(AGAIN);
        loop {
            tokio::select! {
                notice = self.feed.next() => self.take(notice).await,
                Some(notice) = told.recv() => self.tell(notice),
                _ = again.tick(), if self.synced => self.settle().await,
            }
        }
    }

    async fn stop(&mut self) {
        if let Some(dns) = self.dns.take() {
            dns.stop().await;
        }
        if let Some(agent) = self.agent.take() {
            let _ = tokio::task::spawn_blocking(move || agent.stop(false)).await;
        }
    }

    async fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Events(events) => self.events(&events).await,
            Notice::Synced => self.begin().await,
            Notice::Trouble { what, error } => {
                tracing::warn!(resource = %what.resource, %error, "cannot be followed; what is known stays in force");
            }
            Notice::Recovered { what } => {
                tracing::info!(resource = %what.resource, "followed again");
            }
        }
    }

    async fn events(&mut self, events: &[Event]) {
        let mut changed = ChangedKeys::default();
        let mut triggers = Vec::new();
        {
            let mut snapshot = self
                .snapshot
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            for event in events {
                if event.object.resource == Resource::SERVICE_CIDRS {
                    self.settings_stale |= note_range(&mut self.service_cidrs, event);
                }
                triggers.extend(trigger(event));
                snapshot.apply(event, &mut changed);
            }
        }
        self.count(events);
        if !self.synced {
            return;
        }
        if let Some(dns) = &self.dns {
            dns.update(&read(&self.snapshot), &changed);
        }
        let about_dns = |dns: &Dns| changed.services.contains(dns.service());
        self.settings_stale |=
            changed.has(Resource::NODES) || self.dns.as_ref().is_some_and(about_dns);
        if self.settings_stale {
            self.settle().await;
        }
        if let Some(agent) = self.agent.as_ref().filter(|_| !changed.is_empty()) {
            agent.changed(Told {
                keys: changed,
                triggers,
            });
        }
    }

    fn count(&self, events: &[Event]) {
        let of = |resource| {
            events
                .iter()
                .filter(|e| e.object.resource == resource)
                .count() as u64
        };
        let (services, endpoints) = (of(Resource::SERVICES), of(Resource::ENDPOINT_SLICES));
        self.metrics.with(|values| {
            values.services_total += services;
            values.services_pending += services;
            values.endpoints_total += endpoints;
            values.endpoints_pending += endpoints;
            values.last_queued = seconds();
        });
    }

    /// Everything is there for the first time: the parts begin.
    async fn begin(&mut self) {
        if std::mem::replace(&mut self.synced, true) {
            return;
        }
        tracing::info!(server = self.client.server(), "all objects are there");
        if let Some(dns) = &mut self.dns
            && let Err(error) = dns.begin(&read(&self.snapshot))
        {
            tracing::error!(%error, "DNS cannot begin");
        }
        self.settle().await;
        if let Some(agent) = &self.agent {
            agent.changed(ChangedKeys::default());
        }
    }

    /// Brings to the node what does not hang on single Services: addresses, DNS, settings.
    async fn settle(&mut self) {
        self.settings_stale = false;
        let settings = self.settings();
        if let Some(dns) = &mut self.dns {
            let wanted = settings.dns_addresses.iter().copied().collect();
            if let Err(error) = dns.serve(&wanted).await {
                tracing::error!("DNS is not served: {error:#}");
            }
        }
        if let Some(agent) = &self.agent {
            agent.set_settings(settings);
        }
    }

    fn settings(&self) -> NodeSettings {
        let snapshot = read(&self.snapshot);
        let node = snapshot.nodes.get(self.node.name.as_str());
        let node = node.map(Arc::as_ref);
        let ips = node_ips(node, self.node.bind_address);
        let (node_port_addresses, localhost_node_ports) = node_ports(
            &self.node.node_ports,
            &ips,
            &interfaces(),
            self.node.localhost,
        );
        let dns_addresses = self.dns.as_ref().map(|dns| dns.addresses(&snapshot));
        NodeSettings {
            node_ips: ips,
            node_port_addresses,
            localhost_node_ports,
            detect_local: self.node.local.resolve(node),
            service_cidrs: self.service_cidrs.values().flatten().copied().collect(),
            dns_addresses: dns_addresses.into_iter().flatten().collect(),
            ..self.node.fixed.clone()
        }
    }

    fn tell(&mut self, notice: AgentNotice) {
        let (kind, reason, note) = match notice {
            AgentNotice::Synced | AgentNotice::Health | AgentNotice::Localhost(_) => return,
            AgentNotice::Repaired { steps, by } => (
                "Warning",
                "RulesetRepaired",
                format!(
                    "The rules of Services were changed by {by}; {steps} steps brought them back."
                ),
            ),
            AgentNotice::Refused(what) => (
                "Warning",
                "RulesetRefused",
                format!("The kernel refuses {}.", what.join("; ")),
            ),
        };
        let note = Note {
            regarding: self.this_node(),
            kind,
            reason: reason.to_owned(),
            action: "Syncing".to_owned(),
            note,
        };
        let notes = self.notes.clone();
        tokio::spawn(async move {
            if let Err(error) = notes.tell(note).await {
                tracing::debug!(%error, "an event was not recorded");
            }
        });
    }

    fn this_node(&self) -> Regarding {
        Regarding {
            resource: Resource::NODES,
            kind: "Node",
            namespace: String::new(),
            name: self.node.name.clone(),
            uid: self.node.name.clone(),
        }
    }
}

fn read(snapshot: &SharedSnapshot) -> std::sync::RwLockReadGuard<'_, Snapshot> {
    snapshot.read().unwrap_or_else(PoisonError::into_inner)
}

fn dns_options(options: &RunOptions) -> anyhow::Result<DnsOptions> {
    let Some((namespace, name)) = options.dns_service.split_once('/') else {
        bail!("--dns-service {:?}: NAMESPACE/NAME", options.dns_service);
    };
    Ok(DnsOptions {
        addresses: options.cluster_dns.clone(),
        service: NamespacedName::new(namespace, name),
        domain: options.cluster_domain.clone(),
        resolv_conf: options.resolv_conf.clone(),
    })
}

/// What each part reads, and nothing more.
fn collections(proxy: bool, dns: bool, node: &str) -> BTreeSet<Collection> {
    let mut all = BTreeSet::new();
    let services = Collection::all(Resource::SERVICES, "Service");
    let slices = Collection::all(Resource::ENDPOINT_SLICES, "EndpointSlice");
    if dns {
        all.insert(Collection::all(Resource::NAMESPACES, "Namespace").optional());
        all.insert(services);
        all.insert(slices);
    } else if proxy {
        // Nobody connects to a headless Service by an address of its own.
        let proxied = "!service.kubernetes.io/headless";
        all.insert(services.labelled(proxied));
        all.insert(slices.labelled(proxied));
    }
    if proxy {
        all.insert(Collection::one(Resource::NODES, "Node", "", node));
        all.insert(Collection::all(Resource::SERVICE_CIDRS, "ServiceCIDR").optional());
    }
    all
}

/// Takes a ServiceCIDR in; true when the ranges changed.
fn note_range(ranges: &mut BTreeMap<Arc<str>, Vec<Cidr>>, event: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct ServiceCidr {
        spec: Spec,
    }
    #[derive(serde::Deserialize)]
    struct Spec {
        cidrs: Vec<String>,
    }
    let name = event.object.meta.name.clone();
    if event.kind == EventKind::Deleted {
        return ranges.remove(&name).is_some();
    }
    let read: Result<ServiceCidr, _> = event.object.parse();
    let cidrs = read.map(|range| range.spec.cidrs).unwrap_or_default();
    let cidrs: Vec<Cidr> = cidrs.iter().filter_map(|text| text.parse().ok()).collect();
    ranges.insert(name, cidrs.clone()) != Some(cidrs)
}

fn trigger(event: &Event) -> Option<i64> {
    if event.object.resource != Resource::ENDPOINT_SLICES || event.kind == EventKind::Deleted {
        return None;
    }
    let text = event.object.meta.annotations.get(TRIGGER)?;
    Timestamp::parse(text).map(Timestamp::micros)
}

/// Addresses of this machine that can be connected to.
fn interfaces() -> BTreeSet<IpAddr> {
    let listed = Links::open_here().and_then(|mut links| links.addresses());
    match listed {
        Ok(all) => all
            .into_iter()
            .filter(|a| !a.unusable)
            .map(|a| a.address)
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "addresses of this machine are not known");
            BTreeSet::new()
        }
    }
}
