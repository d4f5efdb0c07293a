//! `/metrics`: the parts' own metrics, under the names of the systems they replace.

use crate::node::metrics::NodeMetrics;
use relay::Relay;
use std::sync::{Arc, OnceLock};

/// Where metrics come from, once everything runs.
#[derive(Default)]
pub(crate) struct Sources {
    parts: OnceLock<Parts>,
}

struct Parts {
    dns: Arc<dnsd::Metrics>,
    httpd: std::sync::Weak<httpd::Server>,
    relay: Relay,
    node: Option<Arc<NodeMetrics>>,
}

impl Sources {
    /// From now on there is something to show.
    pub(crate) fn set(
        &self,
        dns: Arc<dnsd::Metrics>,
        httpd: &Arc<httpd::Server>,
        relay: Relay,
        node: Option<Arc<NodeMetrics>>,
    ) {
        let httpd = Arc::downgrade(httpd);
        let _ = self.parts.set(Parts {
            dns,
            httpd,
            relay,
            node,
        });
    }

    /// Everything in Prometheus's text form.
    pub(crate) fn render(&self) -> String {
        let mut text = build_info();
        let Some(parts) = self.parts.get() else {
            return text;
        };
        text.push_str(&parts.dns.render());
        text.push_str(&parts.relay.metrics());
        if let Some(node) = &parts.node {
            text.push_str(&node.render());
        }
        if let Some(httpd) = parts.httpd.upgrade() {
            text.push_str(&httpd.metrics());
        }
        text
    }
}

pub(crate) fn build_info() -> String {
    format!(
        "# HELP portolan_build_info A constant 1, labelled with the version.\n\
         # TYPE portolan_build_info gauge\n\
         portolan_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    )
}
