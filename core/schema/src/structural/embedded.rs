//! Embedded resources: their `apiVersion`, `kind` and `metadata`.

use super::node::Node;
use model::FieldError;
use serde_json::Value;

/// Brings `metadata` of embedded resources into ObjectMeta's form.
pub(super) fn coerce(_schema: &Node, _value: &mut Value) -> Result<Vec<String>, Box<FieldError>> {
    Ok(Vec::new())
}
