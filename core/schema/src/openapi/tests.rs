use crate::Registry;
use serde_json::{Value, json};

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let registry = Registry::builtin();
    let paths = registry.openapi_v3_builtin();
    assert!(paths.len() > 17, "{paths:?}");
    let mut documents: Vec<Value> = paths
        .iter()
        .map(|path| registry.openapi_v3(path).expect("document"))
        .collect();
    documents.push(registry.openapi_v2());
    for document in documents {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{}", found.len());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
    assert_eq!(registry.openapi_v3("apis/nope/v1"), None);
}

#[test]
fn patch_takes_field_validation_and_fields_tell_how_to_merge() {
    let document = Registry::builtin().openapi_v3("api/v1").expect("document");
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
    let parameters = patch["parameters"].as_array().expect("parameters");
    assert!(
        parameters
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"],
        json!({
            "type": "array",
            "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "port",
        })
    );
}
