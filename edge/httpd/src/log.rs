//! One line per request, in the format of ingress-nginx.

use crate::clock;
use crate::metrics::{Labels, Metrics};
use gateway::{Decision, RequestHead};
use std::net::SocketAddr;
use std::time::Instant;

/// What is told about a request once it is over.
pub(crate) struct Record {
    pub(crate) started: Instant,
    pub(crate) status: u16,
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) upstream_status: u16,
    pub(crate) upstream_length: u64,
    pub(crate) request_length: u64,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            status: 0,
            upstream: None,
            upstream_status: 0,
            upstream_length: 0,
            request_length: 0,
        }
    }

    /// Logs and counts the request.
    pub(crate) fn finish(
        &self,
        metrics: &Metrics,
        head: &RequestHead,
        decision: &Decision,
        sent: u64,
    ) {
        let seconds = self.started.elapsed().as_secs_f64();
        metrics.request(labels(head, decision, self.status), seconds, sent);
        let location = decision.location.as_deref();
        let silent = location.is_none_or(|location| !location.policy.access_log);
        if silent || decision.global.no_access_log {
            return;
        }
        tracing::info!(target: "access", "{}", self.line(head, decision, seconds, sent));
    }

    fn line(&self, head: &RequestHead, decision: &Decision, seconds: f64, sent: u64) -> String {
        let header = |name: &str| match head.headers.get(name) {
            Some(value) => escape(value),
            None => "-".to_owned(),
        };
        let upstream = self
            .upstream
            .map_or_else(|| "-".to_owned(), |address| address.to_string());
        let of_upstream = |text: String| {
            if self.upstream.is_some() {
                text
            } else {
                "-".to_owned()
            }
        };
        let name = decision
            .location
            .as_deref()
            .map_or_else(|| "-".to_owned(), gateway::Location::upstream_name);
        format!(
            "{} - - [{}] \"{} {} {}\" {} {} \"{}\" \"{}\" {} {:.3} [{}] [] {} {} {} {} {}",
            decision.context.client,
            clock::log_date(),
            head.method,
            escape(&head.target),
            head.version.as_str(),
            self.status,
            sent,
            header("referer"),
            header("user-agent"),
            self.request_length,
            seconds,
            name,
            upstream,
            of_upstream(self.upstream_length.to_string()),
            of_upstream(format!("{seconds:.3}")),
            of_upstream(self.upstream_status.to_string()),
            escape(&decision.context.request_id),
        )
    }
}

fn labels(head: &RequestHead, decision: &Decision, status: u16) -> Labels {
    let location = decision.location.as_deref();
    let origin = location.and_then(|location| location.origin.as_ref());
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let method = known.iter().find(|known| **known == head.method);
    Labels {
        host: decision
            .host
            .as_ref()
            .map(|host| host.name.to_string())
            .unwrap_or_default(),
        ingress: origin
            .map(|o| o.ingress.name.to_string())
            .unwrap_or_default(),
        namespace: origin
            .map(|o| o.ingress.namespace.to_string())
            .unwrap_or_default(),
        service: location
            .and_then(|location| location.backend.as_ref())
            .map(|backend| backend.service.name.to_string())
            .unwrap_or_default(),
        path: origin.map(|o| o.path.clone()).unwrap_or_default(),
        method: method.map_or("-", |method| method).to_owned(),
        status,
    }
}

/// Printable ASCII as it is, the rest and quotes as `\xNN`, so that no client writes log lines.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f..=0xff => out.push_str(&format!("\\x{byte:02X}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_cannot_break_a_line() {
        assert_eq!(escape(b"/a\"b\n\xff"), "/a\\x22b\\x0A\\xFF");
    }
}
