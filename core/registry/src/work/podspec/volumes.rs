//! Volumes: one source each, and the rules of the sources that are files of the cluster.

use super::{Scope, claims, containers, disk_volumes, env, projected, resources};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All sources in the order in which upstream looks at them, with the path's last step in
/// "more than 1" errors and in the errors of the source itself.
const SOURCES: [(&str, &str, &str); 29] = [
    ("hostPath", "hostPath", "hostPath"),
    ("gitRepo", "gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk"),
    (
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        "awsElasticBlockStore",
    ),
    ("secret", "secret", "secret"),
    ("nfs", "nfs", "nfs"),
    ("iscsi", "iscsi", "iscsi"),
    ("glusterfs", "glusterfs", "glusterfs"),
    ("flocker", "flocker", "flocker"),
    (
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        "persistentVolumeClaim",
    ),
    ("rbd", "rbd", "rbd"),
    ("cinder", "cinder", "cinder"),
    ("cephfs", "cephFS", "cephfs"),
    ("quobyte", "quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI", "downwardAPI"),
    ("fc", "fc", "fc"),
    ("flexVolume", "flexVolume", "flexVolume"),
    ("configMap", "configMap", "configMap"),
    ("azureFile", "azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume"),
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "photonPersistentDisk",
    ),
    ("portworxVolume", "portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk", "azureDisk"),
    ("storageos", "storageos", "storageos"),
    ("projected", "projected", "projected"),
    ("scaleIO", "scaleIO", "scaleIO"),
    ("csi", "csi", "csi"),
    ("ephemeral", "ephemeral", "ephemeral"),
    ("image", "image", "image"),
];

