//! What single changes bring about, besides rules: connections to forget, health ports, resets.

use super::generate::{HERE, ip};
use model::{ChangedKeys, NamespacedName, Node, Snapshot};
use nft::{Op, Transaction};
use proxy::kernel::{
    ConntrackFlush, FlushTarget, NodeSettings, RulesetPlanner, Update, node_eligible,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

struct Story {
    planner: RulesetPlanner,
    snapshot: Snapshot,
}

impl Story {
    fn new(settings: NodeSettings) -> Self {
        let settings = NodeSettings {
            node_name: HERE.to_owned(),
            ..settings
        };
        let mut story = Self {
            planner: RulesetPlanner::new(settings),
            snapshot: Snapshot::default(),
        };
        story.step(&[], false);
        story
    }

    fn step(&mut self, values: &[Value], gone: bool) -> Update {
        let mut changed = ChangedKeys::default();
        for value in values {
            self.snapshot
                .apply(&testkit::event(value, gone), &mut changed);
        }
        self.planner.update(&self.snapshot, &changed)
    }
}

fn service(protocol: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n"},
        "spec": {"type": "NodePort", "clusterIPs": ["10.96.0.1"],
            "ports": [{"port": 53, "protocol": protocol, "nodePort": 30053}]}})
}

/// A slice with these endpoints; one that begins with `!` does not serve, one with `~` ends.
fn slice(protocol: &str, endpoints: &[&str]) -> Value {
    let endpoint = |text: &&str| {
        let address = text.trim_start_matches(['!', '~']);
        json!({"addresses": [address], "nodeName": HERE, "conditions": {
            "ready": !text.starts_with(['!', '~']), "serving": !text.starts_with('!'),
            "terminating": text.starts_with('~')}})
    };
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "e", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
        "ports": [{"port": 5353, "protocol": protocol}], "endpoints": endpoints})
}

fn flushes(keep: &[&str], due: bool) -> Vec<ConntrackFlush> {
    let keep = keep.iter().map(|text| SocketAddr::new(ip(text), 5353));
    let flush = |target| ConntrackFlush {
        target,
        keep: keep.clone().collect(),
        due,
    };
    vec![
        flush(FlushTarget::Address(SocketAddr::new(ip("10.96.0.1"), 53))),
        flush(FlushTarget::NodePort {
            ipv4: true,
            port: 30053,
            addresses: None,
        }),
    ]
}

#[test]
fn udp_connections_to_what_went_are_forgotten() {
    let mut story = Story::new(NodeSettings::default());
    let flush = |update: Update| update.flush;
    let slices = |story: &mut Story, endpoints: &[&str]| {
        flush(story.step(&[slice("UDP", endpoints)], false))
    };
    // A new Service: clients may have tried before.
    assert_eq!(
        flush(story.step(&[service("UDP")], false)),
        flushes(&[], true)
    );
    // First endpoints: what went nowhere is stale.
    assert_eq!(
        slices(&mut story, &["10.0.0.1"]),
        flushes(&["10.0.0.1"], true)
    );
    // One more: nothing is stale.
    let two = ["10.0.0.1", "10.0.0.2"];
    assert_eq!(slices(&mut story, &two), flushes(&two, false));
    // One that ends still serves.
    assert_eq!(slices(&mut story, &["10.0.0.1", "~10.0.0.2"]), vec![]);
    assert_eq!(
        slices(&mut story, &["10.0.0.1", "!10.0.0.2"]),
        flushes(&["10.0.0.1"], true)
    );
    assert_eq!(slices(&mut story, &[]), flushes(&[], true));
    assert_eq!(slices(&mut story, &[]), vec![]);
    assert_eq!(
        slices(&mut story, &["10.0.0.1"]),
        flushes(&["10.0.0.1"], true)
    );
    assert_eq!(
        flush(story.step(&[service("UDP")], true)),
        flushes(&[], true)
    );
}

#[test]
fn tcp_connections_are_left_alone() {
    let mut story = Story::new(NodeSettings::default());
    let update = story.step(&[service("TCP"), slice("TCP", &["10.0.0.1"])], false);
    assert_eq!(update.flush, vec![]);
    assert_eq!(story.step(&[slice("TCP", &[])], false).flush, vec![]);
    assert_eq!(story.step(&[service("TCP")], true).flush, vec![]);
}

/// Steps about sets of this name.
fn about<'a>(transaction: &'a Transaction, set: &str) -> Vec<&'a Op> {
    let ops = transaction.ops.iter();
    let named = ops.filter(|op| match op {
        Op::AddElements(name, _) | Op::DeleteElements(name, _) => &**name == set,
        _ => false,
    });
    named.collect()
}

