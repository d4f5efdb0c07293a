use super::*;
use crate::Registry;
use serde_json::{Value, json};

fn service() -> (Registry, std::sync::Arc<crate::Kind>) {
    let registry = Registry::builtin();
    let kind = registry.by_kind("v1", "Service").unwrap().clone();
    (registry, kind)
}

#[test]
fn lists_with_keys_are_owned_by_element() {
    let (registry, kind) = service();
    let object = json!({
        "metadata": {"finalizers": ["a/b"], "labels": {"x": "y"}, "annotations": {}},
        "spec": {"ports": [{"port": 80, "name": "x"}], "selector": {"a": "b"}, "type": null},
    });
    let want = json!({
        "f:metadata": {
            "f:annotations": {},
            "f:finalizers": {"v:\"a/b\"": {}},
            "f:labels": {"f:x": {}},
        },
        "f:spec": {
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}},
            "f:selector": {},
            "f:type": {},
        },
    });
    let set = field_set(registry.typed(&kind), &object);
    assert_eq!(set.to_value(), want);
    assert_eq!(FieldSet::parse(&want).unwrap(), set);
}

#[test]
fn what_is_new_is_added_with_all_that_leads_there() {
    let (registry, kind) = service();
    let old = json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}});
    let new = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"x": "y"}},
        "status": {"loadBalancer": {}},
    });
    let comparison = compare(registry.typed(&kind), &old, &new).unwrap();
    assert!(comparison.removed.is_empty() && comparison.modified.is_empty());
    let want = json!({
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}}},
            "f:selector": {},
        },
    });
    assert_eq!(comparison.added.to_value(), want);
}

#[test]
fn faults_name_places_and_values() {
    let (registry, kind) = service();
    let ty = registry.typed(&kind);
    for (spec, want) in [
        (json!({"foo": 1}), ".spec.foo: field not declared in schema"),
        (
            json!({"ports": {"a": "b"}}),
            ".spec.ports: expected list, got &{map[a:b]}",
        ),
        (
            json!({"ports": [{"port": "80"}]}),
            ".spec.ports[port=\"80\",protocol=\"TCP\"].port: expected numeric (int or float), got string",
        ),
        (
            json!({"type": {"a": 1}}),
            ".spec.type: expected string, got &value.valueUnstructured{Value:map[string]interface {}{\"a\":1}}",
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}),
            ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]",
        ),
        (
            json!({"type": 1, "ports": 2}),
            "errors:\n  .spec.ports: expected list, got &{2}\n  .spec.type: expected string, got &value.valueUnstructured{Value:1}",
        ),
    ] {
        let object = json!({"spec": spec});
        let faults = validate(ty, &object, Duplicates::Refuse).unwrap_err();
        assert_eq!(faults.to_string(), want);
    }
}

#[test]
fn merged_lists_keep_both_orders() {
    let (registry, kind) = service();
    let ports = |list: &[i64]| {
        let ports: Vec<Value> = list.iter().map(|port| json!({"port": port})).collect();
        json!({"spec": {"ports": ports}})
    };
    for (left, right, want) in [
        (&[1, 2][..], &[2, 3][..], &[1, 2, 3][..]),
        (&[1, 2, 3], &[3, 1], &[2, 3, 1]),
        (&[], &[2, 1], &[2, 1]),
        (&[1, 2], &[], &[1, 2]),
        (&[1, 5, 2], &[3, 2], &[1, 5, 3, 2]),
    ] {
        let merged = merge(registry.typed(&kind), &ports(left), &ports(right)).unwrap();
        let order = merged["spec"]["ports"].as_array().unwrap();
        let order: Vec<i64> = order.iter().map(|p| p["port"].as_i64().unwrap()).collect();
        assert_eq!(order, want, "{left:?} {right:?}");
    }
}

#[test]
fn custom_schemas_say_how_lists_are_owned() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "whole": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string", "default": "d"}, "v": {"type": "string"}}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}}});
    let registry = Registry::builtin();
    let schema = Schema::new(&schema, false);
    let object = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "set": ["x"], "whole": ["y"], "map": [{"v": "1"}], "any": {"q": {"r": [1]}},
    }});
    let ty = schema.root(&registry.types);
    assert_eq!(validate(ty, &object, Duplicates::Refuse), Ok(()));
    let want = json!({
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {
            "f:set": {"v:\"x\"": {}},
            "f:whole": {},
            "f:map": {"k:{\"k\":\"d\"}": {".": {}, "f:v": {}}},
            "f:any": {"f:q": {".": {}, "f:r": {".": {}}}},
        },
    });
    let got = field_set(ty, &object).to_value();
    let want_any = json!({"f:q": {"f:r": {}}});
    assert_eq!(got["f:spec"]["f:map"], want["f:spec"]["f:map"]);
    assert_eq!(got["f:spec"]["f:set"], want["f:spec"]["f:set"]);
    assert_eq!(got["f:spec"]["f:any"]["f:q"]["f:r"], want_any["f:q"]["f:r"]);
    let faults = validate(ty, &json!({"spec": {"nope": 1}}), Duplicates::Refuse).unwrap_err();
    assert_eq!(
        faults.to_string(),
        ".spec.nope: field not declared in schema"
    );
}
