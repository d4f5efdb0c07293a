//! The rules that a schema itself must keep.

use model::FieldError;
use serde_json::Value;

/// What a definition's check takes into account beside the schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions<'a> {
    /// Where the schema stands, e.g. `spec.versions[0].schema.openAPIV3Schema`
    pub path: &'a str,
    /// Whether the version has the status subresource
    pub status_subresource: bool,
    /// The same version's schema before an update: rules that are already stored are not refused
    pub old: Option<&'a Value>,
}

/// Checks `openAPIV3Schema`; what it answers are the field errors of kube-apiserver.
pub fn check(_schema: &Value, _options: CheckOptions<'_>) -> Vec<FieldError> {
    Vec::new()
}
