//! Counters under ingress-nginx's names, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Label sets that are kept apart; beyond it requests are counted without labels, so that no
/// client can fill the memory.
const SERIES_LIMIT: usize = 20_000;

/// Labels of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) host: String,
    pub(crate) ingress: String,
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, Default)]
struct Series {
    requests: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
    bytes: u64,
}

/// Counters.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<Labels, Series>>,
    pub(crate) accepted: AtomicU64,
    pub(crate) handshake_errors: AtomicU64,
}

impl Metrics {
    /// Counts a request.
    pub(crate) fn request(&self, labels: Labels, seconds: f64, bytes: u64) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = if series.len() >= SERIES_LIMIT && !series.contains_key(&labels) {
            Labels::default()
        } else {
            labels
        };
        let entry = series.entry(labels).or_default();
        entry.requests += 1;
        entry.seconds += seconds;
        entry.bytes += bytes;
        for (bucket, bound) in entry.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// All counters as Prometheus text.
    pub(crate) fn render(&self, open: usize) -> String {
        const PREFIX: &str = "nginx_ingress_controller";
        let mut out = String::new();
        let line = |out: &mut String, text: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(text);
            out.push('\n');
        };
        let accepted = self.accepted.load(Ordering::Relaxed);
        let failed = self.handshake_errors.load(Ordering::Relaxed);
        line(
            &mut out,
            format_args!("# TYPE {PREFIX}_nginx_process_connections gauge"),
        );
        line(
            &mut out,
            format_args!("{PREFIX}_nginx_process_connections{{state=\"active\"}} {open}"),
        );
        line(
            &mut out,
            format_args!("# TYPE {PREFIX}_nginx_process_connections_total counter"),
        );
        line(
            &mut out,
            format_args!(
                "{PREFIX}_nginx_process_connections_total{{state=\"accepted\"}} {accepted}"
            ),
        );
        line(
            &mut out,
            format_args!("# TYPE {PREFIX}_tls_handshake_errors_total counter"),
        );
        line(
            &mut out,
            format_args!("{PREFIX}_tls_handshake_errors_total {failed}"),
        );
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        line(&mut out, format_args!("# TYPE {PREFIX}_requests counter"));
        for (labels, values) in series.iter() {
            let labels = text(labels);
            line(
                &mut out,
                format_args!("{PREFIX}_requests{{{labels}}} {}", values.requests),
            );
        }
        let name = format!("{PREFIX}_request_duration_seconds");
        line(&mut out, format_args!("# TYPE {name} histogram"));
        for (labels, values) in series.iter() {
            let labels = text(labels);
            for (count, bound) in values.buckets.iter().zip(BUCKETS) {
                line(
                    &mut out,
                    format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}"),
                );
            }
            let (count, sum) = (values.requests, values.seconds);
            line(
                &mut out,
                format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"),
            );
            line(&mut out, format_args!("{name}_sum{{{labels}}} {sum}"));
            line(&mut out, format_args!("{name}_count{{{labels}}} {count}"));
        }
        line(
            &mut out,
            format_args!("# TYPE {PREFIX}_bytes_sent_total counter"),
        );
        for (labels, values) in series.iter() {
            let labels = text(labels);
            line(
                &mut out,
                format_args!("{PREFIX}_bytes_sent_total{{{labels}}} {}", values.bytes),
            );
        }
        out
    }
}

fn text(labels: &Labels) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "host=\"{}\",ingress=\"{}\",namespace=\"{}\",service=\"{}\",path=\"{}\",method=\"{}\",\
         status=\"{}\"",
        escape(&labels.host),
        escape(&labels.ingress),
        escape(&labels.namespace),
        escape(&labels.service),
        escape(&labels.path),
        escape(&labels.method),
        labels.status
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_label() {
        let metrics = Metrics::default();
        let labels = Labels {
            host: "a.test".into(),
            status: 200,
            ..Labels::default()
        };
        metrics.request(labels.clone(), 0.02, 5);
        metrics.request(labels, 20.0, 5);
        let text = metrics.render(3);
        assert!(text.contains("status=\"200\"} 2"), "{text}");
        assert!(text.contains("le=\"0.025\"} 1"), "{text}");
        assert!(text.contains("state=\"active\"} 3"), "{text}");
    }
}
