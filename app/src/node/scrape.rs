//! `/metrics`, `/proxyMode`, `/configz`: what operators and dashboards read.

use crate::node::agent::Agent;
use crate::node::config::{mode_name, write};
use crate::node::http::{Answer, Handler};
use crate::node::metrics::NodeMetrics;
use kernel::nftables::{Counter, Table};
use proxy::kernel::config::KubeProxyConfiguration;
use proxy::kernel::{PortName, RulesetPlanner};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Sets whose elements count packets.
const COUNTERS: [&str; 4] = [
    "counters4",
    "counters6",
    "nodeport-counters4",
    "nodeport-counters6",
];

/// Where the answers come from.
pub(crate) struct Scrape {
    metrics: Arc<NodeMetrics>,
    agent: Option<Arc<Agent>>,
    mode: &'static str,
    configz: String,
    dns: Mutex<Option<Arc<dnsd::Metrics>>>,
    gateway: Mutex<Weak<httpd::Server>>,
}

impl Scrape {
    /// Of a proxy that has just started.
    pub(crate) fn new(
        metrics: Arc<NodeMetrics>,
        agent: Option<Arc<Agent>>,
        config: &KubeProxyConfiguration,
    ) -> Self {
        let file = crate::load::parse(&write(config)).ok();
        let file = file.and_then(|documents| documents.into_iter().next());
        let configz = serde_json::json!({"kubeproxy.config.k8s.io": file});
        Self {
            metrics,
            agent,
            mode: mode_name(config.mode),
            configz: configz.to_string(),
            dns: Mutex::default(),
            gateway: Mutex::default(),
        }
    }

    /// The present DNS server.
    pub(crate) fn set_dns(&self, metrics: Option<Arc<dnsd::Metrics>>) {
        *self.dns.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    /// The Ingress server.
    pub(crate) fn set_gateway(&self, server: Option<Arc<httpd::Server>>) {
        let server = server
            .map(|server| Arc::downgrade(&server))
            .unwrap_or_default();
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// The server of `--metrics-bind-address`.
    pub(crate) fn handler(self: Arc<Self>) -> Handler {
        Arc::new(move |path| match path {
            "/metrics" => Answer::text(self.render()),
            "/proxyMode" => Answer::text(self.mode.to_owned()),
            "/healthz" | "/livez" => Answer::text("ok".to_owned()),
            "/configz" => Answer::new(
                http::StatusCode::OK,
                "application/json",
                self.configz.clone(),
            ),
            _ => Answer::not_found(),
        })
    }

    fn render(&self) -> String {
        let mut text = crate::metrics::build_info();
        if let Some(agent) = &self.agent {
            text.push_str(&self.metrics.render());
            text.push_str(&agent.ask(services).unwrap_or_default());
        }
        let dns = self
            .dns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(dns) = dns {
            text.push_str(&dns.render());
        }
        let gateway = self
            .gateway
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade();
        if let Some(gateway) = gateway {
            text.push_str(&gateway.metrics());
        }
        text
    }
}

/// Packets and bytes of each Service port, where they are counted.
fn services(planner: &RulesetPlanner, table: &mut Table) -> String {
    if !planner.settings().counters {
        return String::new();
    }
    let mut all: BTreeMap<PortName, Counter> = BTreeMap::new();
    for set in COUNTERS {
        // A set that is not there yet has counted nothing.
        for (key, counted) in table.counters(set, false).unwrap_or_default() {
            if let Some(port) = planner.port_of_element(set, &key) {
                let sum = all.entry(port).or_default();
                sum.packets += counted.packets;
                sum.bytes += counted.bytes;
            }
        }
    }
    let mut out = String::new();
    for (name, of) in [("packets", true), ("bytes", false)] {
        let _ = writeln!(
            out,
            "# HELP portolan_service_{name}_total To addresses of a Service's port, of new and old connections"
        );
        let _ = writeln!(out, "# TYPE portolan_service_{name}_total counter");
        for (port, sum) in &all {
            let value = if of { sum.packets } else { sum.bytes };
            let (namespace, service) = (&port.service.namespace, &port.service.name);
            let _ = writeln!(
                out,
                "portolan_service_{name}_total{{namespace=\"{namespace}\",service=\"{service}\",port=\"{}\"}} {value}",
                port.port
            );
        }
    }
    out
}
