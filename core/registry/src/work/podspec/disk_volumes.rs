//! Volumes of storage systems. None of them can be mounted here, but what they may look like is
//! part of the API.

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;

/// Rules of one source.
pub(crate) fn validate(errors: &mut Errors, key: &str, source: &Value, path: &Path) {
    for name in required(key) {
        let empty = match source.at(name) {
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            other => other.is_null(),
        };
        if empty {
            errors.required(&path.child(name), "");
        }
    }
    match key {
        "gitRepo" => {
            let directory = source.text("directory");
            words::descending_path(errors, &path.child("directory"), directory);
        }
        "gcePersistentDisk" | "awsElasticBlockStore" => {
            range(errors, source, "partition", (0, 255), path);
        }
        "nfs" if !source.text("path").starts_with('/') => errors.invalid(
            &path.child("path"),
            source.text("path"),
            "must be an absolute path",
        ),
        "iscsi" => iscsi(errors, source, path),
        "fc" => fibre_channel(errors, source, path),
        "flexVolume" => flex(errors, source, path),
        "csi" => csi(errors, source, path),
        "cinder" if source.has("secretRef") && source.at("secretRef").text("name").is_empty() => {
            errors.required(&path.child("secretRef").child("name"), "");
        }
        "flocker" => flocker(errors, source, path),
        "quobyte" => quobyte(errors, source, path),
        "azureDisk" => azure_disk(errors, source, path),
        "storageos"
            if source.has("secretRef") && source.at("secretRef").text("name").is_empty() =>
        {
            errors.required(&path.child("secretRef").child("name"), "");
        }
        _ => {}
    }
}

fn required(key: &str) -> &'static [&'static str] {
    match key {
        "gitRepo" => &["repository"],
        "gcePersistentDisk" => &["pdName"],
        "awsElasticBlockStore" | "cinder" | "portworxVolume" => &["volumeID"],
        "nfs" => &["server", "path"],
        "iscsi" => &["targetPortal", "iqn"],
        "glusterfs" => &["endpoints", "path"],
        "rbd" => &["monitors", "image"],
        "cephfs" => &["monitors"],
        "flexVolume" => &["driver"],
        "azureFile" => &["secretName", "shareName"],
        "azureDisk" => &["diskName", "diskURI"],
        "vsphereVolume" => &["volumePath"],
        "photonPersistentDisk" => &["pdID"],
        "scaleIO" => &["gateway", "system", "volumeName"],
        "storageos" => &["volumeName"],
        _ => &[],
    }
}

fn range(errors: &mut Errors, source: &Value, key: &str, (low, high): (i64, i64), path: &Path) {
    let value = source.number(key).unwrap_or(0);
    for text in names::in_range(value, low, high) {
        errors.invalid(&path.child(key), value, text);
    }
}

fn iscsi(errors: &mut Errors, source: &Value, path: &Path) {
    let iqn = source.text("iqn");
    if !iqn.is_empty() {
        initiator(errors, iqn, &path.child("iqn"));
    }
    range(errors, source, "lun", (0, 255), path);
    let chap = ["chapAuthDiscovery", "chapAuthSession"];
    let wants = chap.iter().any(|key| source.flag(key) == Some(true));
    if wants && !source.has("secretRef") {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(name) = source.optional_text("initiatorName") {
        initiator(errors, name, &path.child("initiatorname"));
    }
}

fn initiator(errors: &mut Errors, name: &str, path: &Path) {
    let alphanumeric = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let valid = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => alphanumeric(name.get(4..).unwrap_or_default(), 16),
        Some("naa") => alphanumeric(name.get(4..).unwrap_or_default(), 32),
        _ => {
            let text = "must be valid format starting with iqn, eui, or naa";
            errors.invalid(path, name, text);
            return;
        }
    };
    if !valid {
        errors.invalid(path, name, "must be valid format");
    }
}

/// `iqn.YYYY-MM.reverse.domain:name`
fn is_iqn(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("iqn.") else {
        return false;
    };
    let date = rest.get(..8).unwrap_or_default().as_bytes();
    let dated = date.len() == 8
        && date[4] == b'-'
        && date[7] == b'.'
        && [0, 1, 2, 3, 5, 6].iter().all(|i| date[*i].is_ascii_digit());
    let tail = rest.get(8..).unwrap_or_default();
    dated
        && tail.split_once(':').is_some_and(|(domain, target)| {
            let domain_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
            let banned = |c: char| c.is_whitespace() || ",;*&$|".contains(c);
            !domain.is_empty()
                && domain.bytes().all(domain_byte)
                && !target.is_empty()
                && !target.contains(banned)
        })
}

