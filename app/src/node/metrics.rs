//! kube-proxy's metrics, under its names and labels, so that dashboards carry over.
//!
//! One transaction programs both address families, so that what is measured once is shown with
//! both values of the label `ip_family`.

use proxy::kernel::NoLocalEndpoints;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

/// Measurements of one node's proxy.
#[derive(Default)]
pub(crate) struct NodeMetrics {
    values: Mutex<Values>,
}

/// What is measured. Times are seconds since the epoch.
#[derive(Default)]
pub(crate) struct Values {
    /// All transactions, whole and partial
    pub(crate) sync: Histogram,
    /// Comparisons of the whole
    pub(crate) full: Histogram,
    /// Transactions of what changed
    pub(crate) partial: Histogram,
    /// From the change of a Pod to the kernel
    pub(crate) programming: Histogram,
    /// Passes over the tracked connections
    pub(crate) conntrack: Histogram,
    /// Connections that were forgotten
    pub(crate) conntrack_deleted: u64,
    /// When the kernel last held all that was planned
    pub(crate) last_sync: f64,
    /// When a change was last told
    pub(crate) last_queued: f64,
    /// Since when the oldest change waits
    pub(crate) pending_since: Option<Instant>,
    /// Changes that wait
    pub(crate) endpoints_pending: u64,
    /// Changes that were told
    pub(crate) endpoints_total: u64,
    /// Changes that wait
    pub(crate) services_pending: u64,
    /// Changes that were told
    pub(crate) services_total: u64,
    /// Transactions that the kernel refused, at least in part
    pub(crate) failures: u64,
    /// Foreign changes that were repaired
    pub(crate) repairs: u64,
    /// Of both families
    pub(crate) no_local: [NoLocalEndpoints; 2],
    /// Answers of `/healthz`: 200 and 503
    pub(crate) healthz: [u64; 2],
    /// Answers of `/livez`: 200 and 503
    pub(crate) livez: [u64; 2],
}

impl NodeMetrics {
    /// Changes the values.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Values) -> R) -> R {
        change(&mut self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything in Prometheus's text form.
    pub(crate) fn render(&self) -> String {
        self.with(|values| values.render())
    }
}

/// Seconds since the epoch.
pub(crate) fn seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Counts of durations up to bounds that each histogram has for itself.
#[derive(Clone, Default)]
pub(crate) struct Histogram {
    /// Milliseconds of each observation would be too many to keep: counted by power of two and by
    /// second, which both kinds of bounds are made of
    counts: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

impl Histogram {
    /// Notes one duration.
    pub(crate) fn observe(&mut self, duration: Duration) {
        self.observe_seconds(duration.as_secs_f64());
    }

    /// Notes one duration in seconds.
    pub(crate) fn observe_seconds(&mut self, seconds: f64) {
        self.sum += seconds;
        self.count += 1;
        // The smallest bound of either kind that holds it.
        let bound = all_bounds().into_iter().find(|bound| seconds <= *bound);
        let Some(bound) = bound else { return };
        match self.counts.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((bound, 1)),
        }
    }

    fn render(&self, out: &mut String, name: &str, bounds: &[f64]) {
        for family in FAMILIES {
            for bound in bounds {
                let below = self.counts.iter().filter(|(known, _)| known <= bound);
                let below: u64 = below.map(|(_, count)| count).sum();
                line(
                    out,
                    name,
                    &format!("_bucket{{ip_family=\"{family}\",le=\"{bound}\"}} {below}"),
                );
            }
            let (count, sum) = (self.count, self.sum);
            line(
                out,
                name,
                &format!("_bucket{{ip_family=\"{family}\",le=\"+Inf\"}} {count}"),
            );
            line(out, name, &format!("_sum{{ip_family=\"{family}\"}} {sum}"));
            line(
                out,
                name,
                &format!("_count{{ip_family=\"{family}\"}} {count}"),
            );
        }
    }
}

/// 1 ms, 2 ms, 4 ms … 16.384 s
fn sync_bounds() -> Vec<f64> {
    (0..15).map(|n| f64::from(1 << n) / 1000.0).collect()
}

/// Quarters of a second, seconds, five seconds, half minutes
fn programming_bounds() -> Vec<f64> {
    let mut bounds = vec![0.25, 0.5];
    bounds.extend((1..60).map(f64::from));
    bounds.extend((0..12).map(|n| f64::from(60 + 5 * n)));
    bounds.extend((0..7).map(|n| f64::from(120 + 30 * n)));
    bounds
}

fn all_bounds() -> Vec<f64> {
    let mut all = sync_bounds();
    all.extend(programming_bounds());
    all.sort_by(f64::total_cmp);
    all
}

fn line(out: &mut String, name: &str, rest: &str) {
    let _ = writeln!(out, "kubeproxy_{name}{rest}");
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP kubeproxy_{name} [ALPHA] {help}");
    let _ = writeln!(out, "# TYPE kubeproxy_{name} {kind}");
}

impl Values {
    fn render(&self) -> String {
        let mut out = String::new();
        self.histograms(&mut out);
        self.plain(&mut out);
        self.by_family(&mut out);
        for (name, codes) in [
            ("proxy_healthz_total", self.healthz),
            ("proxy_livez_total", self.livez),
        ] {
            head(
                &mut out,
                name,
                "counter",
                "Answers of the health server by HTTP status",
            );
            for (code, count) in ["200", "503"].iter().zip(codes) {
                line(&mut out, name, &format!("{{code=\"{code}\"}} {count}"));
            }
        }
        let _ = write!(
            out,
            "# HELP portolan_ruleset_repairs_total Foreign changes of the ruleset that were undone\n\
             # TYPE portolan_ruleset_repairs_total counter\n\
             portolan_ruleset_repairs_total {}\n",
            self.repairs
        );
        out
    }

