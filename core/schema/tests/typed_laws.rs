//! What holds for every field set and every object.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use schema::Registry;
use schema::typed::{Duplicates, FieldSet, compare, equal, field_set, merge, remove, validate};
use serde_json::{Value, json};

/// What may stand in `fieldsV1`, well-formed or not.
fn fields() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just(".".to_owned()),
        "f:[a-c.]{0,2}",
        "f:(metadata|spec|ports|labels|data|selector|finalizers)",
        Just("k:{\"port\":80,\"protocol\":\"TCP\"}".to_owned()),
        Just("k:{\"port\":80.0}".to_owned()),
        "k:.{0,6}",
        "v:(\"<a>\"|1|1.5|null|[a-z]{0,2}|\\{\"a\":1\\})",
        "i:(-?[0-9]{1,3}|x)",
        "[a-z]:?[a-z]?",
    ];
    let leaf = prop_oneof![
        10 => Just(json!({})),
        1 => Just(Value::Null),
        1 => Just(json!(1)),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        proptest::collection::btree_map(key.clone(), inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    })
}

fn service() -> impl Strategy<Value = Value> {
    let port = (
        1..4i64,
        prop_oneof![Just(None), Just(Some("TCP")), Just(Some("UDP"))],
    );
    let ports = proptest::collection::vec((port, "[ab]"), 0..4);
    let map = || proptest::collection::btree_map("[a-c]", "[xy]", 0..3);
    let finalizers = proptest::collection::vec("[a-c]", 0..3);
    (ports, map(), map(), finalizers).prop_map(|(ports, labels, selector, finalizers)| {
        let ports: Vec<Value> = ports
            .into_iter()
            .map(|((port, protocol), name)| {
                let mut value = json!({"port": port, "name": name});
                if let Some(protocol) = protocol {
                    value["protocol"] = protocol.into();
                }
                value
            })
            .collect();
        json!({
            "metadata": {"labels": labels, "finalizers": finalizers},
            "spec": {"ports": ports, "selector": selector},
        })
    })
}

proptest! {
    #[test]
    fn fields_are_written_as_they_were_read(fields in fields()) {
        if let Ok(set) = FieldSet::parse(&fields) {
            let written = set.to_value();
            prop_assert_eq!(FieldSet::parse(&written).unwrap(), set);
        }
    }

    #[test]
    fn sets_of_any_fields_never_panic(fields in fields(), object in service()) {
        let Ok(mut set) = FieldSet::parse(&fields) else { return Ok(()) };
        let registry = Registry::builtin();
        for name in ["Service", "Pod", "ConfigMap", "Node"] {
            let kind = registry.by_kind("v1", name).unwrap();
            let ty = registry.typed(kind);
            let _ = remove(ty, &object, &set);
            let _ = set.with_named(Some(ty));
            schema::typed::reconcile(ty, &mut set);
            prop_assert!(!schema::typed::reconcile(ty, &mut set));
        }
    }

    #[test]
    fn algebra_of_sets(a in fields(), b in fields()) {
        let (Ok(a), Ok(b)) = (FieldSet::parse(&a), FieldSet::parse(&b)) else { return Ok(()) };
        let mut union = a.clone();
        union.add(b.clone());
        prop_assert_eq!(union.intersection(&a), a.clone());
        let mut rest = union.clone();
        rest.subtract(&b);
        let mut only = a.clone();
        only.subtract(&b);
        prop_assert_eq!(&rest, &only);
        prop_assert!(only.intersection(&b).is_empty());
        only.add(a.intersection(&b));
        prop_assert_eq!(only, a);
    }

    #[test]
    fn merging_twice_is_merging_once(live in service(), config in service()) {
        let registry = Registry::builtin();
        let kind = registry.by_kind("v1", "Service").unwrap();
        let ty = registry.typed(kind);
        prop_assume!(validate(ty, &config, Duplicates::Refuse).is_ok());
        let merged = merge(ty, &live, &config).unwrap();
        let again = merge(ty, &merged, &config).unwrap();
        prop_assert!(equal(&merged, &again), "{merged} {again}");
        // What the configuration names is there, and nothing of it differs.
        let named = field_set(ty, &config);
        let changed = compare(ty, &merged, &merged).unwrap();
        prop_assert!(changed.removed.is_empty() && changed.modified.is_empty());
        let gone = compare(ty, &config, &merged).unwrap();
        prop_assert!(named.intersection(&gone.modified).is_empty());
        prop_assert!(named.intersection(&gone.removed).is_empty());
    }

    #[test]
    fn what_is_taken_out_is_gone(object in service()) {
        let registry = Registry::builtin();
        let kind = registry.by_kind("v1", "Service").unwrap();
        let ty = registry.typed(kind);
        let set = field_set(ty, &object);
        let left = remove(ty, &object, &set.with_named(Some(ty)));
        let rest = field_set(ty, &left);
        let rest = rest.intersection(&set);
        prop_assert!(rest.is_empty(), "{left}");
    }
}
