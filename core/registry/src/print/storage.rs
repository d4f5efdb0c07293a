//! Rows of volumes, claims and storage classes.

use super::cells::{age, items, name, text};
use model::Timestamp;
use serde_json::Value;

const UNSET: &str = "<unset>";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

fn or_unset(value: &Value) -> Value {
    value.as_str().unwrap_or(UNSET).into()
}

/// The phase, unless the object is on its way out.
fn phase(object: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_null() {
        text(&object["status"]["phase"]).into()
    } else {
        "Terminating".into()
    }
}

/// The class, by annotation or by field.
fn class(object: &Value) -> Value {
    let annotation = &object["metadata"]["annotations"][CLASS_ANNOTATION];
    let field = &object["spec"]["storageClassName"];
    annotation.as_str().unwrap_or_else(|| text(field)).into()
}

/// `RWO,ROX`: each mode once, in the order of how many may do what.
fn access_modes(modes: &Value) -> String {
    let all = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let listed = all
        .iter()
        .filter(|(mode, _)| items(modes).iter().any(|one| one == mode));
    let listed: Vec<&str> = listed.map(|(_, short)| *short).collect();
    listed.join(",")
}

fn storage(list: &Value) -> Value {
    list["storage"].as_str().unwrap_or("0").into()
}

pub(super) fn volume(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let claim = &spec["claimRef"];
    let claim = if claim.is_object() {
        format!("{}/{}", text(&claim["namespace"]), text(&claim["name"]))
    } else {
        String::new()
    };
    vec![
        name(object),
        storage(&spec["capacity"]),
        access_modes(&spec["accessModes"]).into(),
        text(&spec["persistentVolumeReclaimPolicy"]).into(),
        phase(object),
        claim.into(),
        class(object),
        or_unset(&spec["volumeAttributesClassName"]),
        text(&object["status"]["reason"]).into(),
        age(object, now),
        or_unset(&spec["volumeMode"]),
    ]
}

pub(super) fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let volume = text(&spec["volumeName"]);
    let (capacity, modes) = if volume.is_empty() {
        ("".into(), String::new())
    } else {
        (
            storage(&status["capacity"]),
            access_modes(&status["accessModes"]),
        )
    };
    vec![
        name(object),
        phase(object),
        volume.into(),
        capacity,
        modes.into(),
        class(object),
        or_unset(&spec["volumeAttributesClassName"]),
        age(object, now),
        or_unset(&spec["volumeMode"]),
    ]
}

pub(super) fn storage_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let marks = &object["metadata"]["annotations"];
    let default = marks["storageclass.kubernetes.io/is-default-class"] == "true"
        || marks["storageclass.beta.kubernetes.io/is-default-class"] == "true";
    let suffix = if default { " (default)" } else { "" };
    let grows = object["allowVolumeExpansion"].as_bool().unwrap_or(false);
    vec![
        format!("{}{suffix}", text(&object["metadata"]["name"])).into(),
        text(&object["provisioner"]).into(),
        object["reclaimPolicy"].as_str().unwrap_or("Delete").into(),
        object["volumeBindingMode"]
            .as_str()
            .unwrap_or("Immediate")
            .into(),
        grows.into(),
        age(object, now),
    ]
}

pub(super) fn attributes_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let driver = text(&object["driverName"]);
    vec![name(object), driver.into(), age(object, now)]
}

pub(super) fn attachment(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    vec![
        name(object),
        text(&spec["attacher"]).into(),
        text(&spec["source"]["persistentVolumeName"]).into(),
        text(&spec["nodeName"]).into(),
        (object["status"]["attached"] == true).into(),
        age(object, now),
    ]
}

pub(super) fn csi_node(object: &Value, now: Timestamp) -> Vec<Value> {
    let drivers = items(&object["spec"]["drivers"]).len();
    vec![name(object), drivers.into(), age(object, now)]
}

pub(super) fn csi_driver(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let flag = |key: &str, otherwise: bool| spec[key].as_bool().unwrap_or(otherwise).into();
    let joined = |list: &Value, get: fn(&Value) -> &str| {
        let texts: Vec<&str> = items(list).iter().map(get).collect();
        texts.join(",")
    };
    let requests = &spec["tokenRequests"];
    let audiences = if requests.is_array() {
        joined(requests, |one| text(&one["audience"]))
    } else {
        UNSET.to_owned()
    };
    let modes = match joined(&spec["volumeLifecycleModes"], text) {
        modes if modes.is_empty() => "<none>".to_owned(),
        modes => modes,
    };
    vec![
        name(object),
        flag("attachRequired", true),
        flag("podInfoOnMount", false),
        flag("storageCapacity", false),
        audiences.into(),
        flag("requiresRepublish", false),
        modes.into(),
        age(object, now),
    ]
}
