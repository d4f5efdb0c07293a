use crate::{PatchError, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};

fn merge(
    api_version: &str,
    kind: &str,
    original: Value,
    patch: Value,
) -> Result<Value, PatchError> {
    let registry = Registry::builtin();
    let kind = registry.by_kind(api_version, kind).expect("kind");
    registry.strategic_merge(kind, original, patch)
}

fn merged(original: Value, patch: Value) -> Value {
    merge("v1", "Pod", original, patch).expect("merges")
}

fn pod(containers: Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn lists_merge_by_key_and_new_items_come_first() {
    let original = pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    let patch = pod(json!([{"name": "c"}, {"name": "b", "image": "2", "args": ["x"]}]));
    assert_eq!(
        merged(original, patch),
        pod(json!([
            {"name": "c"}, {"name": "a", "image": "1"},
            {"name": "b", "image": "2", "args": ["x"]},
        ]))
    );
}

#[test]
fn directives_in_lists() {
    let original = pod(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    assert_eq!(
        merged(
            original.clone(),
            pod(json!([{"$patch": "delete", "name": "b"}]))
        ),
        pod(json!([{"name": "a"}, {"name": "c"}]))
    );
    assert_eq!(
        merged(
            original.clone(),
            pod(json!([{"name": "d"}, {"$patch": "replace"}]))
        ),
        pod(json!([{"name": "d"}]))
    );
    let ordered = json!({"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}],
        "containers": [{"name": "d"}, {"name": "a", "image": "2"}],
    }});
    assert_eq!(
        merged(original, ordered),
        pod(json!([{"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "a", "image": "2"}]))
    );
}

#[test]
fn primitive_lists_are_sets() {
    let meta = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let original = meta(json!(["a.b/1", "a.b/2"]));
    assert_eq!(
        merged(original.clone(), meta(json!(["a.b/3"]))),
        meta(json!(["a.b/3", "a.b/1", "a.b/2"]))
    );
    let patch = json!({"metadata": {
        "$deleteFromPrimitiveList/finalizers": ["a.b/1", "x"],
        "$setElementOrder/finalizers": ["a.b/2"],
    }});
    assert_eq!(merged(original.clone(), patch), meta(json!(["a.b/2"])));
    assert_eq!(merged(original, meta(Value::Null)), json!({"metadata": {}}));
}

#[test]
fn directives_in_maps() {
    let original = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n"}});
    let patch = json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}});
    assert_eq!(
        merged(original.clone(), patch)["metadata"],
        json!({"labels": {"b": "2"}})
    );
    let patch = json!({"metadata": {"labels": {"$patch": "delete"}}, "spec": null});
    assert_eq!(
        merged(original.clone(), patch),
        json!({"metadata": {"labels": {}}})
    );
    let patch = json!({"metadata": {"annotations": {"n": null, "k": "v"}}});
    assert_eq!(
        merged(original, patch)["metadata"]["annotations"],
        json!({"k": "v"})
    );
    let volumes = |volume: Value| json!({"spec": {"volumes": [volume]}});
    assert_eq!(
        merged(
            volumes(json!({"name": "v", "emptyDir": {}})),
            volumes(
                json!({"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {"path": "/"}})
            ),
        ),
        volumes(json!({"name": "v", "hostPath": {"path": "/"}}))
    );
}

#[test]
fn refusals() {
    let original = pod(json!([{"name": "a"}]));
    for (patch, code, message) in [
        (
            pod(json!([{"image": "x"}])),
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            pod(json!([{"$patch": "nope", "name": "a"}])),
            500,
            "unknown patch type: nope in map: map[$patch:nope name:a]",
        ),
        (
            json!({"$patch": "x"}),
            500,
            "unknown patch type: x in map: map[$patch:x]",
        ),
        (pod(json!([["a"]])), 422, "lists of lists are not supported"),
        (
            json!({"spec": {"$retainKeys": ["nodeName"], "containers": []}}),
            400,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"spec": {"$setElementOrder": []}}),
            400,
            "invalid patch format of setElementOrder list",
        ),
        (
            json!({"spec": {"$deleteFromPrimitiveList": []}}),
            400,
            "invalid patch format of primitive list",
        ),
        (json!([]), 400, "invalid JSON document"),
    ] {
        let error = merge("v1", "Pod", original.clone(), patch).expect_err(message);
        assert_eq!((error.code, error.message.as_str()), (code, message));
    }
}

/// Pods with a few containers, ports and labels.
fn any_pod() -> impl Strategy<Value = Value> {
    let port = (1..4i64).prop_map(|port| json!({"containerPort": port, "protocol": "TCP"}));
    let ports = proptest::collection::vec(port, 0..3);
    let container =
        ("[a-c]", ports).prop_map(|(name, ports)| json!({"name": name, "ports": ports}));
    let containers = proptest::collection::vec(container, 0..3);
    let labels = proptest::collection::btree_map("[a-c]", "[x-z]", 0..3);
    let finalizers = proptest::collection::vec("[a-c]/[a-c]", 0..3);
    (containers, labels, finalizers).prop_map(|(containers, labels, finalizers)| {
        json!({
            "metadata": {"labels": labels, "finalizers": finalizers},
            "spec": {"containers": containers},
        })
    })
}

/// With all lists sorted.
fn unordered(mut value: Value) -> Value {
    match &mut value {
        Value::Array(list) => {
            for item in list.iter_mut() {
                *item = unordered(item.take());
            }
            list.sort_by_key(Value::to_string);
        }
        Value::Object(map) => {
            for item in map.values_mut() {
                *item = unordered(item.take());
            }
        }
        _ => {}
    }
    value
}

proptest! {
    #[test]
    fn the_empty_patch_changes_nothing(pod in any_pod()) {
        prop_assert_eq!(merged(pod.clone(), json!({})), pod);
    }

    /// But for the order: items of the list are woven in by where they stood before.
    #[test]
    fn a_patch_twice_is_a_patch_once(pod in any_pod(), patch in any_pod()) {
        let once = merged(pod, patch.clone());
        prop_assert_eq!(unordered(merged(once.clone(), patch)), unordered(once));
    }

    #[test]
    fn replace_gives_the_patch(pod in any_pod(), patch in any_pod()) {
        let mut replace = patch.clone();
        replace["$patch"] = "replace".into();
        prop_assert_eq!(merged(pod, replace), patch);
    }
}
