//! Specs of PersistentVolumes: one source each (`ValidatePersistentVolumeSpec`).

use super::driver_name;
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use crate::work::podspec::resources::{amounts, quantity};
use crate::work::podspec::{affinity, disk_volumes, volumes};
use serde_json::{Value, json};

/// Sources in the order of the checks, with the names that errors call them by: of a second
/// source, and of what is wrong inside.
const SOURCES: [(&str, &str, &str); 22] = [
    ("hostPath", "hostPath", "hostPath"),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk"),
    (
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        "awsElasticBlockStore",
    ),
    ("glusterfs", "glusterfs", "glusterfs"),
    ("flocker", "flocker", "flocker"),
    ("nfs", "nfs", "nfs"),
    ("rbd", "rbd", "rbd"),
    ("quobyte", "quobyte", "quobyte"),
    ("cephfs", "cephFS", "cephfs"),
    ("iscsi", "iscsi", "iscsi"),
    ("cinder", "cinder", "cinder"),
    ("fc", "fc", "fc"),
    ("flexVolume", "", "flexVolume"),
    ("azureFile", "azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume"),
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "photonPersistentDisk",
    ),
    ("portworxVolume", "portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk", "azureDisk"),
    ("scaleIO", "scaleIO", "scaleIO"),
    ("local", "local", "local"),
    ("storageos", "storageos", "storageos"),
    ("csi", "csi", "csi"),
];

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];

/// The sources of a spec alone.
pub(super) fn of(spec: &Value) -> Value {
    let found = SOURCES.iter().filter(|(key, ..)| spec.has(key));
    let found = found.map(|(key, ..)| ((*key).to_owned(), spec.at(key).clone()));
    Value::Object(found.collect())
}

/// Checks the spec of a volume.
pub(super) fn spec(errors: &mut Errors, spec: &Value, path: &Path) {
    access_modes(errors, spec, &path.child("accessModes"));
    capacity(errors, spec, &path.child("capacity"));
    let policy = spec.text("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        let path = path.child("persistentVolumeReclaimPolicy");
        errors.not_supported(&path, policy, &POLICIES);
    }
    let node = spec.at("nodeAffinity");
    if !node.is_null() {
        let path = path.child("nodeAffinity").child("required");
        if node.has("required") {
            affinity::node_selector(errors, node.at("required"), &path, false);
        } else {
            errors.required(&path, "must specify required node constraints");
        }
    }
    sources(errors, spec, path);
    let root = spec.has("hostPath") && is_root(spec.at("hostPath").text("path"));
    if root && policy == "Recycle" {
        let text = "may not be 'recycle' for a hostPath mount of '/'";
        errors.forbidden(&path.child("persistentVolumeReclaimPolicy"), text);
    }
    classes(errors, spec, path);
}

fn is_root(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|step| matches!(step, "" | "."))
}

fn access_modes(errors: &mut Errors, spec: &Value, path: &Path) {
    let modes = spec.texts("accessModes");
    if modes.is_empty() {
        errors.required(path, "");
    }
    for mode in modes.iter().filter(|mode| !MODES.contains(mode)) {
        errors.not_supported(path, *mode, &MODES);
    }
    let single = modes.contains(&"ReadWriteOncePod");
    if single && modes.iter().any(|mode| MODES[..3].contains(mode)) {
        let text = "may not use ReadWriteOncePod with other access modes";
        errors.forbidden(path, text);
    }
}

fn capacity(errors: &mut Errors, spec: &Value, path: &Path) {
    let list = amounts(spec.at("capacity"));
    if list.is_empty() {
        errors.required(path, "");
    }
    if !list.contains_key("storage") || list.len() > 1 {
        let shown = match spec.at("capacity") {
            Value::Null => json!({}),
            capacity => capacity.clone(),
        };
        errors.not_supported(path, shown, &["storage"]);
    }
    for (name, value) in spec.entries("capacity") {
        let (value, path) = (quantity(value), path.key(name));
        if value.signum() < 0 {
            let text = "must be a valid resource quantity";
            errors.invalid(&path, value.to_i64(), text);
        }
        if value.signum() <= 0 {
            errors.invalid(&path, value.to_string(), "must be greater than zero");
        }
    }
}

