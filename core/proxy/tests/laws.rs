//! The laws that every plan keeps.

use model::{ChangedKeys, Object, Snapshot};
use proptest::prelude::*;
use proxy::{Balancer, Planner, Settings, diff, plan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A few Services and slices that share names and ports, so that they meet.
fn value() -> impl Strategy<Value = Value> {
    let service = (0..4u8, 0..3u8, 0..3u16, any::<[bool; 4]>()).prop_map(|(name, ip, port, flags)| {
        let [node_port, local, affinity, old] = flags;
        let node_port = if node_port { 30000 + port } else { 0 };
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("s{name}"), "namespace": "n",
                "creationTimestamp": if old { "2026-01-01T00:00:00Z" } else { "2026-02-01T00:00:00Z" }},
            "spec": {"type": if node_port > 0 { "NodePort" } else { "ClusterIP" },
                "clusterIP": format!("127.96.0.{ip}"), "clusterIPs": [format!("127.96.0.{ip}")],
                "internalTrafficPolicy": if local { "Local" } else { "Cluster" },
                "sessionAffinity": if affinity { "ClientIP" } else { "None" },
                "ports": [{"port": 80 + port, "nodePort": node_port}]}})
    });
    let endpoint =
        (0..5u8, any::<[bool; 4]>()).prop_map(|(ip, [ready, serving, terminating, here])| {
            json!({"addresses": [format!("127.244.0.{ip}")],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "nodeName": if here { "portolan" } else { "there" }})
        });
    let endpoints = prop::collection::vec(endpoint, 0..4);
    let slice = (0..4u8, 0..4u8, endpoints).prop_map(|(name, service, endpoints)| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("e{name}"), "namespace": "n",
                "labels": {"kubernetes.io/service-name": format!("s{service}")}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints})
    });
    prop_oneof![service, slice]
}

fn history() -> impl Strategy<Value = Vec<(Value, bool)>> {
    prop::collection::vec((value(), prop::bool::weighted(0.2)), 0..24)
}

fn snapshot(history: &[(Value, bool)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (value, gone) in history {
        snapshot.apply(&testkit::event(value, *gone), &mut ChangedKeys::default());
    }
    snapshot
}

proptest! {
    #[test]
    fn a_diff_leads_from_one_to_the_other(before in history(), after in history()) {
        let settings = Settings::default();
        let (before, _) = plan(&snapshot(&before), &settings);
        let (after, _) = plan(&snapshot(&after), &settings);
        prop_assert!(diff(&after, &after.routes).is_empty());
        let changes = diff(&after, &before.routes);
        let mut routes = before.routes.clone();
        changes.apply_to(&mut routes);
        prop_assert_eq!(routes, after.routes);
    }

    #[test]
    fn one_service_at_a_time_is_all_at_once(history in history()) {
        let settings = Settings::default();
        let mut planner = Planner::new(settings.clone());
        let mut snapshot = Snapshot::default();
        let mut listening = BTreeMap::new();
        for (value, gone) in &history {
            let mut changed = ChangedKeys::default();
            snapshot.apply(&testkit::event(value, *gone), &mut changed);
            planner.update(&snapshot, &changed).apply_to(&mut listening);
            let (desired, problems) = plan(&snapshot, &settings);
            prop_assert_eq!(&planner.desired().routes, &desired.routes);
            prop_assert_eq!(&listening, &desired.routes);
            prop_assert_eq!(planner.problems(), problems);
        }
    }

    #[test]
    fn the_order_of_objects_does_not_matter(values in prop::collection::vec(value(), 0..12)) {
        // The last version of an object counts: keep one of each.
        let by_name: BTreeMap<String, Value> = values
            .into_iter()
            .map(|value| (value["metadata"]["name"].to_string(), value))
            .collect();
        let objects: Vec<Arc<Object>> = by_name.values().map(testkit::object).collect();
        let forward = plan(&Snapshot::from_objects(&objects), &Settings::default());
        let backward: Vec<&Arc<Object>> = objects.iter().rev().collect();
        prop_assert_eq!(forward, plan(&Snapshot::from_objects(backward), &Settings::default()));
    }

    #[test]
    fn a_balancer_chooses_among_the_backends_only(
        steps in prop::collection::vec((0..6u8, 0..4u8, any::<bool>(), 0..5u64), 1..60)
    ) {
        let mut balancer = Balancer::default();
        let mut now = std::time::Duration::ZERO;
        for (count, client, sticky, pause) in steps {
            let backends: Vec<std::net::SocketAddr> =
                (0..count).map(|n| ([127, 244, 0, n], 80).into()).collect();
            now += std::time::Duration::from_secs(pause);
            let affinity = sticky.then_some(std::time::Duration::from_secs(3));
            let client = [127, 0, 0, client].into();
            let chosen = balancer.choose(&backends, client, affinity, now, &[]);
            prop_assert_eq!(chosen.is_some(), count > 0);
            prop_assert!(chosen.is_none_or(|chosen| backends.contains(&chosen)));
            if sticky {
                prop_assert_eq!(balancer.choose(&backends, client, affinity, now, &[]), chosen);
            }
        }
    }
}
