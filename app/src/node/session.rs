//! Everything that runs for one node, and the loop that joins it.
//!
//! ```text
//! API server ─Feed─► Snapshot ─┬─► agent    (Services in the kernel)
//!                              ├─► DNS      (zone, on the cluster's DNS address)
//!                              └─► gateway  (Ingresses)
//! ```
//!
//! While the API server is away, everything goes on with what is known.

use crate::node::addresses::AddressChanges;
use crate::node::agent::{Agent, AgentNotice, AgentOptions, SharedSnapshot, Told};
use crate::node::config::InForce;
use crate::node::dns::{Dns, DnsOptions};
use crate::node::flags::{Role, RunOptions};
use crate::node::gateway::Gateway;
use crate::node::health::{Health, HealthServers, Unbound};
use crate::node::http::Server;
use crate::node::metrics::{NodeMetrics, seconds};
use crate::node::scrape::Scrape;
use crate::node::sources::{collections, interfaces, node_ips, note_range, trigger};
use anyhow::{Context, bail};
use cluster::{Client, Collection, Feed, Notes, Notice, Regarding, Told as Note};
use model::{ChangedKeys, Cidr, Event, NamespacedName, Resource, Snapshot};
use proxy::kernel::NodeSettings;
use proxy::kernel::config::NodeFacts;
use relay::Relay;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often what was refused by the system is tried again, and everything is looked at in case that
/// the kernel did not tell.
const AGAIN: Duration = Duration::from_secs(5);

/// What a session is started with.
pub(crate) struct Setup {
    pub(crate) options: RunOptions,
    pub(crate) in_force: InForce,
    /// Name of the Node
    pub(crate) node: String,
    pub(crate) client: Client,
}

/// Everything that runs.
pub(crate) struct Session {
    setup: Setup,
    feed: Feed,
    followed: BTreeSet<Collection>,
    snapshot: SharedSnapshot,
    service_cidrs: BTreeMap<Arc<str>, Vec<Cidr>>,
    agent: Option<Arc<Agent>>,
    told: UnboundedReceiver<AgentNotice>,
    dns: Option<Dns>,
    gateway: Option<Gateway>,
    relay: Option<Relay>,
    notes: Arc<Notes>,
    metrics: Arc<NodeMetrics>,
    health: Health,
    health_ports: HealthServers,
    scrape: Arc<Scrape>,
    servers: BTreeMap<&'static str, Server>,
    synced: bool,
    stale: bool,
}

impl Session {
    /// Starts all parts; they begin when everything is there.
    pub(crate) fn start(setup: Setup) -> anyhow::Result<Self> {
        let options = &setup.options;
        let has = |role| options.role.contains(&role);
        let snapshot = SharedSnapshot::default();
        let metrics = Arc::new(NodeMetrics::default());
        let (tell, told) = unbounded_channel();
        let agent = has(Role::Node).then(|| start_agent(&setup, tell, &metrics, &snapshot));
        let agent = agent.transpose()?.map(Arc::new);
        let dns = (has(Role::Dns) || (has(Role::Node) && options.dns))
            .then(|| Dns::new(dns_options(options)?));
        let dns = dns.transpose()?;
        let gateway = has(Role::Gateway)
            .then(|| Gateway::start(&options.gateway, setup.client.clone(), &setup.node));
        let gateway = gateway.transpose()?;
        let followed = collections(
            agent.is_some(),
            dns.is_some(),
            gateway.is_some(),
            &setup.node,
        );
        let mut feed = Feed::new(setup.client.clone());
        feed.follow(followed.clone());
        let health = Health {
            metrics: metrics.clone(),
            snapshot: snapshot.clone(),
            node_name: setup.node.clone(),
            patience: setup.in_force.config.sync_period * 2,
        };
        let notes = Notes::new(setup.client.clone(), "portolan", &setup.node);
        Ok(Self {
            scrape: Arc::new(Scrape::new(
                metrics.clone(),
                agent.clone(),
                &setup.in_force.config,
            )),
            health_ports: HealthServers::new(health.clone()),
            setup,
            feed,
            followed,
            snapshot,
            service_cidrs: BTreeMap::new(),
            agent,
            told,
            dns,
            gateway,
            relay: None,
            notes: Arc::new(notes),
            metrics,
            health,
            servers: BTreeMap::new(),
            synced: false,
            stale: false,
        })
    }

    /// Runs until something cannot go on.
    pub(crate) async fn run(&mut self) -> anyhow::Result<()> {
        let mut again = tokio::time::interval(AGAIN);
        let addresses = AddressChanges::listen();
        loop {
            tokio::select! {
                notice = self.feed.next() => self.take(notice).await,
                Some(notice) = self.told.recv() => self.tell(notice).await,
                () = addresses.next() => if self.synced {
                    self.settle().await;
                    self.serve_health_ports().await;
                },
                _ = again.tick() => {
                    self.serve_status().await?;
                    if self.synced {
                        self.again().await;
                    }
                }
            }
        }
    }