    fn histograms(&self, out: &mut String) {
        let sync = sync_bounds();
        let programming = programming_bounds();
        let all = [
            (
                "sync_proxy_rules_duration_seconds",
                "Time to bring the kernel to what is planned",
                &self.sync,
                &sync,
            ),
            (
                "sync_full_proxy_rules_duration_seconds",
                "The same where the whole was compared",
                &self.full,
                &sync,
            ),
            (
                "sync_partial_proxy_rules_duration_seconds",
                "The same of what changed alone",
                &self.partial,
                &sync,
            ),
            (
                "network_programming_duration_seconds",
                "Time from the change of a Service or Pod to the kernel",
                &self.programming,
                &programming,
            ),
            (
                "conntrack_reconciler_sync_duration_seconds",
                "Time of a pass over tracked connections",
                &self.conntrack,
                &sync,
            ),
        ];
        for (name, help, histogram, bounds) in all {
            head(out, name, "histogram", help);
            histogram.render(out, name, bounds);
        }
    }

    fn plain(&self, out: &mut String) {
        let all = [
            (
                "sync_proxy_rules_endpoint_changes_pending",
                "gauge",
                "Changes of endpoints that wait",
                self.endpoints_pending,
            ),
            (
                "sync_proxy_rules_endpoint_changes_total",
                "counter",
                "Changes of endpoints",
                self.endpoints_total,
            ),
            (
                "sync_proxy_rules_service_changes_pending",
                "gauge",
                "Changes of Services that wait",
                self.services_pending,
            ),
            (
                "sync_proxy_rules_service_changes_total",
                "counter",
                "Changes of Services",
                self.services_total,
            ),
        ];
        for (name, kind, help, value) in all {
            head(out, name, kind, help);
            line(out, name, &format!(" {value}"));
        }
    }

    fn by_family(&self, out: &mut String) {
        let all = [
            (
                "sync_proxy_rules_last_timestamp_seconds",
                "gauge",
                "When the kernel last held all that was planned",
                self.last_sync,
            ),
            (
                "sync_proxy_rules_last_queued_timestamp_seconds",
                "gauge",
                "When a change was last told",
                self.last_queued,
            ),
            (
                "sync_proxy_rules_nftables_sync_failures_total",
                "counter",
                "Transactions that the kernel refused",
                self.failures as f64,
            ),
            (
                "sync_proxy_rules_nftables_cleanup_failures_total",
                "counter",
                "Chains that could not be removed",
                0.0,
            ),
            (
                "conntrack_reconciler_deleted_entries_total",
                "counter",
                "Tracked connections that were forgotten",
                self.conntrack_deleted as f64,
            ),
        ];
        for (name, kind, help, value) in all {
            head(out, name, kind, help);
            for family in FAMILIES {
                line(out, name, &format!("{{ip_family=\"{family}\"}} {value}"));
            }
        }
        let name = "sync_proxy_rules_no_local_endpoints_total";
        head(
            out,
            name,
            "gauge",
            "Service ports with policy Local and no endpoint on this node",
        );
        for (family, counts) in FAMILIES.iter().zip(&self.no_local) {
            for (policy, count) in [("internal", counts.internal), ("external", counts.external)] {
                line(
                    out,
                    name,
                    &format!("{{ip_family=\"{family}\",traffic_policy=\"{policy}\"}} {count}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_have_the_bounds_of_the_original() {
        let metrics = NodeMetrics::default();
        metrics.with(|values| {
            values.programming.observe_seconds(0.3);
            values.programming.observe_seconds(61.0);
            values.programming.observe_seconds(1000.0);
            values.sync.observe(Duration::from_micros(1500));
        });
        let text = metrics.render();
        for wanted in [
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.25\"} 0",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.5\"} 1",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv6\",le=\"65\"} 2",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 2",
            "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} 3",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.001\"} 0",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.002\"} 1",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 1",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
        }
        assert_eq!(programming_bounds().len(), 80);
    }
}
