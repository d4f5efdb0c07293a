//! ConfigMaps. Source: `pkg/registry/core/configmap`.

use crate::field::path::{Errors, Path};
use crate::field::read::{Read, same};
use crate::field::{names, words};
use crate::{Context, Strategy};
use model::FieldError;
use serde_json::Value;

/// The rules of ConfigMaps.
pub(crate) struct ConfigMaps;

/// All data of a Secret or ConfigMap together: 1 MiB.
pub(super) const MAX_SIZE: usize = 1024 * 1024;

impl Strategy for ConfigMaps {
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        data(&mut errors, object);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        immutable(&mut errors, object, old, &["data", "binaryData"]);
        data(&mut errors, object);
        errors.0
    }
}

/// Once `immutable` is true, neither it nor the data may change.
pub(super) fn immutable(errors: &mut Errors, object: &Value, old: &Value, fields: &[&str]) {
    const TEXT: &str = "field is immutable when `immutable` is set";
    if old.flag("immutable") != Some(true) {
        return;
    }
    if object.flag("immutable") != Some(true) {
        errors.forbidden(&Path::new("immutable"), TEXT);
    }
    for field in fields {
        let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
        let (new, old) = (object.at(field), old.at(field));
        let unchanged = same(new, old) || (empty(new) && empty(old));
        if !unchanged {
            errors.forbidden(&Path::new(field), TEXT);
        }
    }
}

fn data(errors: &mut Errors, object: &Value) {
    let mut size = 0;
    let path = Path::new("data");
    for (key, value) in object.entries("data") {
        errors.invalid_each(&path.key(key), key, words::config_key(key));
        if object.at("binaryData").get(key).is_some() {
            errors.invalid(
                &path.key(key),
                key,
                "duplicate of key present in binaryData",
            );
        }
        size += value.as_str().unwrap_or_default().len();
    }
    let path = Path::new("binaryData");
    for (key, value) in object.entries("binaryData") {
        errors.invalid_each(&path.key(key), key, words::config_key(key));
        size += decoded_size(value);
    }
    if size > MAX_SIZE {
        errors.too_long(&Path::nameless(), MAX_SIZE);
    }
}

/// Bytes that a base64 text stands for.
pub(super) fn decoded_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let digits = text
        .bytes()
        .filter(|b| !matches!(b, b'=' | b'\r' | b'\n'))
        .count();
    digits * 3 / 4
}