    /// Ends all parts. What is in the kernel stays, so that traffic goes on.
    pub(crate) async fn stop(mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        if let Some(dns) = self.dns.take() {
            dns.stop().await;
        }
        if let Some(relay) = self.relay.take() {
            relay.shutdown();
        }
        // The scrape holds the agent too, which ends with its last holder.
        self.servers.clear();
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
                    self.stale |= note_range(&mut self.service_cidrs, event);
                }
                triggers.extend(trigger(event));
            }
            snapshot.apply_all(events, &mut changed);
        }
        if !self.synced {
            return;
        }
        self.count(events);
        self.update(&changed);
        if self.stale {
            self.settle().await;
        }
        if let Some(agent) = self.agent.as_ref().filter(|_| !changed.is_empty()) {
            agent.changed(Told {
                keys: changed,
                triggers,
            });
        }
    }

    /// Hands what changed to the parts that live in this process.
    fn update(&mut self, changed: &ChangedKeys) {
        let snapshot = read(&self.snapshot);
        if let Some(dns) = &self.dns {
            dns.update(&snapshot, changed);
            self.stale |= changed.services.contains(dns.service());
        }
        self.stale |= changed.has(Resource::NODES);
        let Some(gateway) = &mut self.gateway else {
            return;
        };
        gateway.update(&snapshot, changed);
        let ours = [
            Resource::INGRESSES,
            Resource::INGRESS_CLASSES,
            Resource::CONFIG_MAPS,
            Resource::PODS,
            Resource::NODES,
        ];
        if ours.iter().any(|resource| changed.has(*resource)) {
            let mut wanted = gateway.references(&snapshot);
            wanted.extend(self.followed.iter().cloned());
            self.feed.follow(wanted);
            gateway.write_statuses(&snapshot);
        }
    }

    fn count(&self, events: &[Event]) {
        let of = |resource| {
            let of = events
                .iter()
                .filter(|event| event.object.resource == resource);
            u64::try_from(of.count()).unwrap_or(u64::MAX)
        };
        let (services, endpoints) = (of(Resource::SERVICES), of(Resource::ENDPOINT_SLICES));
        if self.agent.is_none() || services + endpoints == 0 {
            return;
        }
        self.metrics.with(|values| {
            values.services_total += services;
            values.services_pending += services;
            values.endpoints_total += endpoints;
            values.endpoints_pending += endpoints;
            values.last_queued = seconds();
            values.pending_since.get_or_insert_with(Instant::now);
        });
    }

    /// Everything is there for the first time: the parts begin.
    async fn begin(&mut self) {
        if std::mem::replace(&mut self.synced, true) {
            return;
        }
        tracing::info!(server = self.setup.client.server(), "all objects are there");
        if let Err(error) = self.begin_parts() {
            tracing::error!("{error:#}");
        }
        self.settle().await;
        if let Some(agent) = &self.agent {
            agent.changed(ChangedKeys::default());
        }
    }

    fn begin_parts(&mut self) -> anyhow::Result<()> {
        let snapshot = read(&self.snapshot);
        if let Some(dns) = &mut self.dns {
            dns.begin(&snapshot).context("DNS cannot begin")?;
        }
        if let Some(gateway) = &mut self.gateway {
            gateway.begin(&snapshot).context("Ingress cannot begin")?;
            let mut wanted = gateway.references(&snapshot);
            wanted.extend(self.followed.iter().cloned());
            self.feed.follow(wanted);
            self.scrape.set_gateway(gateway.server());
        }
        Ok(())
    }

    async fn again(&mut self) {
        self.settle().await;
        self.serve_health_ports().await;
        if let Some(gateway) = &mut self.gateway {
            let snapshot = read(&self.snapshot);
            gateway.forget_sent();
            gateway.write_statuses(&snapshot);
        }
    }

    /// Brings to the node what does not hang on single Services: addresses, DNS, settings.
    async fn settle(&mut self) {
        self.stale = false;
        let settings = self.settings();
        if let Some(dns) = &mut self.dns {
            let wanted = settings.dns_addresses.iter().copied().collect();
            if let Err(error) = dns.serve(&wanted).await {
                tracing::error!("DNS is not served: {error:#}");
            }
            self.scrape.set_dns(dns.metrics().cloned());
        }
        if let Some(agent) = &self.agent {
            agent.set_settings(settings);
        }
    }

    fn settings(&self) -> NodeSettings {
        let snapshot = read(&self.snapshot);
        let node = snapshot
            .nodes
            .get(self.setup.node.as_str())
            .map(Arc::as_ref);
        let config = &self.setup.in_force.config;
        let facts = NodeFacts {
            node_name: self.setup.node.clone(),
            node_ips: node_ips(node, config.bind_address),
            addresses: interfaces(),
            pod_cidrs: node.map(|node| node.pod_cidrs.clone()).unwrap_or_default(),
            service_cidrs: self.service_cidrs.values().flatten().copied().collect(),
        };
        let settings = config.node_settings(&facts);
        let dns_addresses = self.dns.as_ref().map(|dns| dns.addresses(&snapshot));
        let options = &self.setup.options;
        NodeSettings {
            dns_addresses: dns_addresses.into_iter().flatten().collect(),
            external_ips: settings.external_ips || options.external_ips,
            counters: options.service_counters,
            reset_removed: options.reset_removed_endpoints,
            service_proxy_name: options.service_proxy_name.clone(),
            ..settings
        }
    }

    /// Starts the servers of health and metrics that do not run yet.
    async fn serve_status(&mut self) -> anyhow::Result<()> {
        let InForce {
            config,
            healthz,
            metrics,
        } = &self.setup.in_force;
        let proxy = self.agent.is_some();
        let wanted = [
            ("healthz", *healthz && proxy, config.healthz_bind_address),
            ("metrics", *metrics, config.metrics_bind_address),
        ];
        for (name, wanted, address) in wanted {
            if !wanted || self.servers.contains_key(name) {
                continue;
            }
            let handler = match name {
                "healthz" => self.health.clone().handler(),
                _ => self.scrape.clone().handler(),
            };
            match Server::start(address, handler).await {
                Ok(server) => drop(self.servers.insert(name, server)),
                Err(error) if config.bind_address_hard_fail => {
                    bail!("failed to start {name} server on {address}: {error}");
                }
                Err(error) => tracing::error!(%address, %error, "the {name} server cannot listen"),
            }
        }
        Ok(())
    }

    async fn serve_health_ports(&mut self) {
        let Some(agent) = &self.agent else { return };
        let addresses = self.settings().node_port_addresses;
        let unbound = self
            .health_ports
            .apply(agent.report().health, &addresses)
            .await;
        for unbound in unbound {
            self.tell_unbound(unbound);
        }
    }

    fn tell_unbound(&self, unbound: Unbound) {
        let Unbound {
            service,
            port,
            error,
        } = unbound;
        let node = &self.setup.node;
        let uid = read(&self.snapshot)
            .services
            .get(&service)
            .map(|s| s.meta.uid.to_string());
        self.note(Note {
            regarding: Regarding {
                resource: Resource::SERVICES,
                kind: "Service",
                namespace: service.namespace.to_string(),
                name: service.name.to_string(),
                uid: uid.unwrap_or_default(),
            },
            kind: "Warning",
            reason: "FailedToStartServiceHealthcheck".to_owned(),
            action: "Listen".to_owned(),
            note: format!(
                "node {node} failed to start healthcheck \"{service}\" on port {port}: {error}"
            ),
        });
    }

    async fn tell(&mut self, notice: AgentNotice) {
        let (reason, note) = match notice {
            AgentNotice::Synced => return,
            AgentNotice::Health => return self.serve_health_ports().await,
            AgentNotice::Localhost(changes) => {
                let settings = relay::Settings {
                    node_name: self.setup.node.clone(),
                    ..relay::Settings::default()
                };
                let relay = self.relay.get_or_insert_with(|| Relay::start(settings));
                return relay.apply(&changes);
            }
            AgentNotice::Repaired { steps, by } => (
                "RulesetRepaired",
                format!(
                    "The rules of Services were changed by {by}; {steps} steps brought them back."
                ),
            ),
            AgentNotice::Refused(what) => (
                "RulesetRefused",
                format!("The kernel refuses {}.", what.join("; ")),
            ),
        };
        self.note(Note {
            regarding: Regarding {
                resource: Resource::NODES,
                kind: "Node",
                namespace: String::new(),
                name: self.setup.node.clone(),
                uid: self.setup.node.clone(),
            },
            kind: "Warning",
            reason: reason.to_owned(),
            action: "Syncing".to_owned(),
            note,
        });
    }

    fn note(&self, note: Note) {
        let notes = self.notes.clone();
        tokio::spawn(async move {
            if let Err(error) = notes.tell(note).await {
                tracing::debug!(%error, "an event was not recorded");
            }
        });
    }
}

fn start_agent(
    setup: &Setup,
    tell: UnboundedSender<AgentNotice>,
    metrics: &Arc<NodeMetrics>,
    snapshot: &SharedSnapshot,
) -> anyhow::Result<Agent> {
    let period = setup.in_force.config.sync_period;
    let settings = NodeSettings {
        node_name: setup.node.clone(),
        ..NodeSettings::default()
    };
    let options = AgentOptions {
        check_every: Some(period).filter(|period| !period.is_zero()),
        begin: false,
        notify: Box::new(move |notice| drop(tell.send(notice))),
        metrics: metrics.clone(),
        socket_lb: setup.options.socket_lb.clone(),
        ..AgentOptions::new(None, settings)
    };
    Agent::start(options, snapshot.clone())
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
