//! Counters for `/metrics`: plain atomics that whoever serves them reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets in microseconds; the last bucket has none.
pub const LATENCY_BUCKETS: [u64; 8] =
    [500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000];

/// What the server counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests answered, by first digit of the status
    pub requests: [AtomicU64; 6],
    /// Requests by latency, see [`LATENCY_BUCKETS`]; watches are left out
    pub latency: [AtomicU64; 9],
    /// Sum of latencies in microseconds
    pub latency_sum: AtomicU64,
    /// Watches that are open
    pub watches: AtomicU64,
    /// Connections that are open
    pub connections: AtomicU64,
    /// Changes made durable
    pub changes: AtomicU64,
    /// Transactions that made them durable
    pub commits: AtomicU64,
}

impl Metrics {
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).min(self.requests.len() - 1);
        self.requests[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BUCKETS.iter().position(|bound| micros <= *bound);
        self.latency[bucket.unwrap_or(LATENCY_BUCKETS.len())].fetch_add(1, Ordering::Relaxed);
        self.latency_sum.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Everything in Prometheus's text form, under kube-apiserver's names where it has one.
    pub(crate) fn render(&self) -> String {
        use std::fmt::Write;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut out = String::from("# TYPE apiserver_request_total counter\n");
        for (class, count) in self.requests.iter().enumerate().skip(1) {
            let _ = writeln!(
                out,
                "apiserver_request_total{{code=\"{class}xx\"}} {}",
                read(count)
            );
        }
        out.push_str("# TYPE apiserver_request_duration_seconds histogram\n");
        let mut sum = 0;
        for (index, count) in self.latency.iter().enumerate() {
            sum += read(count);
            let bound = LATENCY_BUCKETS.get(index).map_or_else(
                || "+Inf".to_owned(),
                |micros| {
                    format!(
                        "{}",
                        std::time::Duration::from_micros(*micros).as_secs_f64()
                    )
                },
            );
            let name = "apiserver_request_duration_seconds_bucket";
            let _ = writeln!(out, "{name}{{le=\"{bound}\"}} {sum}");
        }
        let seconds = Duration::from_micros(read(&self.latency_sum)).as_secs_f64();
        let _ = writeln!(out, "apiserver_request_duration_seconds_sum {seconds}");
        let _ = writeln!(out, "apiserver_request_duration_seconds_count {sum}");
        for (name, kind, counter) in [
            ("apiserver_longrunning_requests", "gauge", &self.watches),
            ("portolan_api_connections", "gauge", &self.connections),
            ("portolan_store_changes_total", "counter", &self.changes),
            ("portolan_store_commits_total", "counter", &self.commits),
        ] {
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {}", read(counter));
        }
        out
    }
}
