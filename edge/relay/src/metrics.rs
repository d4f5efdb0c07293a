//! What the relay counts.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters and gauges of one relay.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) listeners: AtomicU64,
    pub(crate) bind_failures: AtomicU64,
    pub(crate) tcp_accepted: AtomicU64,
    pub(crate) tcp_active: AtomicU64,
    pub(crate) tcp_refused: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) udp_sessions: AtomicU64,
    pub(crate) udp_in: AtomicU64,
    pub(crate) udp_out: AtomicU64,
    pub(crate) udp_dropped: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

pub(crate) fn subtract(gauge: &AtomicU64, amount: u64) {
    gauge.fetch_sub(amount, Ordering::Relaxed);
}

impl Metrics {
    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let rows = [
            (
                "listeners",
                "gauge",
                "Sockets that listen.",
                &self.listeners,
            ),
            (
                "bind_failures_total",
                "counter",
                "Listeners that could not be opened.",
                &self.bind_failures,
            ),
            (
                "tcp_connections_total",
                "counter",
                "TCP connections accepted.",
                &self.tcp_accepted,
            ),
            (
                "tcp_connections",
                "gauge",
                "TCP connections open.",
                &self.tcp_active,
            ),
            (
                "tcp_refused_total",
                "counter",
                "TCP connections reset: no backend answered, the client is not let in, or too many are open.",
                &self.tcp_refused,
            ),
            (
                "connect_failures_total",
                "counter",
                "Attempts to connect to a backend that failed.",
                &self.connect_failures,
            ),
            (
                "tcp_received_bytes_total",
                "counter",
                "Bytes from clients.",
                &self.bytes_in,
            ),
            (
                "tcp_sent_bytes_total",
                "counter",
                "Bytes to clients.",
                &self.bytes_out,
            ),
            (
                "udp_sessions",
                "gauge",
                "UDP clients with a backend.",
                &self.udp_sessions,
            ),
            (
                "udp_received_datagrams_total",
                "counter",
                "Datagrams from clients.",
                &self.udp_in,
            ),
            (
                "udp_sent_datagrams_total",
                "counter",
                "Datagrams to clients.",
                &self.udp_out,
            ),
            (
                "udp_dropped_datagrams_total",
                "counter",
                "Datagrams that went nowhere.",
                &self.udp_dropped,
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in rows {
            let value = value.load(Ordering::Relaxed);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP portolan_relay_{name} {help}\n# TYPE portolan_relay_{name} {kind}\nportolan_relay_{name} {value}\n"
            );
        }
        text
    }
}