/// Checks `spec.volumes` and returns the valid ones by name.
pub(super) fn validate<'a>(errors: &mut Errors, scope: &Scope<'a>) -> BTreeMap<&'a str, &'a Value> {
    let list = scope.path.child("volumes");
    let spec: &'a Value = scope.spec;
    let pod = scope
        .metadata
        .map(|metadata| metadata.text("name"))
        .unwrap_or_default();
    let made: BTreeSet<String> = spec
        .items("volumes")
        .iter()
        .filter(|volume| !pod.is_empty() && volume.has("ephemeral"))
        .map(|volume| format!("{pod}-{}", volume.text("name")))
        .collect();
    let mut valid = BTreeMap::new();
    for (i, volume) in spec.items("volumes").iter().enumerate() {
        let (path, name) = (list.index(i), volume.text("name"));
        let before = errors.0.len();
        source(errors, scope, volume, &path);
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), name, names::dns1123_label(name));
        }
        if valid.contains_key(name) {
            errors.duplicate(&path.child("name"), name);
        }
        if errors.0.len() == before {
            valid.insert(name, volume);
        }
        let claim = volume.at("persistentVolumeClaim").text("claimName");
        if volume.has("persistentVolumeClaim") && made.contains(claim) {
            errors.invalid(
                &path.child("persistentVolumeClaim").child("claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    valid
}

fn source(errors: &mut Errors, scope: &Scope<'_>, volume: &Value, path: &Path) {
    // emptyDir comes first upstream and never counts as the second one.
    let mut found = usize::from(volume.has("emptyDir"));
    if found == 1 {
        empty_dir(errors, volume.at("emptyDir"), path);
    }
    for (key, wrong, right) in SOURCES {
        if !volume.has(key) {
            continue;
        }
        found += 1;
        if found > 1 {
            errors.forbidden(
                &path.child(wrong),
                "may not specify more than 1 volume type",
            );
            continue;
        }
        let source = volume.at(key);
        let before = (scope, volume.text("name"));
        one_source(errors, before, key, source, &path.child(right));
        if key == "ephemeral" {
            claim_name(errors, before, path);
        }
    }
    disk_volumes::iscsi_name(errors, volume, path);
    if found == 0 {
        errors.required(path, "must specify a volume type");
    }
}

fn empty_dir(errors: &mut Errors, source: &Value, path: &Path) {
    if resources::quantity(source.at("sizeLimit")).signum() < 0 {
        errors.forbidden(
            &path.child("emptyDir").child("sizeLimit"),
            "SizeLimit field must be a valid resource quantity",
        );
    }
}

fn one_source(
    errors: &mut Errors,
    (scope, _): (&Scope<'_>, &str),
    key: &str,
    source: &Value,
    path: &Path,
) {
    match key {
        "hostPath" => host_path(errors, source, path),
        "secret" => file_source(errors, source, "secretName", path),
        "configMap" => file_source(errors, source, "name", path),
        "downwardAPI" => {
            mode(errors, source, "defaultMode", path);
            for file in source.items("items") {
                downward_file(errors, file, path);
            }
        }
        "projected" => projected::validate(errors, scope, source, path),
        "persistentVolumeClaim" if source.text("claimName").is_empty() => {
            errors.required(&path.child("claimName"), "");
        }
        "ephemeral" => {
            let (template, path) = (
                source.at("volumeClaimTemplate"),
                path.child("volumeClaimTemplate"),
            );
            if template.is_null() {
                errors.required(&path, "");
            } else {
                claims::claim_template(errors, template, &path);
            }
        }
        "image" => {
            if scope.options.is_pod && source.text("reference").is_empty() {
                errors.required(&path.child("reference"), "");
            }
            let policy = source.text("pullPolicy");
            containers::pull_policy(errors, &path.child("pullPolicy"), policy);
        }
        _ => disk_volumes::validate(errors, key, source, path),
    }
}

/// The claim of an ephemeral volume is named after the Pod and the volume.
fn claim_name(errors: &mut Errors, (scope, volume): (&Scope<'_>, &str), path: &Path) {
    let pod = scope
        .metadata
        .map(|metadata| metadata.text("name"))
        .unwrap_or_default();
    if pod.is_empty() || volume.is_empty() {
        return;
    }
    let claim = format!("{pod}-{volume}");
    for text in names::dns1123_subdomain(&claim) {
        let detail = format!("PVC name {}: {text}", model::go_quote(&claim));
        errors.invalid(&path.child("name"), volume, detail);
    }
}

/// A path of the host.
pub(crate) fn host_path(errors: &mut Errors, source: &Value, path: &Path) {
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let target = source.text("path");
    if target.is_empty() {
        errors.required(&path.child("path"), "");
    }
    words::path_without_backsteps(errors, &path.child("path"), target);
    if let Some(kind) = source.optional_text("type")
        && !TYPES.contains(&kind)
    {
        errors.not_supported(&path.child("type"), kind, &TYPES);
    }
}

/// Secret and ConfigMap volumes.
fn file_source(errors: &mut Errors, source: &Value, name: &str, path: &Path) {
    if source.text(name).is_empty() {
        errors.required(&path.child(name), "");
    }
    mode(errors, source, "defaultMode", path);
    for (i, item) in source.items("items").iter().enumerate() {
        key_to_path(errors, item, &path.child("items").index(i));
    }
}

/// File modes lie between 0 and 0777.
pub(super) fn mode(errors: &mut Errors, source: &Value, key: &str, path: &Path) {
    if let Some(mode) = source.number(key)
        && !(0..=0o777).contains(&mode)
    {
        errors.invalid(
            &path.child(key),
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        );
    }
}

/// One file out of a Secret or ConfigMap.
pub(super) fn key_to_path(errors: &mut Errors, item: &Value, path: &Path) {
    for key in ["key", "path"] {
        if item.text(key).is_empty() {
            errors.required(&path.child(key), "");
        }
    }
    words::local_path(errors, &path.child("path"), item.text("path"));
    mode(errors, item, "mode", path);
}

/// One file of the downward API. Errors are reported at the volume, as upstream does.
pub(super) fn downward_file(errors: &mut Errors, file: &Value, path: &Path) {
    const FIELDS: [&str; 5] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
    ];
    let target = file.text("path");
    if target.is_empty() {
        errors.required(&path.child("path"), "");
    }
    words::local_path(errors, &path.child("path"), target);
    let resource = file.at("resourceFieldRef");
    if file.has("fieldRef") {
        env::field_ref(
            errors,
            file.at("fieldRef"),
            &FIELDS,
            &path.child("fieldRef"),
        );
        if !resource.is_null() {
            let text = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.invalid(path, "resource", text);
        }
    } else if resource.is_null() {
        errors.required(path, "one of fieldRef and resourceFieldRef is required");
    } else {
        let path = path.child("resourceFieldRef");
        env::resource_field_ref(errors, resource, &path, true);
    }
    mode(errors, file, "mode", path);
}
