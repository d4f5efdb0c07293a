//! Owner references.

use model::{Meta, Object, OwnerReference};
use serde_json::{Value, json};

/// The reference that makes `owner` the controller of an object.
pub(crate) fn controller_reference(api_version: &str, kind: &str, owner: &Meta) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": &*owner.name,
        "uid": &*owner.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The controller of an object, when it is of this kind and group version.
pub(crate) fn controller_of<'a>(
    object: &'a Object,
    api_version: &str,
    kind: &str,
) -> Option<&'a OwnerReference> {
    let owner = object.meta.controller()?;
    (owner.kind == kind && owner.api_version == api_version).then_some(owner)
}
