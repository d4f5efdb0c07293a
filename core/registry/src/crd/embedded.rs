//! Rules of `metadata` in resources that custom objects embed (`schemaobjectmeta.Validate`).

use crate::field::names::{dns1123_label, path_segment_name, qualified_name};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::selector;
use model::FieldError;
use serde_json::Value;

/// Checks the metadata at a path.
pub(super) fn check_metadata(metadata: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let path = Path::new(path);
    let mut found = Errors::default();
    for key in ["generateName", "name"] {
        let name = metadata.text(key);
        if !name.is_empty() {
            let prefix = key == "generateName";
            found.invalid_each(&path.child(key), name, path_segment_name(name, prefix));
        }
    }
    let namespace = metadata.text("namespace");
    if !namespace.is_empty() {
        let reasons = dns1123_label(namespace);
        found.invalid_each(&path.child("namespace"), namespace, reasons);
    }
    selector::labels(&mut found, &path.child("labels"), metadata.at("labels"));
    selector::annotations(
        &mut found,
        &path.child("annotations"),
        metadata.at("annotations"),
    );
    for name in metadata.texts("finalizers") {
        found.invalid_each(&path.child("finalizers"), name, qualified_name(name));
    }
    errors.extend(found.0);
}