/// With an initiator name, volume name and portal together may not be long.
pub(super) fn iscsi_name(errors: &mut Errors, volume: &Value, path: &Path) {
    let (source, name) = (volume.at("iscsi"), volume.text("name"));
    let length = name.len() + 1 + source.text("targetPortal").len();
    if source.has("initiatorName") && length > 64 {
        errors.invalid(
            &path.child("name"),
            name,
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
             iscsi.initiatorName is specified.",
        );
    }
}

fn fibre_channel(errors: &mut Errors, source: &Value, path: &Path) {
    let (targets, wwids) = (source.texts("targetWWNs"), source.texts("wwids"));
    let target_path = path.child("targetWWNs");
    if targets.is_empty() && wwids.is_empty() {
        let text = "must specify either targetWWNs or wwids, but not both";
        errors.required(&target_path, text);
    }
    if targets.is_empty() {
        return;
    }
    if !wwids.is_empty() {
        let text = "targetWWNs and wwids can not be specified simultaneously";
        errors.invalid(&target_path, targets, text);
    }
    if source.has("lun") {
        range(errors, source, "lun", (0, 255), path);
    } else {
        let text = "lun is required if targetWWNs is specified";
        errors.required(&path.child("lun"), text);
    }
}

fn flex(errors: &mut Errors, source: &Value, path: &Path) {
    for (key, _) in source.entries("options") {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let dotted = format!(".{}", namespace.to_lowercase());
        if dotted.ends_with(".kubernetes.io") || dotted.ends_with(".k8s.io") {
            errors.invalid(
                &path.child("options").key(key),
                key,
                "kubernetes.io and k8s.io namespaces are reserved",
            );
        }
    }
}

fn csi(errors: &mut Errors, source: &Value, path: &Path) {
    let (driver, driver_path) = (source.text("driver"), path.child("driver"));
    if driver.is_empty() {
        errors.required(&driver_path, "");
    }
    if driver.len() > 63 {
        errors.too_long(&driver_path, 63);
    }
    if !driver.is_empty() {
        let texts = names::dns1123_subdomain(&driver.to_lowercase());
        errors.invalid_each(&driver_path, driver, texts);
    }
    if source.has("nodePublishSecretRef") {
        let name = source.at("nodePublishSecretRef").text("name");
        if name.is_empty() {
            errors.required(&path.child("nodePublishSecretRef").child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), name, names::dns1123_subdomain(name));
        }
    }
}

fn flocker(errors: &mut Errors, source: &Value, path: &Path) {
    let (name, uuid) = (source.text("datasetName"), source.text("datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        errors.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        let text = "datasetName and datasetUUID can not be specified simultaneously";
        errors.invalid(path, "resource", text);
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn quobyte(errors: &mut Errors, source: &Value, path: &Path) {
    let registry = source.text("registry");
    if registry.is_empty() {
        errors.required(
            &path.child("registry"),
            "must be a host:port pair or multiple pairs separated by commas",
        );
    } else if registry.split(',').any(|pair| !pair.contains(':')) {
        errors.invalid(
            &path.child("registry"),
            registry,
            "must be a host:port pair or multiple pairs separated by commas",
        );
    }
    if source.text("tenant").len() >= 65 {
        let text = "must be a UUID and may not exceed a length of 64 characters";
        errors.required(&path.child("tenant"), text);
    }
    if source.text("volume").is_empty() {
        errors.required(&path.child("volume"), "");
    }
}

fn azure_disk(errors: &mut Errors, source: &Value, path: &Path) {
    for (key, supported) in [
        ("cachingMode", ["None", "ReadOnly", "ReadWrite"]),
        ("kind", ["Dedicated", "Managed", "Shared"]),
    ] {
        if let Some(value) = source.optional_text(key)
            && !supported.contains(&value)
        {
            errors.not_supported(&path.child(key), value, &supported);
        }
    }
    let (uri, managed) = (source.text("diskURI"), source.text("kind") == "Managed");
    if managed && !uri.starts_with("/subscriptions/") {
        let forms = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.\
                     compute/disks/{disk-id}";
        errors.not_supported(&path.child("diskURI"), uri, &[forms]);
    }
    if !managed && !uri.is_empty() && !uri.starts_with("https://") {
        let forms = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
        errors.not_supported(&path.child("diskURI"), uri, &[forms]);
    }
}
