//! What all threads read: the route table, endpoints, certificates, counters.

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::tls::Resolver;
use arc_swap::ArcSwap;
use gateway::{EndpointSet, RouteTable, ServiceRef};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Turns the name of an ExternalName Service into addresses; none means that there is no such name.
pub type Lookup =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>> + Send + Sync>;

/// A Service's endpoints: one pointer, changed when Pods come or go.
#[derive(Debug, Default)]
pub(crate) struct ServiceState {
    pub(crate) endpoints: ArcSwap<EndpointSet>,
    next: AtomicUsize,
}

impl ServiceState {
    /// Takes a turn of the round robin.
    pub(crate) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) type Services = HashMap<ServiceRef, Arc<ServiceState>>;

pub(crate) struct Shared {
    pub(crate) table: ArcSwap<RouteTable>,
    pub(crate) services: ArcSwap<Services>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) tls: ArcSwap<ServerConfig>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) lookup: Lookup,
    pub(crate) sockets: Option<crate::SocketSource>,
    /// True once the server is to stop
    pub(crate) stopping: watch::Sender<bool>,
    /// Connections that are open
    pub(crate) open: AtomicUsize,
}

impl Shared {
    pub(crate) fn service(&self, reference: &ServiceRef) -> Option<Arc<ServiceState>> {
        self.services.load().get(reference).cloned()
    }

    /// Stores a set; a Service that is known costs one pointer.
    pub(crate) fn publish_endpoints(&self, reference: ServiceRef, set: EndpointSet) {
        let set = Arc::new(set);
        if let Some(state) = self.services.load().get(&reference) {
            state.endpoints.store(set);
            return;
        }
        self.services.rcu(|services| {
            let mut services = Services::clone(services);
            let state = services.entry(reference.clone()).or_default();
            state.endpoints.store(set.clone());
            services
        });
    }

    pub(crate) fn remove_endpoints(&self, references: &[ServiceRef]) {
        if references.is_empty() {
            return;
        }
        self.services.rcu(|services| {
            let mut services = Services::clone(services);
            references.iter().for_each(|reference| {
                services.remove(reference);
            });
            services
        });
    }
}

/// The system's resolver.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name: String| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await;
            found.map_or_else(
                |_| Vec::new(),
                |addresses| addresses.map(|address| address.ip()).collect(),
            )
        })
    })
}
