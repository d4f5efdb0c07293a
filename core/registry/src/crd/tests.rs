use super::*;
use serde_json::json;

fn definition() -> Value {
    let mut value = json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    Definitions.default(&mut value);
    value
}

fn texts(definition: &Value) -> Vec<String> {
    let errors = validate::create(definition);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn names_and_versions_are_defaulted() {
    let value = definition();
    assert_eq!(value["spec"]["names"]["singular"], "widget");
    assert_eq!(value["spec"]["names"]["listKind"], "WidgetList");
    assert_eq!(value["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(value["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(texts(&value), Vec::<String>::new());
}

#[test]
fn one_version_is_stored() {
    let mut value = definition();
    let mut second = value["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    value["spec"]["versions"]
        .as_array_mut()
        .expect("list")
        .push(second);
    let shown = |name: &str| {
        format!(
            "{{\"Name\":\"{name}\",\"Served\":true,\"Storage\":true,\"Deprecated\":false,\"DeprecationWarning\":null,\"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}"
        )
    };
    let all = format!("[{},{}]", shown("v1"), shown("v2"));
    let found = texts(&value);
    let one = "must have exactly one version marked as storage version";
    assert!(
        found.contains(&format!("spec.versions: Invalid value: {all}: {one}")),
        "{found:?}"
    );
}

#[test]
fn what_names_the_storage_stays() {
    let old = definition();
    let mut new = old.clone();
    new["spec"]["group"] = "x.y".into();
    new["spec"]["scope"] = "Cluster".into();
    let found = validate::update(&new, &old);
    let fields: Vec<&str> = found.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["spec.group"]);
    let mut established = old.clone();
    established["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    assert_eq!(validate::update(&new, &established).len(), 2);
}

#[test]
fn a_deletion_waits_for_the_objects() {
    let mut value = definition();
    assert!(Definitions.begin_deletion(&mut value, Timestamp::default()));
    assert_eq!(value["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!(
        value["status"]["conditions"][0]["reason"],
        "InstanceDeletionPending"
    );
    let before = value.clone();
    Definitions.begin_deletion(&mut value, Timestamp::default());
    assert_eq!(value, before);
}
