//! Counters under CoreDNS's names, so that its dashboards show this server.

use crate::service::Source;
use dns::{Transport, rtype};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Address family, as CoreDNS numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4 = 0,
    V6 = 1,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// Types that are counted by name; the rest is `other`.
const TYPES: [(u16, &str); 14] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::SRV, "SRV"),
    (rtype::PTR, "PTR"),
    (rtype::CNAME, "CNAME"),
    (rtype::TXT, "TXT"),
    (rtype::MX, "MX"),
    (rtype::SOA, "SOA"),
    (rtype::NS, "NS"),
    (43, "DS"),
    (48, "DNSKEY"),
    (65, "HTTPS"),
    (rtype::ANY, "ANY"),
    (0, "other"),
];
/// Response codes that are counted by name; the rest falls under the last.
const RCODES: usize = 12;
const SECONDS: usize = 16;
const OCTETS: [u64; 14] = [
    0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000,
];

/// Everything that is counted. Reading it never stops the server.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By transport and family, then by type
    requests: [[AtomicU64; TYPES.len()]; 4],
    dnssec_requests: AtomicU64,
    request_octets: Sizes,
    responses: [AtomicU64; RCODES],
    response_octets: Sizes,
    response_seconds: Times,
    cache_entries: AtomicU64,
    cache_hits: [AtomicU64; 2],
    cache_misses: AtomicU64,
    cache_evictions: AtomicU64,
    rejects: AtomicU64,
    healthcheck_broken: AtomicU64,
    healthcheck_failures: AtomicU64,
    upstream_seconds: Times,
    upstream_responses: [AtomicU64; RCODES],
}

/// Durations in buckets that double from 0.25 ms.
#[derive(Debug, Default)]
struct Times {
    buckets: [AtomicU64; SECONDS],
    count: AtomicU64,
    micros: AtomicU64,
}

/// Octets in CoreDNS's buckets.
#[derive(Debug, Default)]
struct Sizes {
    buckets: [AtomicU64; OCTETS.len()],
    count: AtomicU64,
    sum: AtomicU64,
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Times {
    fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = (0..SECONDS).find(|bucket| micros <= 250 << bucket);
        if let Some(bucket) = bucket {
            add(&self.buckets[bucket], 1);
        }
        add(&self.count, 1);
        add(&self.micros, micros);
    }

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += get(count);
            let micros = u32::try_from(250u64 << bucket).unwrap_or(u32::MAX);
            let limit = f64::from(micros) / 1e6;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{limit}\"}} {below}");
        }
        let (count, seconds) = (get(&self.count), Duration::from_micros(get(&self.micros)));
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", seconds.as_secs_f64());
        let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
    }
}

impl Sizes {
    fn note(&self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        if let Some(bucket) = OCTETS.iter().position(|limit| octets <= *limit) {
            add(&self.buckets[bucket], 1);
        }
        add(&self.count, 1);
        add(&self.sum, octets);
    }

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let mut below = 0;
        for (limit, count) in OCTETS.iter().zip(&self.buckets) {
            below += get(count);
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{limit}\"}} {below}");
        }
        let (count, sum) = (get(&self.count), get(&self.sum));
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}");
        let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
    }
}

/// The type that a message asks for, and whether it asks for DNSSEC records; as far as that is
/// seen without reading it properly.
fn glance(message: &[u8]) -> (u16, bool) {
    let mut at = 12;
    while let Some(length @ 1..=63) = message.get(at) {
        at += usize::from(*length) + 1;
    }
    let qtype = message.get(at + 1..at + 3);
    let qtype = qtype.map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    // An OPT record follows the question when nothing else does.
    let opt = message.get(at + 5..at + 13);
    let dnssec = opt.is_some_and(|opt| opt[..3] == [0, 0, 41] && opt[7] & 0x80 != 0);
    (qtype, dnssec)
}

impl Metrics {
    pub(crate) fn request(&self, message: &[u8], source: Source) {
        let (qtype, dnssec) = glance(message);
        let kind = TYPES.iter().position(|(number, _)| *number == qtype);
        let kind = kind.unwrap_or(TYPES.len() - 1);
        let tcp = usize::from(source.transport == Transport::Tcp);
        add(&self.requests[2 * tcp + source.family as usize][kind], 1);
        if dnssec {
            add(&self.dnssec_requests, 1);
        }
        self.request_octets.note(message.len());
    }

    pub(crate) fn response(&self, message: &[u8], time: Duration) {
        let rcode = message.get(3).map_or(0, |flags| usize::from(flags & 0xF));
        add(&self.responses[rcode.min(RCODES - 1)], 1);
        self.response_octets.note(message.len());
        self.response_seconds.note(time);
    }

    /// `hit` says whether the found answer is a denial.
    pub(crate) fn cache_lookup(&self, hit: Option<bool>) {
        match hit {
            Some(denial) => add(&self.cache_hits[usize::from(denial)], 1),
            None => add(&self.cache_misses, 1),
        }
    }

