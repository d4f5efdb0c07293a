//! What holds for every kind and any input.

use proptest::prelude::*;
use schema::Registry;
use serde_json::{Value, json};

/// Objects with names that kinds have, values of any type and some depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!(1.5)),
        "[a-z0-9:TZ-]{0,8}".prop_map(Value::from),
        Just(json!("2026-11-25T18:00:00Z")),
    ];
    let key = prop_oneof![
        Just("metadata"),
        Just("spec"),
        Just("status"),
        Just("labels"),
        Just("creationTimestamp"),
        Just("template"),
        Just("containers"),
        Just("ports"),
        Just("targetPort"),
        Just("name"),
        Just("resources"),
        Just("limits"),
        Just("data"),
        Just("subsets"),
        Just("conditions"),
        Just("lastTransitionTime"),
        Just("endpoints"),
        Just("rules"),
        Just("nope"),
    ];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let registry = Registry::builtin();
        let _ = registry.type_meta(&bytes);
        for kind in registry.kinds() {
            let _ = registry.decode(kind, &bytes);
        }
    }

    #[test]
    fn normal_form_is_a_fixed_point(value in any_json()) {
        let registry = Registry::builtin();
        for kind in registry.kinds() {
            let mut once = value.clone();
            registry.normalise(kind, &mut once);
            let mut twice = once.clone();
            registry.normalise(kind, &mut twice);
            prop_assert_eq!(&once, &twice, "{}", kind.kind);
            // What is in normal form can be decoded, to the same form and without complaint.
            let decoded = registry.decode(kind, once.to_string().as_bytes());
            let decoded = decoded.map_err(|error| TestCaseError::fail(error.message))?;
            prop_assert_eq!(&decoded.strict, &Vec::<String>::new());
            once["apiVersion"] = kind.api_version().into();
            once["kind"] = kind.kind.as_str().into();
            prop_assert_eq!(&decoded.value, &once);
            let restored = registry.restore(kind, once.clone());
            prop_assert_eq!(restored.map(|restored| restored.value), Ok(once));
        }
    }

    #[test]
    fn decoding_and_restoring_agree(value in any_json()) {
        let registry = Registry::builtin();
        for kind in registry.kinds().filter(|_| value.is_object()) {
            let decoded = registry.decode(kind, value.to_string().as_bytes());
            let restored = registry.restore(kind, value.clone());
            if let (Ok(decoded), Ok(restored)) = (decoded, restored) {
                prop_assert_eq!(decoded.value, restored.value);
            }
        }
    }

    #[test]
    fn patches_of_any_shape_never_panic(original in any_json(), patch in any_json()) {
        let registry = Registry::builtin();
        for kind in registry.kinds() {
            let _ = registry.strategic_merge(kind, original.clone(), patch.clone());
        }
    }
}

#[test]
fn both_forms_of_an_event_are_one_object() {
    let registry = Registry::builtin();
    let core = registry.by_kind("v1", "Event").expect("core");
    let events = registry
        .by_kind("events.k8s.io/v1", "Event")
        .expect("events");
    let mut event = json!({
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "m", "count": 3,
        "reportingComponent": "c", "reportingInstance": "i", "source": {"component": "c"},
    });
    registry.normalise(core, &mut event);
    let mut other = event.clone();
    registry.convert(core, events, &mut other);
    assert_eq!(other["note"], "m");
    assert_eq!(other["regarding"], json!({"kind": "Pod"}));
    assert_eq!(other["deprecatedCount"], 3);
    assert_eq!(other["reportingController"], "c");
    registry.convert(events, core, &mut other);
    event["apiVersion"] = "v1".into();
    event["kind"] = "Event".into();
    assert_eq!(other, event);
}
