//! What the rules of Roles and bindings refuse, and in which words.

use crate::net::bench::Bench;
use model::ApiError;
use serde_json::{Value, json};

fn object(kind: &str, mut body: Value) -> Value {
    body["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
    body["kind"] = kind.into();
    body["metadata"] = json!({"name": "x"});
    if !kind.starts_with("Cluster") {
        body["metadata"]["namespace"] = "default".into();
    }
    body
}

fn create(kind: &str, body: Value) -> Result<Value, ApiError> {
    Bench::new(&["10.96.0.0/16"]).create(object(kind, body))
}

fn texts(error: &ApiError) -> Vec<String> {
    let causes = error
        .details
        .as_ref()
        .and_then(|details| details["causes"].as_array());
    let text = |cause: &Value| {
        let part = |key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", part("field"), part("message"))
    };
    causes.into_iter().flatten().map(text).collect()
}

#[test]
fn rules_are_about_resources_or_about_paths() {
    let rules = json!([{}, {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "nonResourceURLs": ["/x"]}]);
    let error = create("Role", json!({"rules": rules})).unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
        ]
    );
    let paths = json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]});
    assert!(create("ClusterRole", paths).is_ok());
    let error = create("ClusterRole", json!({"aggregationRule": {}})).unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
        ]
    );
}

#[test]
fn bindings_name_a_role_for_good() {
    let mut bench = Bench::new(&["10.96.0.0/16"]);
    let binding = |role: &str| {
        let body = json!({"roleRef": {"kind": "Role", "name": role}, "subjects": [{"kind": "User", "name": "u"}]});
        object("RoleBinding", body)
    };
    let stored = bench.create(binding("r")).unwrap();
    assert_eq!(stored["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(
        stored["subjects"][0]["apiGroup"],
        "rbac.authorization.k8s.io"
    );
    let error = bench.update(binding("other")).unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"other\"}: cannot change roleRef"
        ]
    );
    let subjects = json!([{"kind": "ServiceAccount", "name": "s"}, {"kind": "Robot", "name": "r"}]);
    let body = json!({"roleRef": {"kind": "Role", "name": ""}, "subjects": subjects});
    let error = create("ClusterRoleBinding", body).unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
            "roleRef.name: Required value",
            "subjects[0].namespace: Required value",
            "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
        ]
    );
}

#[test]
fn reviews_ask_about_one_thing() {
    let review = |kind: &str, spec: Value| json!({"kind": kind, "metadata": {}, "spec": spec});
    let count = |value: &Value| super::review_errors(value).len();
    let pods = json!({"verb": "get", "resource": "pods"});
    assert_eq!(count(&review("SelfSubjectAccessReview", json!({}))), 1);
    assert_eq!(count(&review("SubjectAccessReview", json!({}))), 2);
    let good = json!({"user": "u", "resourceAttributes": pods});
    assert_eq!(count(&review("SubjectAccessReview", good.clone())), 0);
    let mut named = review("SubjectAccessReview", good);
    named["metadata"] = json!({"labels": {"b": "c"}, "name": "x"});
    let errors = super::review_errors(&named);
    assert_eq!(
        errors[0].to_string(),
        "metadata: Invalid value: {\"name\":\"x\",\"labels\":{\"b\":\"c\"}}: must be empty"
    );
}
