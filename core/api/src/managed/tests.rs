use super::scale::Replicas;
use super::{agent_name, drop_if_unchanged};
use serde_json::{Value, json};

#[test]
fn agents_are_cut_at_the_version() {
    assert_eq!(agent_name("kubectl/v1.32 (linux)"), "kubectl");
    assert_eq!(agent_name(&"x".repeat(200)).len(), 128);
}

fn entry(manager: &str, operation: &str, version: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": version,
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

fn replicas() -> Value {
    json!({"f:spec": {"f:replicas": {}}})
}

fn path(version: &str) -> Option<Vec<String>> {
    (version == "apps/v1").then(|| vec!["spec".to_owned(), "replicas".to_owned()])
}

#[test]
fn owners_of_replicas_own_them_in_the_scale_too() {
    let both = json!({"f:spec": {"f:paused": {}, "f:replicas": {}}});
    let parent = [
        entry("a", "Apply", "apps/v1", both),
        entry("b", "Apply", "apps/v1", json!({"f:spec": {"f:paused": {}}})),
    ];
    let mapping = Replicas {
        version: "apps/v1",
        paths: &path,
    };
    let scale = mapping.to_scale(&parent).unwrap();
    assert_eq!(scale, [entry("a", "Apply", "autoscaling/v1", replicas())]);
    // Nothing changed: the object keeps its entries.
    assert_eq!(mapping.to_parent(&parent, &scale).unwrap(), parent);
    // Someone else took them over.
    let taken = [entry("c", "Apply", "autoscaling/v1", replicas())];
    let made = mapping.to_parent(&parent, &taken).unwrap();
    let mut new = entry("c", "Apply", "apps/v1", replicas());
    new.as_object_mut().unwrap().remove("time");
    let rest = entry("a", "Apply", "apps/v1", json!({"f:spec": {"f:paused": {}}}));
    assert_eq!(made, [new, rest, parent[1].clone()]);
}

#[test]
fn times_alone_are_no_change() {
    let object = |time: &str, data: &str| {
        let mut entry = entry("a", "Update", "v1", json!({"f:data": {}}));
        entry["time"] = time.into();
        json!({"metadata": {"name": "x", "managedFields": [entry]}, "data": data})
    };
    let old = object("2026-01-01T00:00:00Z", "1");
    let mut same = object("2026-01-01T00:00:09Z", "1");
    drop_if_unchanged(&mut same, &old);
    assert_eq!(same, old);
    let mut other = object("2026-01-01T00:00:09Z", "2");
    drop_if_unchanged(&mut other, &old);
    assert_eq!(other, object("2026-01-01T00:00:09Z", "2"));
}