    pub(crate) fn cache_size(&self, entries: usize, evicted: u64) {
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        self.cache_entries.store(entries, Ordering::Relaxed);
        add(&self.cache_evictions, evicted);
    }

    pub(crate) fn rejected(&self) {
        add(&self.rejects, 1);
    }

    pub(crate) fn healthcheck_broken(&self) {
        add(&self.healthcheck_broken, 1);
    }

    pub(crate) fn healthcheck_failure(&self) {
        add(&self.healthcheck_failures, 1);
    }

    pub(crate) fn upstream(&self, time: Duration, rcode: u16) {
        self.upstream_seconds.note(time);
        let rcode = usize::from(rcode).min(RCODES - 1);
        add(&self.upstream_responses[rcode], 1);
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(8 << 10);
        self.render_requests(&mut out);
        self.render_responses(&mut out);
        self.render_forwarding(&mut out);
        out
    }

    fn render_requests(&self, out: &mut String) {
        let name = "coredns_dns_requests_total";
        head(
            out,
            name,
            "counter",
            "Questions by transport, family and type.",
        );
        for (index, types) in self.requests.iter().enumerate() {
            let proto = if index < 2 { "udp" } else { "tcp" };
            let family = index % 2 + 1;
            for (count, (_, kind)) in types.iter().zip(TYPES).filter(|(c, _)| get(c) > 0) {
                let labels = format!("{SERVED},proto=\"{proto}\",family=\"{family}\"");
                let _ = writeln!(out, "{name}{{{labels},type=\"{kind}\"}} {}", get(count));
            }
        }
        let name = "coredns_dns_do_requests_total";
        single(
            out,
            name,
            "counter",
            "Questions with DO.",
            get(&self.dnssec_requests),
        );
        let name = "coredns_dns_request_size_bytes";
        head(out, name, "histogram", "Sizes of questions.");
        self.request_octets.render(name, SERVED, out);
    }

    fn render_responses(&self, out: &mut String) {
        let name = "coredns_dns_responses_total";
        head(out, name, "counter", "Replies by response code.");
        let counts = (0u16..).zip(&self.responses);
        for (rcode, count) in counts.filter(|(_, count)| get(count) > 0) {
            let rcode = rtype::rcode_name(rcode);
            let _ = writeln!(out, "{name}{{{SERVED},rcode=\"{rcode}\"}} {}", get(count));
        }
        let name = "coredns_dns_response_size_bytes";
        head(out, name, "histogram", "Sizes of replies.");
        self.response_octets.render(name, SERVED, out);
        let name = "coredns_dns_request_duration_seconds";
        head(out, name, "histogram", "Time from question to reply.");
        self.response_seconds.render(name, SERVED, out);
    }

    fn render_forwarding(&self, out: &mut String) {
        let [found, denied] = [get(&self.cache_hits[0]), get(&self.cache_hits[1])];
        let misses = get(&self.cache_misses);
        let name = "coredns_cache_hits_total";
        head(out, name, "counter", "Answers found in the cache.");
        let _ = writeln!(out, "{name}{{{SERVED},type=\"success\"}} {found}");
        let _ = writeln!(out, "{name}{{{SERVED},type=\"denial\"}} {denied}");
        let requests = found + denied + misses;
        for (name, kind, help, value) in [
            (
                "coredns_cache_misses_total",
                "counter",
                "Not found in the cache.",
                misses,
            ),
            (
                "coredns_cache_requests_total",
                "counter",
                "Looked up in the cache.",
                requests,
            ),
            (
                "coredns_cache_entries",
                "gauge",
                "Answers in the cache.",
                get(&self.cache_entries),
            ),
            (
                "coredns_cache_evictions_total",
                "counter",
                "Dropped early.",
                get(&self.cache_evictions),
            ),
            (
                "coredns_forward_max_concurrent_rejects_total",
                "counter",
                "Refused: too many in flight.",
                get(&self.rejects),
            ),
            (
                "coredns_forward_healthcheck_broken_total",
                "counter",
                "No upstream was up.",
                get(&self.healthcheck_broken),
            ),
            (
                "coredns_proxy_healthcheck_failures_total",
                "counter",
                "Upstreams that went down.",
                get(&self.healthcheck_failures),
            ),
        ] {
            single(out, name, kind, help, value);
        }
        let name = "coredns_proxy_request_duration_seconds";
        head(out, name, "histogram", "Time that upstreams took.");
        self.upstream_seconds
            .render(name, "proxy_name=\"forward\"", out);
    }
}

/// Labels that every family has; there is one server block.
const SERVED: &str = "server=\"dns://:53\",zone=\".\",view=\"\"";

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(out, name, kind, help);
    let _ = writeln!(out, "{name}{{{SERVED}}} {value}");
}
