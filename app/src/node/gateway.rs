//! Role `gateway`: Ingresses on ports of this node.

mod replicas;

use crate::node::flags::GatewayFlags;
use crate::statuses::Sent;
use anyhow::{Context, bail};
use cluster::{Client, Collection, Lease, LeaseSettings};
use gateway::{Planner, Publish, Settings};
use model::{ChangedKeys, Ingress, NamespacedName, Resource, Snapshot};
use replicas::Replicas;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Annotations that name a Secret, `NAME` or `NAMESPACE/NAME`.
const SECRETS: [&str; 3] = ["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];
/// Annotations and keys of the ConfigMap that name a ConfigMap.
const MAPS: [&str; 2] = ["custom-headers", "auth-proxy-set-headers"];
const GLOBAL_MAPS: [&str; 2] = ["proxy-set-headers", "add-headers"];
/// Most objects that are followed one by one.
const REFERENCES: usize = 1000;
/// Name of the Lease of those who may write statuses.
const LEASE: &str = "portolan-gateway-leader";

/// The part that serves Ingresses.
pub(crate) struct Gateway {
    client: Client,
    settings: Settings,
    bound: Option<httpd::Bound>,
    running: Option<(Arc<httpd::Server>, Planner)>,
    lease: Lease,
    flags: GatewayFlags,
    replicas: Replicas,
    /// Statuses of Ingresses
    sent: Sent,
}

impl Gateway {
    /// Binds the ports; nothing is served before [`Gateway::begin`].
    ///
    /// # Errors
    /// When a flag is wrong or a port cannot be bound.
    pub(crate) fn start(flags: &GatewayFlags, client: Client, node: &str) -> anyhow::Result<Self> {
        let settings = httpd::Settings {
            http: Some(flags.http_listen),
            https: Some(flags.https_listen),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ..httpd::Settings::default()
        };
        let bound = httpd::Server::bind(&settings)
            .context("Ingress: choose another --http-listen or --https-listen address")?;
        let https_port = flags.https_listen.port();
        let settings = Settings {
            controller: flags.controller_class.clone(),
            annotation_class: flags.ingress_class.clone(),
            watch_without_class: flags.watch_ingress_without_class,
            default_backend: named("--default-backend-service", &flags.default_backend_service)?,
            default_certificate: named(
                "--default-ssl-certificate",
                &flags.default_ssl_certificate,
            )?,
            config_map: named("--configmap", &Some(flags.configmap.clone()))?
                .unwrap_or_else(|| Settings::default().config_map),
            https_port,
            https_redirect_port: https_port,
        };
        let namespace = std::env::var("POD_NAMESPACE").ok();
        let namespace = namespace.unwrap_or_else(|| "kube-system".to_owned());
        let identity = format!("{node}_{}", std::process::id());
        let lease = LeaseSettings::new(&namespace, LEASE, &identity);
        Ok(Self {
            lease: Lease::start(client.clone(), lease),
            client,
            settings,
            bound: Some(bound),
            running: None,
            flags: flags.clone(),
            replicas: Replicas::here(node, flags.report_node_internal_ip_address),
            sent: Sent::default(),
        })
    }

    /// Plans all that is in the Snapshot and serves it.
    pub(crate) fn begin(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let Some(bound) = self.bound.take() else {
            return Ok(());
        };
        let (planner, update) = Planner::new(snapshot, &self.settings);
        let server = bound.serve(planner.table().clone())?;
        warn(server.apply(update));
        self.running = Some((Arc::new(server), planner));
        Ok(())
    }

    /// Takes in what changed.
    pub(crate) fn update(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) {
        if let Some((server, planner)) = &mut self.running {
            warn(server.apply(planner.apply(snapshot, changed)));
        }
    }

    /// What the Ingresses name, besides what is followed in any case.
    pub(crate) fn references(&self, snapshot: &Snapshot) -> BTreeSet<Collection> {
        let mut all = BTreeSet::new();
        if self.publishes_replicas() {
            all.extend(self.replicas.references(snapshot));
        }
        let secret = |id: &NamespacedName| {
            Collection::one(Resource::SECRETS, "Secret", &id.namespace, &id.name)
        };
        let map = |id: &NamespacedName| {
            Collection::one(Resource::CONFIG_MAPS, "ConfigMap", &id.namespace, &id.name)
        };
        all.insert(map(&self.settings.config_map));
        all.extend(self.settings.default_certificate.as_ref().map(secret));
        if let Some(global) = snapshot.config_maps.get(&self.settings.config_map) {
            let named = GLOBAL_MAPS.iter().filter_map(|key| global.data.get(*key));
            all.extend(
                named
                    .filter_map(|text| whole(text.trim()))
                    .map(|id| map(&id)),
            );
        }
        for ingress in snapshot.ingresses.values() {
            let (secrets, maps) = named_by(ingress);
            all.extend(secrets.iter().map(secret));
            all.extend(maps.iter().map(map));
            if all.len() > REFERENCES {
                tracing::error!(
                    "the Ingresses name more than {REFERENCES} objects: some are not read"
                );
                break;
            }
        }
        all
    }

    /// Writes the statuses that are not as they should be, if that is ours to do.
    pub(crate) fn write_statuses(&mut self, snapshot: &Snapshot) {
        let Some((_, planner)) = self.running.as_ref().filter(|_| self.lease.leads()) else {
            return;
        };
        let publish = Publish {
            addresses: self.addresses(snapshot),
        };
        for (id, write) in self.sent.writes(planner.table(), snapshot, &publish) {
            let client = self.client.clone();
            tokio::spawn(async move {
                if let Err(error) = client.submit(&write).await {
                    tracing::warn!(%id, %error, "the Ingress's status was not written");
                }
            });
        }
    }

    /// Statuses that did not come back are sent again.
    pub(crate) fn forget_sent(&mut self) {
        self.sent.forget();
    }

    fn publishes_replicas(&self) -> bool {
        self.flags.publish_status_address.is_empty() && self.flags.publish_service.is_none()
    }

    fn addresses(&self, snapshot: &Snapshot) -> Vec<String> {
        if !self.flags.publish_status_address.is_empty() {
            return self.flags.publish_status_address.clone();
        }
        let service = self.flags.publish_service.as_deref().and_then(whole);
        if let Some(service) = service.and_then(|id| snapshot.services.get(&id)) {
            let each = service.load_balancer.iter();
            let balanced = each.map(|lb| lb.ip.map_or(lb.hostname.clone(), |ip| ip.to_string()));
            let balanced: Vec<String> = balanced.filter(|text| !text.is_empty()).collect();
            if balanced.is_empty() {
                return service
                    .cluster_ips
                    .iter()
                    .map(ToString::to_string)
                    .collect();
            }
            return balanced;
        }
        let addresses = self.replicas.addresses(snapshot);
        addresses.iter().map(ToString::to_string).collect()
    }

    /// Metrics, once it serves.
    pub(crate) fn server(&self) -> Option<Arc<httpd::Server>> {
        self.running.as_ref().map(|(server, _)| server.clone())
    }

    /// Ends connections gently.
    pub(crate) async fn stop(self) {
        if let Some((server, _)) = self.running
            && let Some(server) = Arc::into_inner(server)
        {
            let _ = tokio::task::spawn_blocking(move || server.shutdown()).await;
        }
    }
}

fn warn(errors: Vec<impl std::fmt::Display>) {
    for error in errors {
        tracing::warn!(%error, "a certificate cannot be used");
    }
}

fn named(flag: &str, text: &Option<String>) -> anyhow::Result<Option<NamespacedName>> {
    match text.as_deref().filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match whole(text) {
            Some(id) => Ok(Some(id)),
            None => bail!("{flag} {text:?}: NAMESPACE/NAME"),
        },
    }
}

fn whole(text: &str) -> Option<NamespacedName> {
    let (namespace, name) = text.split_once('/')?;
    Some(NamespacedName::new(namespace, name))
}

/// Secrets and ConfigMaps that an Ingress names.
fn named_by(ingress: &Ingress) -> (Vec<NamespacedName>, Vec<NamespacedName>) {
    let namespace = &ingress.id.namespace;
    let read = |text: &String| whole(text).unwrap_or_else(|| NamespacedName::new(namespace, text));
    let annotation = |name: &&str| {
        let key = format!("{}/{name}", gateway::PREFIX.trim_end_matches('/'));
        ingress.meta.annotations.get(&key)
    };
    let tls = ingress.tls.iter().map(|tls| &tls.secret_name);
    let secrets = tls.chain(SECRETS.iter().filter_map(annotation));
    let secrets = secrets.filter(|name| !name.is_empty()).map(read).collect();
    (
        secrets,
        MAPS.iter().filter_map(annotation).map(read).collect(),
    )
}
