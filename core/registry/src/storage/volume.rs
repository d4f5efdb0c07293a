//! PersistentVolumes.

use super::{CLASS_ANNOTATION, CLASS_ANNOTATION_TEXT, protect, volume_sources};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, copy_field, ensure, remove, same, set, set_default};
use crate::work::go_print;
use crate::work::podspec::defaults;
use crate::work::podspec::resources::canonical_list;
use model::ApiError;
use serde_json::{Value, json};

/// The rules of PersistentVolumes.
pub(crate) struct Volumes;

const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";

/// Sources that warn, as the warning names them.
const DEPRECATED: [(&str, &str, &str); 6] = [
    (
        "cephfs",
        "cephfs",
        "deprecated in v1.28, non-functional in v1.31+",
    ),
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "scaleIO",
        "scaleIO",
        "deprecated in v1.16, non-functional in v1.22+",
    ),
    (
        "storageos",
        "storageOS",
        "deprecated in v1.22, non-functional in v1.25+",
    ),
    (
        "glusterfs",
        "glusterfs",
        "deprecated in v1.25, non-functional in v1.26+",
    ),
    (
        "rbd",
        "rbd",
        "deprecated in v1.28, non-functional in v1.31+",
    ),
];

impl Declared for Volumes {
    fn defaults(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            set_default(spec, "persistentVolumeReclaimPolicy", "Retain");
            set_default(spec, "volumeMode", "Filesystem");
            if let Some(capacity) = spec.get_mut("capacity") {
                canonical_list(capacity);
            }
            defaults::volume_sources(spec);
        }
        if let Some(status) = ensure(object, "status") {
            set_default(status, "phase", "Pending");
        }
    }

    fn new_status(&self, context: &Context<'_>) -> Option<Value> {
        Some(json!({
            "phase": "Pending",
            "lastPhaseTransitionTime": context.now.rfc3339(),
        }))
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn prepare_status(&self, object: &mut Value, check: &Check<'_>) {
        let Some(before) = check.old.map(|old| old.at("status")) else {
            return;
        };
        let key = "lastPhaseTransitionTime";
        let Some(status) = ensure(object, "status") else {
            return;
        };
        let same_phase = status.text("phase") == before.text("phase");
        let given = status.at(key);
        if same_phase && given.is_null() {
            copy_field(status, before, key);
        } else if !same_phase && (given.is_null() || given == before.at(key)) {
            set(status, key, check.context.now.rfc3339());
        }
    }

    fn admission(&self, object: &mut Value, check: &Check<'_>) -> Result<(), ApiError> {
        if check.old.is_none() {
            protect(object, "kubernetes.io/pv-protection");
        }
        Ok(())
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let rounds = if check.old.is_some() { 2 } else { 1 };
        for round in 0..rounds {
            volume_sources::spec(errors, object.at("spec"), &Path::new("spec"));
            if round == 0 {
                mount_options(errors, object);
            }
        }
        if let Some(old) = check.old {
            changes(errors, object.at("spec"), old.at("spec"));
        }
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = Vec::new();
        let annotations = object.at("metadata").at("annotations");
        let path = Path::new("metadata").child("annotations");
        for (key, text) in [
            (CLASS_ANNOTATION, CLASS_ANNOTATION_TEXT),
            (
                MOUNT_OPTIONS,
                "deprecated since v1.31; use \"mountOptions\" attribute instead",
            ),
        ] {
            if annotations.has(key) {
                all.push(format!("{}: {text}", path.key(key)));
            }
        }
        let spec = object.at("spec");
        if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
            all.push(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. \
                 Instead, the recommended approach is to use dynamic provisioning."
                    .to_owned(),
            );
        }
        for (key, shown, text) in DEPRECATED {
            if spec.has(key) {
                all.push(format!("spec.{shown}: {text}"));
            }
        }
        all.extend(check.once(
            "this server stores PersistentVolumes, but nothing here binds, attaches or mounts them",
        ));
        all
    }

    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("name", object.at("metadata").text("name").to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["name"]
    }
}

/// Some kinds of volumes cannot be mounted with options.
fn mount_options(errors: &mut Errors, object: &Value) {
    const ABLE: [&str; 13] = [
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "nfs",
        "rbd",
        "quobyte",
        "iscsi",
        "cinder",
        "cephfs",
        "azureFile",
        "vsphereVolume",
        "azureDisk",
        "photonPersistentDisk",
    ];
    let able = ABLE.iter().any(|key| object.at("spec").has(key));
    if !able && object.at("metadata").at("annotations").has(MOUNT_OPTIONS) {
        let path = Path::new("metadata")
            .child("annotations")
            .child(MOUNT_OPTIONS);
        let text = "may not specify mount options for this volume type";
        errors.forbidden(&path, text);
    }
}

fn changes(errors: &mut Errors, new: &Value, old: &Value) {
    let (mut source, before) = (volume_sources::of(new), volume_sources::of(old));
    let secret = "controllerExpandSecretRef";
    if before.has("csi")
        && !before.at("csi").has(secret)
        && let Some(csi) = source.get_mut("csi")
    {
        remove(csi, secret);
    }
    if !same(&source, &before) {
        let diff = go_print::volume_source_diff(&before, &source);
        errors.forbidden(
            &Path::new("spec").child("persistentvolumesource"),
            format!("spec.persistentvolumesource is immutable after creation\n{diff}"),
        );
    }
    errors.immutable(
        &Path::new("volumeMode"),
        new.at("volumeMode"),
        old.at("volumeMode"),
    );
    let key = "nodeAffinity";
    if old.has(key) && !same(new.at(key), old.at(key)) {
        let text = format!("{IMMUTABLE}, except for updating from beta label to GA");
        errors.invalid_shown(
            &Path::new(key),
            go_print::volume_node_affinity(new.at(key)),
            &text,
        );
    }
    let key = "volumeAttributesClassName";
    if old.has(key) && !new.has(key) {
        let text = "update from non-nil value to nil is forbidden";
        errors.forbidden(&Path::new("spec").child(key), text);
    }
}
