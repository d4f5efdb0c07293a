//! What users are told when the API refuses a controller's write.

use crate::lab::Lab;
use control::{Key, Settings};
use model::{ApiError, Resource, Write};
use serde_json::json;

fn write(resource: Resource, name: &str) -> Write {
    Write::Create {
        resource,
        object: json!({"metadata": {"name": name, "namespace": "default"}}),
    }
}

#[test]
fn a_pod_that_cannot_be_made_shows_in_status_and_events() {
    let mut lab = Lab::new(Settings::default());
    lab.create(&json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {}},
        },
    }));
    let key = Key::new(Resource::REPLICA_SETS, "default", "web");
    let error = ApiError::new(403, "Forbidden", "pods \"web-x\" is forbidden: no account");
    let create = write(Resource::PODS, "web-x");
    lab.refuse("replicaset-controller", &key, &create, &error);
    let told = "event Warning FailedCreate replicasets.apps/default/web: Error creating: pods \
                \"web-x\" is forbidden: no account";
    assert_eq!(lab.log.first().map(String::as_str), Some(told));
    let status = lab.list(Resource::REPLICA_SETS)[0]["status"].clone();
    assert_eq!(status["conditions"][0]["type"], "ReplicaFailure");
    assert_eq!(status["conditions"][0]["reason"], "FailedCreate");
    lab.settle();
    let status = lab.list(Resource::REPLICA_SETS)[0]["status"].clone();
    assert!(status.get("conditions").is_none(), "{status}");
}

#[test]
fn a_namespace_that_ends_is_no_news() {
    let mut lab = Lab::new(Settings::default());
    lab.create(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {}},
        },
    }));
    let key = Key::new(Resource::DEPLOYMENTS, "default", "web");
    let mut error = ApiError::new(403, "Forbidden", "it is being terminated");
    error.details = Some(json!({"causes": [{"reason": "NamespaceTerminating"}]}));
    let create = write(Resource::REPLICA_SETS, "web-1");
    lab.refuse("deployment-controller", &key, &create, &error);
    assert_eq!(lab.log, Vec::<String>::new());
    error.details = None;
    lab.refuse("deployment-controller", &key, &create, &error);
    assert_eq!(lab.log.len(), 2, "{:?}", lab.log);
    let status = lab.list(Resource::DEPLOYMENTS)[0]["status"].clone();
    assert_eq!(status["conditions"][0]["reason"], "ReplicaSetCreateError");
}
