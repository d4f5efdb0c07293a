use super::*;
use crate::memory::Memory;
use crate::tokens::Tokens;
use serde_json::json;

fn pod(container: serde_json::Value) -> PodObject {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "dev", "uid": "u1",
            "labels": {"app": "web", "tier": "a\"b"}, "annotations": {"note": "x"}},
        "spec": {"nodeName": "here", "serviceAccountName": "default", "containers": [container,
            {"name": "side", "resources": {"requests": {"cpu": "250m"}}}]},
    });
    PodObject::parse(testkit::object(&pod)).unwrap()
}

fn view() -> Memory {
    Memory::of(
        "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: dev}
data: {COLOR: blue, size: '3'}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: dev}
data: {user: cm9vdA==}
---
apiVersion: v1
kind: Service
metadata: {name: my-db, namespace: dev}
spec: {clusterIP: 127.96.0.7, clusterIPs: [127.96.0.7], ports: [{name: sql-port, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: dev}
spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 1}]}
---
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 127.96.0.1, clusterIPs: [127.96.0.1], ports: [{name: https, port: 443}]}
",
    )
}

fn env_of(container: serde_json::Value) -> Result<Env, String> {
    let pod = pod(container);
    let view = view();
    let ips = ["127.244.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
    let source = Source {
        pod: &pod,
        view: &view,
        pod_ips: &ips,
        node_ip: "127.0.0.1".parse().unwrap(),
        tokens: &Tokens::default(),
        now: Timestamp::default(),
        capacity: Capacity {
            cpus: 4,
            memory_bytes: 1 << 30,
        },
    };
    source.env(&pod.spec.containers[0], Env::new())
}

#[test]
fn references_are_expanded_in_order() {
    let known = |name: &str| (name == "A").then(|| "1".to_owned());
    for (text, want) in [
        ("$(A)$(A)", "11"),
        ("$$(A)", "$(A)"),
        ("$(B) $A $", "$(B) $A $"),
        ("$(A", "$(A"),
        ("ä$(A)ö", "ä1ö"),
    ] {
        assert_eq!(expand(text, known), want, "{text}");
    }
}

#[test]
fn variables_come_from_everywhere() {
    let env = env_of(json!({"name": "main",
    "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "P_"},
        {"secretRef": {"name": "none", "optional": true}}],
    "resources": {"limits": {"memory": "64Mi"}},
    "env": [
        {"name": "A", "value": "$(P_COLOR)-$(MY_DB_SERVICE_HOST)-$(LATER)"},
        {"name": "LATER", "value": "x"},
        {"name": "EMPTY"},
        {"name": "USER", "valueFrom": {"secretKeyRef": {"name": "login", "key": "user"}}},
        {"name": "GONE", "valueFrom": {"configMapKeyRef":
            {"name": "settings", "key": "no", "optional": true}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "LABELS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef":
            {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "SIDE", "valueFrom": {"resourceFieldRef":
            {"containerName": "side", "resource": "requests.cpu", "divisor": "1m"}}},
    ]}))
    .unwrap();
    let get = |name: &str| env.get(name).map(String::as_str);
    assert_eq!(get("A"), Some("blue-127.96.0.7-$(LATER)"));
    assert_eq!(get("EMPTY"), Some(""));
    assert_eq!(get("USER"), Some("root"));
    assert_eq!(get("GONE"), None);
    assert_eq!(get("IP"), Some("127.244.0.9"));
    assert_eq!(get("IPS"), Some("127.244.0.9,fd00::9"));
    assert_eq!(get("APP"), Some("web"));
    assert_eq!(get("LABELS"), Some("app=\"web\"\ntier=\"a\\\"b\""));
    assert_eq!(get("MEM"), Some("64"));
    assert_eq!(get("CPUS"), Some("4"));
    assert_eq!(get("SIDE"), Some("250"));
    assert_eq!(get("P_size"), Some("3"));
    assert_eq!(get("MY_DB_SERVICE_PORT_SQL_PORT"), Some("5432"));
    assert_eq!(get("MY_DB_PORT_5432_TCP"), Some("tcp://127.96.0.7:5432"));
    assert_eq!(get("KUBERNETES_SERVICE_HOST"), Some("127.96.0.1"));
    assert_eq!(get("HEADLESS_SERVICE_HOST"), None);
}

#[test]
fn what_is_missing_is_named() {
    let missing =
        |env: serde_json::Value| env_of(json!({"name": "main", "env": [env]})).unwrap_err();
    let key = |kind: &str, name: &str| {
        missing(json!({"name": "X", "valueFrom": {kind: {"name": name, "key": "no"}}}))
    };
    assert_eq!(
        key("configMapKeyRef", "settings"),
        "couldn't find key no in ConfigMap dev/settings"
    );
    assert_eq!(key("secretKeyRef", "none"), "secret \"none\" not found");
    let field = json!({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}});
    assert_eq!(missing(field), "unsupported fieldPath: spec.x");
    let from = json!({"name": "main", "envFrom": [{"configMapRef": {"name": "none"}}]});
    assert_eq!(env_of(from).unwrap_err(), "configmap \"none\" not found");
}