#[test]
fn endpoints_that_go_are_marked_for_resets_until_they_come_back() {
    let mut story = Story::new(NodeSettings {
        reset_removed: true,
        ..NodeSettings::default()
    });
    let gone = |update: &Update| -> Vec<String> {
        let ops = about(&update.transaction, "gone-endpoints4");
        ops.iter().map(|op| op.to_string()).collect()
    };
    let slices =
        |story: &mut Story, endpoints: &[&str]| story.step(&[slice("TCP", endpoints)], false);
    story.step(&[service("TCP")], false);
    assert_eq!(
        gone(&slices(&mut story, &["10.0.0.1", "10.0.0.2"])).len(),
        0
    );
    // Not while it ends, nor when it only is not ready.
    assert_eq!(
        gone(&slices(&mut story, &["!10.0.0.1", "~10.0.0.2"])).len(),
        0
    );
    let marked = gone(&slices(&mut story, &["10.0.0.1"]));
    assert_eq!(marked.len(), 1);
    assert!(marked[0].starts_with("add element"), "{marked:?}");
    let back = gone(&slices(&mut story, &["10.0.0.1", "10.0.0.2"]));
    assert_eq!(back.len(), 2, "{back:?}");
    assert!(back[1].starts_with("delete element"), "{back:?}");
    // Another Service still has it.
    let mut other = service("TCP");
    other["metadata"]["name"] = json!("t");
    other["spec"]["clusterIPs"] = json!(["10.96.0.2"]);
    let mut also = slice("TCP", &["10.0.0.1"]);
    also["metadata"] = json!({"name": "f", "namespace": "n",
        "labels": {"kubernetes.io/service-name": "t"}});
    story.step(&[other, also], false);
    assert_eq!(gone(&slices(&mut story, &["10.0.0.2"])).len(), 0);
}

#[test]
fn health_ports_follow_ready_pods_of_this_node() {
    let mut story = Story::new(NodeSettings::default());
    let mut balanced = service("TCP");
    balanced["spec"]["type"] = json!("LoadBalancer");
    balanced["spec"]["externalTrafficPolicy"] = json!("Local");
    balanced["spec"]["healthCheckNodePort"] = json!(31000);
    let slices = |endpoints: &[&str]| slice("TCP", endpoints);
    let count = |story: &Story| {
        story
            .planner
            .health_ports()
            .get(&31000)
            .map(|h| h.local_endpoints)
    };
    assert!(
        story
            .step(&[balanced.clone(), slices(&["10.0.0.1"])], false)
            .health_changed
    );
    assert_eq!(count(&story), Some(1));
    assert!(
        !story
            .step(&[slices(&["10.0.0.1", "!10.0.0.2"])], false)
            .health_changed
    );
    assert!(story.step(&[slices(&["~10.0.0.1"])], false).health_changed);
    assert_eq!(count(&story), Some(0));
    assert_eq!(story.planner.no_local_endpoints(true).external, 0);
    assert!(!story.step(&[slices(&[])], false).health_changed);
    let service = &story.planner.health_ports()[&31000].service;
    assert_eq!(*service, NamespacedName::new("n", "s"));
    assert!(story.step(&[balanced], true).health_changed);
    assert_eq!(count(&story), None);
}

#[test]
fn one_endpoint_costs_what_one_endpoint_costs() {
    let mut story = Story::new(NodeSettings::default());
    let endpoints: Vec<String> = (0..200).map(|n| format!("10.0.0.{n}")).collect();
    let mut all: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    story.step(&[service("TCP"), slice("TCP", &all)], false);
    all[100] = "10.0.0.100";
    assert!(
        story
            .step(&[slice("TCP", &all)], false)
            .transaction
            .is_empty()
    );
    all[199] = "10.0.1.1";
    let update = story.step(&[slice("TCP", &all)], false);
    let elements = |op: &Op| match op {
        Op::AddElements(_, elements) | Op::DeleteElements(_, elements) => elements.len(),
        _ => 0,
    };
    let ops = about(&update.transaction, "endpoints4");
    assert_eq!(ops.iter().map(|op| elements(op)).sum::<usize>(), 2);
    // Its hairpin goes and comes.
    assert_eq!(about(&update.transaction, "hairpin4").len(), 2);
    assert_eq!(update.transaction.ops.len(), 4);
}

#[test]
fn nodes_that_are_about_to_go_get_no_new_connections() {
    let node = |extra: Value| {
        let mut value = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": HERE}});
        for (key, part) in extra.as_object().into_iter().flatten() {
            value[key] = part.clone();
        }
        let node = Node::parse(&testkit::object(&value));
        node_eligible(Some(&node.unwrap_or_else(|e| panic!("{e}"))))
    };
    let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
    assert!(node_eligible(None));
    assert!(node(json!({})));
    assert!(node(taint("dedicated")));
    assert!(!node(taint("ToBeDeletedByClusterAutoscaler")));
    let deleted = json!({"metadata": {"name": HERE, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    assert!(!node(deleted));
}