fn sources(errors: &mut Errors, spec: &Value, path: &Path) {
    let mut count = 0;
    for (key, second, inside) in SOURCES.iter().filter(|(key, ..)| spec.has(key)) {
        if count > 0 && !second.is_empty() {
            let text = "may not specify more than 1 volume type";
            errors.forbidden(&path.child(second), text);
            continue;
        }
        count += 1;
        source(errors, key, spec.at(key), &path.child(inside));
        if *key == "local" && !spec.has("nodeAffinity") {
            let text = "Local volume requires node affinity";
            errors.required(&path.child("nodeAffinity"), text);
        }
    }
    if count == 0 {
        errors.required(path, "must specify a volume type");
    }
}

fn source(errors: &mut Errors, key: &str, source: &Value, path: &Path) {
    match key {
        "hostPath" => volumes::host_path(errors, source, path),
        "local" => match source.text("path") {
            "" => errors.required(&path.child("path"), ""),
            target => words::path_without_backsteps(errors, &path.child("path"), target),
        },
        "csi" => csi(errors, source, path),
        "storageos" => storage_os(errors, source, path),
        "cinder" => {
            disk_volumes::validate(errors, "cinder", &without(source, "secretRef"), path);
            secret(errors, source, "secretRef", path);
        }
        _ => {
            disk_volumes::validate(errors, key, source, path);
            let namespace = match key {
                "azureFile" => "secretNamespace",
                "glusterfs" => "endpointsNamespace",
                _ => return,
            };
            if source.optional_text(namespace) == Some("") {
                namespace_missing(errors, key, &path.child(namespace));
            }
        }
    }
}

fn namespace_missing(errors: &mut Errors, key: &str, path: &Path) {
    if key == "azureFile" {
        errors.required(path, "");
    } else {
        let text = "if the endpointnamespace is set, it must be a valid namespace name";
        errors.invalid(path, "", text);
    }
}

fn without(source: &Value, key: &str) -> Value {
    let mut source = source.clone();
    crate::field::read::remove(&mut source, key);
    source
}

/// Both parts of a secret's name, which must be there.
fn secret(errors: &mut Errors, source: &Value, key: &str, path: &Path) {
    if !source.has(key) {
        return;
    }
    for part in ["name", "namespace"] {
        if source.at(key).text(part).is_empty() {
            errors.required(&path.child(key).child(part), "");
        }
    }
}

fn csi(errors: &mut Errors, source: &Value, path: &Path) {
    driver_name(errors, source.text("driver"), &path.child("driver"));
    if source.text("volumeHandle").is_empty() {
        errors.required(&path.child("volumeHandle"), "");
    }
    for key in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        secret(errors, source, key, path);
        let (named, path) = (source.at(key), path.child(key));
        for part in ["name", "namespace"] {
            let name = named.text(part);
            let texts = match part {
                _ if name.is_empty() => continue,
                "name" => names::dns1123_subdomain(name),
                _ => names::dns1123_label(name),
            };
            errors.invalid_each(&path.child(part), name, texts);
        }
    }
}

fn storage_os(errors: &mut Errors, source: &Value, path: &Path) {
    let name = source.text("volumeName");
    if name.is_empty() {
        errors.required(&path.child("volumeName"), "");
    }
    for key in ["volumeName", "volumeNamespace"] {
        let name = source.text(key);
        if !name.is_empty() {
            errors.invalid_each(&path.child(key), name, names::dns1123_label(name));
        }
    }
    secret(errors, source, "secretRef", path);
}

fn classes(errors: &mut Errors, spec: &Value, path: &Path) {
    let class = spec.text("storageClassName");
    if !class.is_empty() {
        let texts = names::dns1123_subdomain(class);
        errors.invalid_each(&path.child("storageClassName"), class, texts);
    }
    let modes = ["Block", "Filesystem"];
    if let Some(mode) = spec
        .optional_text("volumeMode")
        .filter(|m| !modes.contains(m))
    {
        errors.not_supported(&path.child("volumeMode"), mode, &modes);
    }
    let Some(class) = spec.optional_text("volumeAttributesClassName") else {
        return;
    };
    let class_path = path.child("volumeAttributesClassName");
    if class.is_empty() {
        errors.required(&class_path, "an empty string is disallowed");
    } else {
        errors.invalid_each(&class_path, class, names::dns1123_subdomain(class));
    }
    if !spec.has("csi") {
        let text = "has to be specified when using volumeAttributesClassName";
        errors.required(&path.child("csi"), text);
    }
}
