//! Pods out of templates.

use super::workload::Kind;
use crate::hash::{fnv32a, safe_text};
use model::Object;
use serde_json::{Value, json};

/// The Pod that a template makes for an owner; it has no name yet.
pub(super) fn pod(template: &Value, owner: &Object, kind: &Kind) -> Value {
    let mut metadata = json!({
        "namespace": &*owner.meta.namespace,
        "ownerReferences": [kind.reference(&owner.meta)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}"))
            && !value.is_null()
        {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// A short name of a value that changes when the value does; `collisions` gives another one.
pub(super) fn hash(value: &Value, collisions: i64) -> String {
    let mut bytes = value.to_string().into_bytes();
    if collisions > 0 {
        bytes.extend(collisions.to_le_bytes());
    }
    safe_text(fnv32a(&bytes))
}
