//! Rules of a definition's names (`ValidateCustomResourceDefinitionNames`).

use crate::field::names::dns1035_label;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;

/// A label by RFC 1035; all reasons stand in one text.
pub(super) fn label(errors: &mut Errors, path: &Path, value: &str) {
    let reasons = dns1035_label(value);
    if !reasons.is_empty() {
        errors.invalid(path, value, reasons.join(","));
    }
}

/// `spec.names` or `status.acceptedNames`.
pub(super) fn check(errors: &mut Errors, path: &Path, names: &Value) {
    for key in ["plural", "singular"] {
        if !names.text(key).is_empty() {
            label(errors, &path.child(key), names.text(key));
        }
    }
    for key in ["kind", "listKind"] {
        let name = names.text(key);
        let reasons = dns1035_label(&name.to_lowercase());
        if !name.is_empty() && !reasons.is_empty() {
            let text = "may have mixed case, but should otherwise match: ";
            errors.invalid(
                &path.child(key),
                name,
                format!("{text}{}", reasons.join(",")),
            );
        }
    }
    for (index, name) in names.texts("shortNames").into_iter().enumerate() {
        label(errors, &path.child("shortNames").index(index), name);
    }
    let list_kind = names.text("listKind");
    if !list_kind.is_empty() && names.text("kind") == list_kind {
        let text = "kind and listKind may not be the same";
        errors.invalid(&path.child("listKind"), list_kind, text);
    }
    for (index, name) in names.texts("categories").into_iter().enumerate() {
        label(errors, &path.child("categories").index(index), name);
    }
}

/// What `spec.names` must have and `status.acceptedNames` need not.
pub(super) fn check_required(errors: &mut Errors, path: &Path, names: &Value) {
    for key in ["plural", "singular", "kind", "listKind"] {
        if names.text(key).is_empty() {
            errors.required(&path.child(key), "");
        }
    }
}
