//! Who belongs to whom: adoption of orphans and release of strangers by the selector.

use super::workload::Kind;
use crate::fields::set;
use crate::labels::Selector;
use model::{Object, Write};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a controller's objects are claimed for.
pub(super) struct Claimant<'a> {
    /// The workload
    pub(super) owner: &'a Object,
    /// Its kind
    pub(super) kind: &'a Kind,
    /// Its selector
    pub(super) selector: &'a Selector,
}

impl Claimant<'_> {
    /// Keeps what belongs to the workload and says which objects to adopt or to release.
    pub(super) fn claim(&self, candidates: Vec<Arc<Object>>) -> (Vec<Arc<Object>>, Vec<Write>) {
        let (mut kept, mut writes) = (Vec::new(), Vec::new());
        let deleting = self.owner.meta.is_deleting();
        for object in candidates {
            let matches = self.selector.matches(&object.meta.labels);
            match object.meta.controller() {
                Some(owner) if *owner.uid != *self.owner.meta.uid => {}
                Some(_) if matches => kept.push(object),
                Some(_) if !deleting => writes.push(self.release(&object)),
                None if matches && !deleting && !object.meta.is_deleting() => {
                    writes.push(self.adopt(&object));
                    kept.push(object);
                }
                Some(_) | None => {}
            }
        }
        (kept, writes)
    }

    /// Whether an object is under this workload's control already.
    pub(super) fn controls(&self, object: &Object) -> bool {
        let owner = object.meta.controller();
        owner.is_some_and(|owner| *owner.uid == *self.owner.meta.uid)
    }

    fn adopt(&self, object: &Object) -> Write {
        let mut owners = references(object);
        owners.push(self.kind.reference(&self.owner.meta));
        patch_owners(object, owners)
    }

    fn release(&self, object: &Object) -> Write {
        let mut owners = references(object);
        owners.retain(|owner| owner["uid"] != *self.owner.meta.uid);
        patch_owners(object, owners)
    }
}

/// `metadata.ownerReferences` as stored.
pub(crate) fn references(object: &Object) -> Vec<Value> {
    crate::fields::elements(&object.value(), "/metadata/ownerReferences").to_vec()
}

/// Replaces the owner references of exactly this version of an object.
pub(crate) fn patch_owners(object: &Object, owners: Vec<Value>) -> Write {
    let mut patch = json!({"metadata": {
        "uid": &*object.meta.uid,
        "resourceVersion": object.meta.resource_version.to_string(),
    }});
    let owners = if owners.is_empty() {
        Value::Null
    } else {
        Value::Array(owners)
    };
    set(&mut patch, &["metadata", "ownerReferences"], owners);
    Write::MergePatch {
        key: object.key(),
        subresource: "",
        patch,
    }
}
