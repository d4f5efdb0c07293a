//! Prints what an answer, an update and a build cost: `cargo bench -p dns`.
//!
//! 10,000 Services with three endpoints each, and one headless Service with 10,000 endpoints.

use dns::{Key, Name, Settings, Transport, Zone, answer, rtype, upstream_query};
use model::{ChangedKeys, Event, EventKind, Snapshot};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const SERVICES: u32 = 10_000;
const ENDPOINTS: u32 = 10_000;

fn main() {
    let mut snapshot = Snapshot::default();
    let mut changed = ChangedKeys::default();
    for object in objects() {
        apply(&mut snapshot, &mut changed, &object);
    }
    let settings = Settings::new(1);
    let start = Instant::now();
    let zone = Zone::build(settings, &snapshot);
    println!("build of {} Services: {:?}", zone.len(), start.elapsed());

    println!("answers, one core:");
    for (what, name, qtype) in [
        ("A of a Service", "svc77.ns7.svc.cluster.local", rtype::A),
        ("AAAA, NODATA", "svc77.ns7.svc.cluster.local", rtype::AAAA),
        (
            "NXDOMAIN",
            "www.example.com.ns7.svc.cluster.local",
            rtype::A,
        ),
        (
            "SRV of a port",
            "_http._tcp.svc77.ns7.svc.cluster.local",
            rtype::SRV,
        ),
        ("PTR of a cluster IP", "77.0.96.10.in-addr.arpa", rtype::PTR),
        ("PTR of an endpoint", "77.0.244.10.in-addr.arpa", rtype::PTR),
        ("Pod", "10-1-2-3.ns7.pod.cluster.local", rtype::A),
        (
            "A of 10,000 endpoints, cut at 512",
            "big.ns0.svc.cluster.local",
            rtype::A,
        ),
        (
            "SRV of 10,000 endpoints, cut at 512",
            "big.ns0.svc.cluster.local",
            rtype::SRV,
        ),
        ("another server's name", "www.example.com", rtype::A),
    ] {
        println!("  {what}: {:.0} ns", answers(&zone, name, qtype));
    }

    for (what, object) in [
        ("one Service's endpoint", slice(77, 9)),
        ("one of 10,000 endpoints", big_slice(55, true)),
    ] {
        println!(
            "update and publish after {what}: {:.1} µs",
            updates(&zone, &mut snapshot, &object)
        );
    }
}

fn objects() -> Vec<Value> {
    let mut all: Vec<Value> = (0..20)
        .map(|n| json!({"kind": "Namespace", "metadata": {"name": format!("ns{n}")}}))
        .collect();
    for n in 0..SERVICES {
        let (high, low) = (n / 256, n % 256);
        all.push(json!({
            "kind": "Service",
            "metadata": {"name": format!("svc{n}"), "namespace": format!("ns{}", n % 10)},
            "spec": {"clusterIP": format!("10.96.{high}.{low}"), "ports": [{"name": "http", "port": 80}]},
        }));
        all.push(slice(n, 3));
    }
    all.push(json!({
        "kind": "Service", "metadata": {"name": "big", "namespace": "ns0"},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    }));
    all.extend((0..ENDPOINTS / 100).map(|n| big_slice(n, false)));
    all
}

fn slice(n: u32, endpoints: u32) -> Value {
    let address = |e: u32| format!("10.{}.{}.{}", 244 + e % 3, n / 256, n % 256);
    let endpoints: Vec<Value> = (0..endpoints)
        .map(|e| json!({"addresses": [address(e)]}))
        .collect();
    json!({
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("svc{n}-1"), "namespace": format!("ns{}", n % 10),
            "labels": {"kubernetes.io/service-name": format!("svc{n}")},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints,
    })
}

fn big_slice(n: u32, one_less: bool) -> Value {
    let endpoint = |e| json!({"addresses": [format!("10.200.{n}.{e}")], "hostname": format!("big-{}", 100 * n + e)});
    let endpoints: Vec<Value> = (u32::from(one_less)..100).map(endpoint).collect();
    json!({
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("big-{n}"), "namespace": "ns0",
            "labels": {"kubernetes.io/service-name": "big"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints,
    })
}

fn apply(snapshot: &mut Snapshot, changed: &mut ChangedKeys, object: &Value) {
    let event = Event {
        kind: EventKind::Modified,
        object: testkit::object(object),
        old: None,
    };
    snapshot.apply(&event, changed);
}

/// Nanoseconds for one answer, the best of several rounds.
fn answers(zone: &Zone, name: &str, qtype: u16) -> f64 {
    const ROUND: u32 = 20_000;
    let key = Key {
        name: Name::parse(name).expect("a name"),
        qtype,
        dnssec: false,
        checking_disabled: false,
    };
    let message = upstream_query(&key, 7, false);
    let mut out = Vec::new();
    let round = |_| {
        let start = Instant::now();
        for seed in 0..ROUND {
            let seed = u64::from(seed);
            black_box(answer(
                zone,
                black_box(&message),
                Transport::Udp,
                seed,
                &mut out,
            ));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUND)
    };
    (0..10).map(round).fold(f64::INFINITY, f64::min)
}

/// Microseconds from a changed Snapshot to a zone that can be published.
fn updates(zone: &Zone, snapshot: &mut Snapshot, object: &Value) -> f64 {
    let mut changed = ChangedKeys::default();
    apply(snapshot, &mut changed, object);
    let round = |_| {
        let start = Instant::now();
        let mut next = zone.clone();
        next.update(snapshot, &changed);
        let taken = start.elapsed().as_secs_f64() * 1e6;
        black_box(next);
        taken
    };
    (0..50).map(round).fold(f64::INFINITY, f64::min)
}
