//! Takes events into the Snapshot, plans again what they change, and hands each plan to its edge.

use crate::node::agent::{Agent, SharedSnapshot};
use crate::problems::Problems;
use crate::statuses::Sent;
use apid::{Batch, Client};
use arc_swap::ArcSwap;
use dns::Zone;
use gateway::Publish;
use model::{ChangedKeys, Problem, Resource, Snapshot};
use proxy::LoadBalancers;
use relay::Relay;
use runner::Runner;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

/// How long after a change problems are looked for: objects that belong together come one by one.
const SETTLE: Duration = Duration::from_millis(800);

/// What the relay's plan says of addresses that it does not listen on.
pub(crate) const NOT_RELAYED: &str = "AddressNotServed";

fn read(snapshot: &SharedSnapshot) -> RwLockReadGuard<'_, Snapshot> {
    snapshot.read().unwrap_or_else(PoisonError::into_inner)
}

/// The edges, and the plans that they were given last.
pub(crate) struct DataPlane {
    pub(crate) client: Client,
    pub(crate) snapshot: SharedSnapshot,
    pub(crate) zone: Arc<ArcSwap<Zone>>,
    pub(crate) proxy: proxy::Planner,
    pub(crate) relay: Relay,
    /// Keeps the rules in the kernel, where that is the data path
    pub(crate) agent: Option<Arc<Agent>>,
    pub(crate) gateway: gateway::Planner,
    pub(crate) httpd: Arc<httpd::Server>,
    /// Addresses for `status.loadBalancer`; `None` writes no status
    pub(crate) publish: Option<Publish>,
    pub(crate) runner: Option<Arc<Runner>>,
    pub(crate) load_balancers: LoadBalancers,
    pub(crate) problems: Problems,
    /// Problems that the plans told after the last change
    pub(crate) planned: BTreeSet<Problem>,
    /// Statuses of Ingresses
    pub(crate) sent: Sent,
}

impl DataPlane {
    /// Runs until the event stream ends.
    pub(crate) async fn run(mut self, mut events: UnboundedReceiver<Batch>) {
        let mut check_at = Some(Instant::now() + SETTLE);
        loop {
            tokio::select! {
                batch = events.recv() => {
                    let Some(batch) = batch else { return };
                    self.take(&batch, &mut events);
                    check_at.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                () = sleep_until(check_at.unwrap_or_else(Instant::now)), if check_at.is_some() => {
                    check_at = None;
                    self.sent.forget();
                    self.write_statuses();
                    self.planned = self.plan_problems();
                    self.tell_problems().await;
                }
                () = tokio::time::sleep(Duration::from_secs(2)), if check_at.is_none() => {
                    // Ports and processes change without an event.
                    self.tell_problems().await;
                }
            }
        }
    }

    /// Takes a batch in, and all that have come meanwhile.
    fn take(&mut self, batch: &Batch, events: &mut UnboundedReceiver<Batch>) {
        let mut changed = ChangedKeys::default();
        self.observe(batch, &mut changed);
        while let Ok(batch) = events.try_recv() {
            self.observe(&batch, &mut changed);
        }
        if changed.is_empty() {
            return;
        }
        if let Some(agent) = &self.agent {
            agent.changed(changed.clone());
        }
        let shared = self.snapshot.clone();
        let snapshot = read(&shared);
        self.relay.apply(&self.proxy.update(&snapshot, &changed));
        if !changed.services.is_empty() || changed.has(Resource::NAMESPACES) {
            let mut zone = Zone::clone(&self.zone.load());
            zone.update(&snapshot, &changed);
            self.zone.store(Arc::new(zone));
        }
        let update = self.gateway.apply(&snapshot, &changed);
        for error in self.httpd.apply(update) {
            tracing::warn!(%error, "a certificate cannot be used");
        }
        drop(snapshot);
        if changed.has(Resource::INGRESSES) || changed.has(Resource::INGRESS_CLASSES) {
            self.write_statuses();
        }
    }

    fn observe(&mut self, batch: &Batch, changed: &mut ChangedKeys) {
        let mut snapshot = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for event in batch.iter() {
            snapshot.apply(event, changed);
            if let Some(runner) = &self.runner {
                runner.observe(event);
            }
        }
    }

    fn write_statuses(&mut self) {
        let Some(publish) = &self.publish else { return };
        let (table, snapshot) = (self.gateway.table(), read(&self.snapshot));
        for (id, write) in self.sent.writes(table, &snapshot, publish) {
            let client = self.client.clone();
            tokio::spawn(async move {
                if let Err(error) = client.submit(write).await {
                    tracing::debug!(%id, %error, "the Ingress's status was not written");
                }
            });
        }
    }

    fn plan_problems(&self) -> BTreeSet<Problem> {
        let mut all = plan_problems(
            &read(&self.snapshot),
            self.gateway.table(),
            &self.proxy,
            self.load_balancers,
        );
        if self.agent.is_some() {
            // Addresses that the relay does not serve are served in the kernel.
            all.retain(|problem| problem.reason != NOT_RELAYED);
        }
        all
    }

    async fn tell_problems(&mut self) {
        let mut all = self.planned.clone();
        all.extend(self.relay.problems());
        let agent = self.agent.iter();
        all.extend(agent.flat_map(|agent| agent.report().problems));
        all.extend(self.runner.iter().flat_map(|runner| runner.problems()));
        self.problems.replace(all).await;
    }
}

/// Every problem that the plans themselves tell.
pub(crate) fn plan_problems(
    snapshot: &Snapshot,
    table: &gateway::RouteTable,
    proxy: &proxy::Planner,
    load_balancers: LoadBalancers,
) -> BTreeSet<Problem> {
    let mut all: BTreeSet<Problem> = snapshot.unreadable.values().cloned().collect();
    let services = snapshot.services.values();
    all.extend(services.flat_map(|service| proxy::gotchas(snapshot, service, load_balancers)));
    all.extend(proxy.problems());
    all.extend(table.problems(snapshot));
    let settings = dns::Settings::new(0);
    let services = snapshot.services.keys();
    all.extend(services.flat_map(|id| dns::problems(snapshot, id, &settings)));
    all
}
