use crate::Registry;
use serde_json::{Value, json};

fn normal(api_version: &str, kind: &str, mut value: Value) -> Value {
    let registry = Registry::builtin();
    let kind = registry.by_kind(api_version, kind).expect("kind");
    registry.normalise(kind, &mut value);
    value
}

#[test]
fn empties_go_and_zero_values_come() {
    let given = json!({
        "metadata": {"name": "a", "labels": {}, "creationTimestamp": null, "nope": 1},
        "spec": {
            "replicas": 0, "paused": false,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"spec": {"containers": [{"name": "c", "ports": null, "env": []}]}},
        },
    });
    let want = json!({
        "metadata": {"name": "a"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {},
            "template": {
                "metadata": {},
                "spec": {"containers": [{"name": "c", "resources": {}}]},
            },
        },
        "status": {},
    });
    assert_eq!(normal("apps/v1", "Deployment", given), want);
}

#[test]
fn empty_lists_that_must_be_there_are_null() {
    let given = json!({"addressType": "IPv4", "endpoints": [], "metadata": {"name": "a"}});
    let got = normal("discovery.k8s.io/v1", "EndpointSlice", given);
    assert_eq!(got["endpoints"], Value::Null);
}

#[test]
fn values_take_their_canonical_form() {
    let given = json!({
        "metadata": {"creationTimestamp": "2026-11-25T20:00:00.5+02:00"},
        "spec": {"containers": [{
            "name": "c", "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
            "ports": [{"containerPort": 80.0, "hostPort": null}],
            "livenessProbe": {"httpGet": {"path": "/"}},
        }]},
    });
    let want = json!({
        "metadata": {"creationTimestamp": "2026-11-25T18:00:00Z"},
        "spec": {"containers": [{
            "name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"path": "/", "port": 0}},
        }]},
        "status": {},
    });
    assert_eq!(normal("v1", "Pod", given), want);
    assert_eq!(
        normal(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            json!({"addressType": "IPv4"})
        ),
        json!({"metadata": {}, "addressType": "IPv4", "endpoints": null, "ports": null}),
    );
}
