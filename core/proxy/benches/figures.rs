//! Prints what planning a node's ruleset costs: `cargo bench -p proxy`.

use model::{ChangedKeys, Event, EventKind, Object, Resource, Snapshot};
use proxy::kernel::{NodeSettings, RulesetPlanner};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    for (services, endpoints) in [(1_000, 3), (10_000, 3), (100_000, 3), (5_000, 50)] {
        measure(services, endpoints);
    }
}

fn measure(services: u32, endpoints: u32) {
    let before = resident();
    let mut snapshot = Snapshot::default();
    let mut changed = ChangedKeys::default();
    let objects: Vec<(Resource, Arc<[u8]>)> = (0..services)
        .flat_map(|number| {
            let slice = slice(number, endpoints, 1);
            [
                (Resource::SERVICES, service(number).to_string()),
                (Resource::ENDPOINT_SLICES, slice.to_string()),
            ]
        })
        .map(|(resource, text)| (resource, text.into_bytes().into()))
        .collect();
    let busy = on_cpu();
    for (resource, bytes) in objects {
        let object = Object::from_bytes(resource, bytes).unwrap_or_else(|e| panic!("{e}"));
        snapshot.apply(&event(object), &mut changed);
    }
    println!(
        "{services} Services × {endpoints}: snapshot {}, {:?} on a CPU",
        since(before),
        on_cpu() - busy
    );
    let before = resident();
    let mut planner = RulesetPlanner::new(NodeSettings::default());
    let (start, busy) = (Instant::now(), on_cpu());
    let update = planner.update(&snapshot, &changed);
    let (cold, busy) = (start.elapsed(), on_cpu() - busy);
    let steps = update.transaction.ops.len();
    drop(update);
    println!(
        "  cold plan {cold:?}, {busy:?} on a CPU, {steps} steps, planner {}",
        since(before)
    );
    let busy = on_cpu();
    let desired = planner.desired();
    println!("  whole ruleset {:?} on a CPU", on_cpu() - busy);
    drop(desired);
    println!(
        "  one endpoint replaced {:?} on a CPU",
        replace(&mut planner, &mut snapshot, endpoints)
    );
}

/// Mean of replacing one endpoint in each of a thousand Services.
fn replace(planner: &mut RulesetPlanner, snapshot: &mut Snapshot, endpoints: u32) -> Duration {
    let mut total = Duration::ZERO;
    const TIMES: u32 = 1_000;
    for number in 0..TIMES {
        let mut changed = ChangedKeys::default();
        let value = slice(number, endpoints, 2);
        let object = Object::from_value(Resource::ENDPOINT_SLICES, &value);
        snapshot.apply(
            &event(object.unwrap_or_else(|e| panic!("{e}"))),
            &mut changed,
        );
        let busy = on_cpu();
        let update = planner.update(snapshot, &changed);
        total += on_cpu() - busy;
        assert!(!update.transaction.is_empty());
    }
    total / TIMES
}

fn event(object: Object) -> Event {
    Event {
        kind: EventKind::Modified,
        object: Arc::new(object),
        old: None,
    }
}

fn service(number: u32) -> Value {
    let [_, a, b, c] = number.to_be_bytes();
    json!({"metadata": {"name": format!("svc{number}"), "namespace": format!("ns{}", number % 100),
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"clusterIP": format!("10.{}.{b}.{c}", 96 + a), "ports": [{"name": "http", "port": 80}]}})
}

/// A slice whose first endpoint is in network `first`, the others in 21.0.0.0/8.
fn slice(number: u32, endpoints: u32, first: u32) -> Value {
    let endpoint = |index: u32| {
        let [_, a, b, c] = (number * endpoints + index).to_be_bytes();
        let network = if index == 0 { 20 + first } else { 21 };
        json!({"addresses": [format!("{network}.{a}.{b}.{c}")],
            "nodeName": format!("node{}", index % 50), "conditions": {"ready": true}})
    };
    let endpoints: Vec<Value> = (0..endpoints).map(endpoint).collect();
    json!({"metadata": {"name": format!("svc{number}-x"), "namespace": format!("ns{}", number % 100),
            "labels": {"kubernetes.io/service-name": format!("svc{number}")}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": endpoints})
}

/// Time that this program was on a CPU, for other programs may be there as well.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    Duration::from_nanos(first.and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// Resident memory in KiB; zero where it cannot be read.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn since(before: u64) -> String {
    format!(
        "{:.1} MiB",
        resident().saturating_sub(before) as f64 / 1024.0
    )
}
