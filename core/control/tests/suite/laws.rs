//! Laws that hold for any cluster: points of rest are at rest, the order of events means nothing,
//! and slices hold each Pod once and never too many.

use crate::lab::Lab;
use control::Settings;
use model::{ObjectKey, Resource, Write};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MAX_PER_SLICE: usize = 100;

/// A Pod as a test draws it.
#[derive(Clone, Debug)]
struct Drawn {
    ready: bool,
    named: bool,
    ended: bool,
    address: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let mostly = |p| prop::bool::weighted(p);
    (mostly(0.7), mostly(0.8), mostly(0.1), mostly(0.9)).prop_map(
        |(ready, named, ended, address)| Drawn {
            ready,
            named,
            ended,
            address,
        },
    )
}

fn pod(number: usize, drawn: &Drawn) -> Value {
    let ip = format!("10.1.{}.{}", number / 250, number % 250 + 1);
    let ports = if drawn.named {
        json!([{"name": "http", "containerPort": 8080}])
    } else {
        Value::Null
    };
    let mut status = json!({
        "phase": if drawn.ended { "Failed" } else { "Running" },
        "conditions": [{
            "type": "Ready", "status": if drawn.ready { "True" } else { "False" },
            "lastTransitionTime": "2020-01-01T00:00:00Z",
        }],
    });
    if drawn.address {
        status["podIP"] = ip.clone().into();
        status["podIPs"] = json!([{"ip": ip}]);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("p{number:04}"), "namespace": "default", "labels": {"app": "web"},
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": ports}]},
        "status": status,
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
            "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"},
                {"name": "adm", "port": 81, "targetPort": 81, "protocol": "TCP"},
            ],
        },
    })
}

fn node() -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
}

/// Pod name → (ready, has the named port), as the slices have it; fails on doubles.
fn published(lab: &Lab) -> BTreeMap<String, (bool, bool)> {
    let mut found = BTreeMap::new();
    for slice in lab.list(Resource::ENDPOINT_SLICES) {
        let endpoints = slice["endpoints"].as_array().cloned().unwrap_or_default();
        assert!(
            endpoints.len() <= MAX_PER_SLICE,
            "{} endpoints",
            endpoints.len()
        );
        let named = slice["ports"]
            .as_array()
            .is_some_and(|ports| ports.len() == 2);
        for endpoint in endpoints {
            let name = endpoint["targetRef"]["name"].as_str().unwrap_or_default();
            let ready = endpoint["conditions"]["ready"] == true;
            let before = found.insert(name.to_owned(), (ready, named));
            assert_eq!(before, None, "{name} is published twice");
        }
    }
    found
}

fn wanted(pods: &[Drawn]) -> BTreeMap<String, (bool, bool)> {
    let pods = pods.iter().enumerate();
    pods.filter(|(_, pod)| pod.address && !pod.ended)
        .map(|(number, pod)| (format!("p{number:04}"), (pod.ready, pod.named)))
        .collect()
}

fn lab_with(pods: &[Drawn], backwards: bool) -> Lab {
    let mut lab = Lab::new(Settings::default());
    lab.backwards = backwards;
    lab.create(&node());
    lab.create(&service());
    for (number, drawn) in pods.iter().enumerate() {
        lab.create(&pod(number, drawn));
        if number % 37 == 0 {
            lab.settle();
        }
    }
    lab.settle();
    lab
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn slices_publish_each_pod_once(
        before in prop::collection::vec(drawn(), 0..220),
        gone in 0usize..120,
        backwards in any::<bool>(),
    ) {
        let mut lab = lab_with(&before, backwards);
        prop_assert_eq!(published(&lab), wanted(&before));
        let mut left = wanted(&before);
        for number in 0..gone.min(before.len()) {
            let name = format!("p{number:04}");
            left.remove(&name);
            lab.act(Write::Delete {
                key: ObjectKey::new(Resource::PODS, "default", &name),
                uid: None,
                grace_seconds: Some(0),
                propagation: None,
            });
        }
        lab.settle();
        prop_assert_eq!(published(&lab), left);
        prop_assert!(!lab.list(Resource::ENDPOINT_SLICES).is_empty());
        prop_assert_eq!(lab.unrest(), Vec::<String>::new());
    }

    #[test]
    fn the_order_of_work_means_nothing(replicas in 0i64..6, next in 0i64..6, surge in 0i64..3) {
        let run = |backwards: bool| {
            let mut lab = Lab::new(Settings::default());
            lab.backwards = backwards;
            lab.create(&json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": "web"}},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {
                        "maxSurge": surge, "maxUnavailable": 1,
                    }},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "c", "image": "v1"}]},
                    },
                },
            }));
            lab.settle();
            make_ready(&mut lab);
            for body in [
                json!({"spec": {"replicas": next}}),
                json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}),
            ] {
                lab.act(Write::MergePatch {
                    key: ObjectKey::new(Resource::DEPLOYMENTS, "default", "web"),
                    subresource: "",
                    patch: body,
                });
                lab.settle();
                for _ in 0..12 {
                    make_ready(&mut lab);
                }
            }
            assert_eq!(lab.unrest(), Vec::<String>::new());
            sizes(&lab)
        };
        let forwards = run(false);
        prop_assert_eq!(&forwards, &run(true));
        let wanted = i64::try_from(forwards.1.len()).unwrap_or(-1);
        prop_assert_eq!(wanted, next);
        prop_assert!(forwards.1.iter().all(|image| image == "v2"));
    }
}

/// Plays kubelet: every Pod runs and is ready.
fn make_ready(lab: &mut Lab) {
    for pod in lab.list(Resource::PODS) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        lab.act(Write::MergePatch {
            key: ObjectKey::new(Resource::PODS, "default", name),
            subresource: "status",
            patch: json!({"status": {"phase": "Running", "conditions": [{
                "type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z",
            }]}}),
        });
    }
    lab.settle();
}

/// Sizes of the ReplicaSets and images of the Pods.
fn sizes(lab: &Lab) -> (Vec<Value>, Vec<String>) {
    let sets = lab.list(Resource::REPLICA_SETS);
    let sizes = sets.iter().map(|set| set["spec"]["replicas"].clone());
    let pods = lab.list(Resource::PODS);
    let images = pods
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].as_str());
    (
        sizes.collect(),
        images
            .map(|image| image.unwrap_or_default().to_owned())
            .collect(),
    )
}
