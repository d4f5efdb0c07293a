//! DNS on the cluster's DNS address: the address is put on the loopback interface of the node and
//! answered here, with no rewriting and no tracked connection.

use anyhow::Context;
use arc_swap::ArcSwap;
use dns::{Name, Zone};
use kernel::link::{LinkError, Links};
use model::{ChangedKeys, NamespacedName, Resource, Service, Snapshot};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

const PORT: u16 = 53;
const EEXIST: i32 = 17;
const EADDRNOTAVAIL: i32 = 99;

/// How DNS is served.
pub(crate) struct DnsOptions {
    /// Addresses; without them, those of the Service
    pub(crate) addresses: Vec<IpAddr>,
    /// The Service
    pub(crate) service: NamespacedName,
    /// The cluster's domain
    pub(crate) domain: String,
    /// File with other name servers
    pub(crate) resolv_conf: PathBuf,
}

/// The part that serves DNS.
pub(crate) struct Dns {
    options: DnsOptions,
    zone: Arc<ArcSwap<Zone>>,
    /// What is served at the moment, and by what
    served: BTreeSet<IpAddr>,
    server: Option<dnsd::Server>,
    metrics: Option<Arc<dnsd::Metrics>>,
}

impl Dns {
    /// Serves nothing yet.
    pub(crate) fn new(options: DnsOptions) -> anyhow::Result<Self> {
        let zone = Zone::new(settings(&options)?);
        Ok(Self {
            options,
            zone: Arc::new(ArcSwap::from_pointee(zone)),
            served: BTreeSet::new(),
            server: None,
            metrics: None,
        })
    }

    /// Begins with all that is in the Snapshot.
    pub(crate) fn begin(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let zone = Zone::build(settings(&self.options)?, snapshot);
        self.zone.store(Arc::new(zone));
        Ok(())
    }

    /// Takes in what changed.
    pub(crate) fn update(&self, snapshot: &Snapshot, changed: &ChangedKeys) {
        if changed.services.is_empty() && !changed.has(Resource::NAMESPACES) {
            return;
        }
        let mut zone = Zone::clone(&self.zone.load());
        zone.update(snapshot, changed);
        self.zone.store(Arc::new(zone));
    }

    /// Addresses that should be served.
    pub(crate) fn addresses(&self, snapshot: &Snapshot) -> BTreeSet<IpAddr> {
        if !self.options.addresses.is_empty() {
            return self.options.addresses.iter().copied().collect();
        }
        let service = snapshot.services.get(&self.options.service);
        service
            .map(|service| cluster_ips(service))
            .unwrap_or_default()
    }

    /// The Service that names the addresses.
    pub(crate) fn service(&self) -> &NamespacedName {
        &self.options.service
    }

    /// Metrics of the present server.
    pub(crate) fn metrics(&self) -> Option<&Arc<dnsd::Metrics>> {
        self.metrics.as_ref()
    }

    /// Listens on these addresses and on no others. Addresses that cannot be had are an error, and
    /// are tried again with the next call.
    pub(crate) async fn serve(&mut self, wanted: &BTreeSet<IpAddr>) -> anyhow::Result<()> {
        if *wanted == self.served {
            return Ok(());
        }
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
        let gone: Vec<IpAddr> = self.served.difference(wanted).copied().collect();
        self.served.clear();
        for address in gone {
            remove_address(address)?;
        }
        for address in wanted {
            add_address(*address)?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let listen: Vec<SocketAddr> = wanted.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect();
        let upstreams = self.upstreams(wanted);
        let settings = dnsd::Settings::new(listen, upstreams);
        let server = dnsd::Server::start(&settings, self.zone.clone())?;
        tracing::info!(?wanted, "serving DNS");
        self.metrics = Some(server.metrics().clone());
        self.server = Some(server);
        self.served.clone_from(wanted);
        Ok(())
    }

    fn upstreams(&self, own: &BTreeSet<IpAddr>) -> Vec<SocketAddr> {
        let path = &self.options.resolv_conf;
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
            tracing::warn!(%error, "{}: no names outside the cluster", path.display());
            String::new()
        });
        let mut all = dnsd::nameservers(&text);
        all.retain(|server| !own.contains(&server.ip()));
        all
    }

    /// Stops to listen; the addresses stay, for whoever comes next.
    pub(crate) async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }
}

fn settings(options: &DnsOptions) -> anyhow::Result<dns::Settings> {
    let domain = options.domain.to_lowercase();
    let zone = Name::parse(&domain);
    let zone = zone.with_context(|| format!("--cluster-domain {domain:?} is no domain"))?;
    let serial = u32::try_from(crate::controllers::now().seconds()).unwrap_or(1);
    Ok(dns::Settings {
        zone,
        ..dns::Settings::new(serial)
    })
}

fn cluster_ips(service: &Service) -> BTreeSet<IpAddr> {
    service.cluster_ips.iter().copied().collect()
}

fn loopback(links: &mut Links) -> Result<u32, LinkError> {
    links.index("lo")
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn add_address(address: IpAddr) -> Result<(), LinkError> {
    let mut links = Links::open_here()?;
    let lo = loopback(&mut links)?;
    match links.add_address(lo, address, width(address)) {
        Err(error) if error.errno() == Some(EEXIST) => Ok(()),
        other => other,
    }
}

/// Takes an address from the loopback interface; one that is not there is no error.
pub(crate) fn remove_address(address: IpAddr) -> Result<(), LinkError> {
    let mut links = Links::open_here()?;
    let lo = loopback(&mut links)?;
    match links.delete_address(lo, address, width(address)) {
        Err(error) if error.errno() == Some(EADDRNOTAVAIL) => Ok(()),
        other => other,
    }
}
