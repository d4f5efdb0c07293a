use super::*;
use crate::Registry;
use serde_json::json;

fn definition() -> Value {
    let schema = |properties: Value| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {
            "type": "object", "properties": properties}}}})
    };
    let text = json!({"type": "string"});
    json!({
        "metadata": {"name": "widgets.example.com", "resourceVersion": "7"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": false, "storage": true,
                 "schema": schema(json!({"a": text, "d": {"type": "string", "default": "x"}}))},
                {"name": "v2", "served": true, "storage": false, "deprecated": true,
                 "schema": schema(json!({"a": text, "b": text, "d": text})),
                 "selectableFields": [{"jsonPath": ".spec.a"}]},
                {"name": "v3", "served": true, "storage": false, "schema": schema(json!({}))},
            ],
        },
        "status": {
            "acceptedNames": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "conditions": [{"type": "Established", "status": "True"}],
        },
    })
}

fn registry() -> Registry {
    Registry::builtin().with_definition("widgets.example.com", Some(&definition()))
}

#[test]
fn an_established_definition_has_kinds() {
    let registry = registry();
    assert!(
        registry
            .by_resource("example.com", "v1", "widgets")
            .is_none()
    );
    let kind = registry
        .by_resource("example.com", "v2", "widgets")
        .expect("served");
    assert_eq!(kind.list_kind, "WidgetList");
    let stored = registry.stored(kind.resource).expect("stored");
    assert_eq!((stored.version.as_str(), stored.is_served()), ("v1", false));
    let custom = kind.custom().expect("custom");
    let warning = custom.deprecation.as_deref();
    assert_eq!(
        warning,
        Some("example.com/v2 Widget is deprecated; use example.com/v3 Widget")
    );
    assert_eq!(custom.selectable()[0].name, "spec.a");
    assert!(!custom.is_current(9));
    let gone = registry.with_definition("widgets.example.com", None);
    assert!(gone.by_resource("example.com", "v2", "widgets").is_none());
}

#[test]
fn what_was_compiled_is_kept_while_the_spec_stays() {
    let before = registry();
    let mut changed = definition();
    changed["metadata"]["resourceVersion"] = "9".into();
    let after = before.with_definition("widgets.example.com", Some(&changed));
    let family = |registry: &Registry| {
        let kind = registry
            .by_resource("example.com", "v2", "widgets")
            .expect("kind");
        kind.custom().expect("custom").family.clone()
    };
    assert!(Arc::ptr_eq(&family(&before), &family(&after)));
    changed["spec"]["versions"][2]["served"] = false.into();
    let after = before.with_definition("widgets.example.com", Some(&changed));
    assert!(!Arc::ptr_eq(&family(&before), &family(&after)));
}

#[test]
fn bodies_are_decoded_by_their_schema() {
    let registry = registry();
    let kind = registry
        .by_resource("example.com", "v2", "widgets")
        .expect("kind");
    let body = br#"{"apiVersion":"example.com/v2","kind":"Widget","top":1,
        "metadata":{"name":"w","foo":1,"labels":{"a":"b","a":"c"}},"spec":{"a":"x","a":"y","zz":1,"b":null}}"#;
    let decoded = registry.decode(kind, body).expect("decoded");
    assert_eq!(
        decoded.strict,
        [
            "duplicate field \"metadata.labels.a\"",
            "duplicate field \"spec.a\"",
            "unknown field \"metadata.foo\"",
            "unknown field \"spec.zz\"",
            "unknown field \"top\"",
        ]
    );
    assert_eq!(decoded.value["spec"], json!({"a": "y"}));
    assert_eq!(
        decoded.value["metadata"],
        json!({"name": "w", "labels": {"a": "c"}})
    );
    let wrong = br#"{"apiVersion":"example.com/v2","kind":"Widget","metadata":{"name":3}}"#;
    let error = registry.decode(kind, wrong).expect_err("refused");
    let text = "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string";
    assert_eq!(error.message, text);
}

#[test]
fn versions_differ_by_their_fields_alone() {
    let registry = registry();
    let kind = registry
        .by_resource("example.com", "v2", "widgets")
        .expect("kind");
    let stored = registry.stored(kind.resource).expect("stored");
    let mut object = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "odd": {"kept": true}}, "spec": {"a": "1", "gone": 2}});
    registry.convert(stored, kind, &mut object);
    assert_eq!(object["apiVersion"], "example.com/v2");
    assert_eq!(object["spec"], json!({"a": "1", "d": "x"}));
    assert_eq!(object["metadata"]["odd"]["kept"], true);
    object["spec"]["b"] = "only here".into();
    registry.convert(kind, stored, &mut object);
    assert_eq!(object["spec"], json!({"a": "1", "d": "x"}));
}

#[test]
fn replicas_are_where_the_paths_say() {
    let scale = json!({"specReplicasPath": ".spec.size.n", "statusReplicasPath": ".status.n"});
    let paths = ScalePaths::new(&scale).expect("scale");
    let mut object = json!({"spec": {"other": 1}});
    assert_eq!(ScalePaths::number(paths.spec, &object), Ok(None));
    paths.set_replicas(&mut object, 3);
    assert_eq!(ScalePaths::number(paths.spec, &object), Ok(Some(3)));
    object["spec"]["size"]["n"] = "x".into();
    let error = ScalePaths::number(paths.spec, &object).expect_err("refused");
    assert_eq!(
        error,
        ".spec.size.n accessor error: x is of the type string, expected int64"
    );
}
