//! `metav1.Condition`s. Source: `apimachinery/pkg/apis/meta/v1/validation`.

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;
use std::collections::BTreeSet;

const REASON: &str = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const REASON_LENGTH: usize = 1024;
const MESSAGE_LENGTH: usize = 32 * 1024;

/// `status.conditions` of kinds that use the common type.
pub(crate) fn check(errors: &mut Errors, conditions: &[Value], list: &Path) {
    let mut seen = BTreeSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = list.index(i);
        let kind = condition.text("type");
        if !seen.insert(kind) {
            errors.duplicate(&path.child("type"), kind);
        }
        check_one(errors, condition, &path);
    }
}

fn check_one(errors: &mut Errors, condition: &Value, path: &Path) {
    let text = |key: &str| condition.text(key);
    let kind_path = path.child("type");
    errors.invalid_each(
        &kind_path,
        text("type"),
        names::qualified_name(text("type")),
    );
    let statuses = ["False", "True", "Unknown"];
    if !statuses.contains(&text("status")) {
        errors.not_supported(&path.child("status"), text("status"), &statuses);
    }
    let generation = condition.number("observedGeneration").unwrap_or(0);
    if generation < 0 {
        let text_of = "must be greater than or equal to zero";
        errors.invalid(&path.child("observedGeneration"), generation, text_of);
    }
    if text("lastTransitionTime").is_empty() {
        errors.required(&path.child("lastTransitionTime"), "");
    }
    let (reason, reason_path) = (text("reason"), path.child("reason"));
    if reason.is_empty() {
        errors.required(&reason_path, "");
    } else {
        if !is_reason(reason) {
            let text = names::regex_text(
                "a condition reason must start with alphabetic character, optionally followed by \
                 a string of alphanumeric characters or '_,:', and must end with an alphanumeric \
                 character or '_'",
                REASON,
                &[
                    "my_name",
                    "MY_NAME",
                    "MyName",
                    "ReasonA,ReasonB",
                    "ReasonA:ReasonB",
                ],
            );
            errors.invalid(&reason_path, reason, text);
        }
        if reason.len() > REASON_LENGTH {
            errors.too_long(&reason_path, REASON_LENGTH);
        }
    }
    if text("message").len() > MESSAGE_LENGTH {
        errors.too_long(&path.child("message"), MESSAGE_LENGTH);
    }
}

fn is_reason(text: &str) -> bool {
    let bytes = text.as_bytes();
    let end = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let inner = |b: &u8| end(b) || matches!(b, b',' | b':');
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(end)
        && bytes.iter().all(inner)
}
