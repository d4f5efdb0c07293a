//! Backup of a running and of a stopped server, and restore.

use crate::harness::{Up, portolan};

fn version(up: &Up) -> u64 {
    let text = up.kubectl(&["get", "--raw", "/api/v1/configmaps?limit=1"]);
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let version = list["metadata"]["resourceVersion"].as_str();
    version
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

#[test]
fn a_backup_brings_back_what_was_there_and_never_an_older_version() {
    let mut up = Up::start(&["--no-runner"]);
    let dir = up.dir().display().to_string();
    let first = up.dir().join("first.backup").display().to_string();
    let second = up.dir().join("second.backup").display().to_string();
    up.kubectl(&["create", "configmap", "kept", "--from-literal=a=1"]);
    let (ok, said, errors) = portolan(&["backup", "--data-dir", &dir, "--output", &first]);
    assert!(ok && said.starts_with("Backed up "), "{said}{errors}");
    up.kubectl(&["create", "configmap", "later", "--from-literal=a=1"]);
    let newest = version(&up);
    let (ok, _, errors) = portolan(&["restore", &first, "--data-dir", &dir, "--force"]);
    assert!(!ok && errors.contains("is in use by process"), "{errors}");
    up.restart_after(|| {
        let (ok, _, errors) = portolan(&["backup", "--data-dir", &dir, "--output", &second]);
        assert!(ok, "of a stopped server: {errors}");
        let (ok, _, errors) = portolan(&["restore", &first, "--data-dir", &dir]);
        assert!(!ok && errors.contains("say --force"), "{errors}");
        let (ok, said, errors) = portolan(&["restore", &first, "--data-dir", &dir, "--force"]);
        assert!(ok && said.contains("Restored "), "{said}{errors}");
    });
    let names = up.kubectl(&["get", "configmaps", "-o", "name"]);
    assert!(
        names.contains("configmap/kept") && !names.contains("configmap/later"),
        "{names}"
    );
    let restored = version(&up);
    assert!(restored > newest, "{restored} after {newest}");
    up.restart_after(|| {
        let (ok, said, errors) = portolan(&["restore", &second, "--data-dir", &dir, "--force"]);
        assert!(ok, "{said}{errors}");
    });
    let names = up.kubectl(&["get", "configmaps", "-o", "name"]);
    assert!(names.contains("configmap/later"), "{names}");
    assert!(version(&up) > restored);
}
