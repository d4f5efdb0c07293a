use super::*;
use crate::env::Capacity;
use crate::memory::Memory;
use crate::spec::PodObject;
use crate::tokens::Tokens;
use model::Timestamp;
use serde_json::json;

fn pod(volumes: serde_json::Value) -> PodObject {
    let mounts = json!([{"name": "all", "mountPath": "/etc/app"},
        {"name": "tmp", "mountPath": "/cache", "subPath": "one/two"}]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "dev", "uid": "u", "labels": {"app": "x"}},
        "spec": {"volumes": volumes, "containers": [{"name": "c", "volumeMounts": mounts}]}});
    PodObject::parse(testkit::object(&pod)).unwrap()
}

fn run(folder: &Path, pod: &PodObject) -> Result<Volumes, String> {
    let view = Memory::of(
        "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: dev}
data: {a.conf: hello, b.conf: x}
binaryData: {raw: /w==}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: dev}
data: {user: cm9vdA==}
",
    );
    let source = Source {
        pod,
        view: &view,
        pod_ips: &[],
        node_ip: "127.0.0.1".parse().unwrap(),
        tokens: &Tokens::default(),
        now: Timestamp::default(),
        capacity: Capacity {
            cpus: 1,
            memory_bytes: 1,
        },
    };
    materialise(folder, &pod.spec, &source)
}

#[test]
fn files_are_written_updated_and_mirrored() {
    let folder = std::env::temp_dir().join(format!("runner-volumes-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let whole = pod(json!([{"name": "all", "projected": {"sources": [
            {"configMap": {"name": "settings"}},
            {"secret": {"name": "login", "items": [{"key": "user", "path": "keys/u", "mode": 256}]}},
            {"secret": {"name": "none", "optional": true}},
            {"downwardAPI": {"items": [{"path": "labels",
                "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"serviceAccountToken": {"path": "token"}}]}},
        {"name": "tmp", "emptyDir": {}}]));
    let volumes = run(&folder, &whole).unwrap();
    let read = |path: &str| fs::read(folder.join(path)).ok();
    assert_eq!(read("all/a.conf"), Some(b"hello".to_vec()));
    assert_eq!(read("all/raw"), Some(vec![0xff]));
    assert_eq!(read("all/keys/u"), Some(b"root".to_vec()));
    assert_eq!(read("all/labels"), Some(b"app=\"x\"".to_vec()));
    let mode = fs::metadata(folder.join("all/keys/u"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o400);

    let root = folder.join("root");
    let told = mirror(&root, &whole.spec.containers[0], &volumes).unwrap();
    assert_eq!(told, ["/etc/app", "/cache"]);
    assert_eq!(fs::read(root.join("etc/app/a.conf")).unwrap(), b"hello");
    fs::write(root.join("cache/file"), "kept").unwrap();
    assert_eq!(read("tmp/one/two/file"), Some(b"kept".to_vec()));

    let less = pod(json!([{"name": "all", "configMap": {"name": "settings",
        "items": [{"key": "a.conf", "path": "z"}]}}, {"name": "tmp", "emptyDir": {}}]));
    run(&folder, &less).unwrap();
    assert_eq!(
        (read("all/a.conf"), read("all/z")),
        (None, Some(b"hello".to_vec()))
    );
    assert_eq!(read("tmp/one/two/file"), Some(b"kept".to_vec()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_mounted_is_named() {
    let folder = std::env::temp_dir().join(format!("runner-mounts-{}", std::process::id()));
    let why = |volume: serde_json::Value| run(&folder, &pod(json!([volume]))).unwrap_err();
    assert_eq!(
        why(json!({"name": "v", "configMap": {"name": "none"}})),
        "MountVolume.SetUp failed for volume \"v\" : configmap \"none\" not found"
    );
    let out = json!([{"key": "a.conf", "path": "../x"}]);
    let out = why(json!({"name": "v", "configMap": {"name": "settings", "items": out}}));
    assert!(out.ends_with("leads out of the volume"), "{out}");
    let claim = why(json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}));
    assert!(claim.contains("use emptyDir"), "{claim}");
    let _ = fs::remove_dir_all(folder);
}
