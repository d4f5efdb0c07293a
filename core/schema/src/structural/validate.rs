//! Validation of values.

use super::{MetaRules, Part, Structural};
use model::FieldError;
use serde_json::Value;

/// Validates an object.
pub(super) fn object(
    _schema: &Structural,
    _new: &Value,
    _old: Option<&Value>,
    _part: Part,
    _meta: MetaRules,
    _errors: &mut Vec<FieldError>,
) {
}
