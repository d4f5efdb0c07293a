//! VolumeAttachments.

use super::driver_name;
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::{Value, json};

/// The rules of VolumeAttachments.
pub(crate) struct VolumeAttachments;

impl Declared for VolumeAttachments {
    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"attached": false}))
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        driver_name(errors, spec.text("attacher"), &path.child("attacher"));
        let (source, source_path) = (spec.at("source"), path.child("source"));
        let text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        match (
            source.has("inlineVolumeSpec"),
            source.optional_text("persistentVolumeName"),
        ) {
            (false, None) => errors.required(&source_path, text),
            (true, Some(_)) => errors.forbidden(&source_path, text),
            (false, Some("")) => errors.required(
                &source_path.child("persistentVolumeName"),
                "must specify non empty persistentVolumeName",
            ),
            _ => {}
        }
        let node = spec.text("nodeName");
        errors.invalid_each(
            &path.child("nodeName"),
            node,
            names::dns1123_subdomain(node),
        );
        if let Some(name) = source.optional_text("persistentVolumeName") {
            let path = source_path.child("persistentVolumeName");
            errors.invalid_each(&path, name, names::dns1123_subdomain(name));
        }
        if let Some(old) = check.old {
            errors.immutable(&path, spec, old.at("spec"));
        }
    }

    fn unconditional(&self) -> bool {
        false
    }
}
