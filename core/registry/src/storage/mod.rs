//! Volumes, claims and what they are made by. Source: `pkg/registry/storage`,
//! `pkg/registry/core/persistentvolume*`, `pkg/apis/{storage,core}/validation`.

mod attachment;
mod capacity;
mod claim;
mod class;
mod csi_driver;
mod csi_node;
mod volume;
mod volume_sources;

pub(crate) use attachment::VolumeAttachments;
pub(crate) use capacity::StorageCapacities;
pub(crate) use claim::VolumeClaims;
pub(crate) use class::{StorageClasses, VolumeAttributesClasses};
pub(crate) use csi_driver::CsiDrivers;
pub(crate) use csi_node::CsiNodes;
pub(crate) use volume::Volumes;

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, set};
use serde_json::Value;

/// The older way to name a storage class.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const CLASS_ANNOTATION_TEXT: &str =
    "deprecated since v1.8; use \"storageClassName\" attribute instead";

/// Adds the finalizer that keeps a volume or claim while it is in use.
fn protect(object: &mut Value, finalizer: &str) {
    let Some(metadata) = ensure(object, "metadata") else {
        return;
    };
    let mut list = metadata.items("finalizers").to_vec();
    if !list.iter().any(|one| one == finalizer) {
        list.push(finalizer.into());
        set(metadata, "finalizers", list);
    }
}

/// The name of a CSI driver, wherever one is named.
fn driver_name(errors: &mut Errors, driver: &str, path: &Path) {
    if driver.is_empty() {
        return errors.required(path, "");
    }
    if driver.len() > 63 {
        errors.too_long(path, 63);
    }
    let texts = names::dns1123_subdomain(&driver.to_lowercase());
    errors.invalid_each(path, driver, texts);
}
