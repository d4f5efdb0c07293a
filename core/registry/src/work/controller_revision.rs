//! ControllerRevisions. Source: `pkg/registry/apps/controllerrevision`.

use crate::field::names;
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::Read;
use crate::{Context, Strategy};
use model::FieldError;
use serde_json::Value;

/// The rules of ControllerRevisions.
pub(crate) struct ControllerRevisions;

impl Strategy for ControllerRevisions {
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        revision(&mut errors, object);
        let path = Path::new("data");
        match object.at("data") {
            Value::Null => errors.required(&path, "data is mandatory"),
            Value::Object(_) => {}
            _ => errors.required(&path, "data must be a valid JSON object"),
        }
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        revision(&mut errors, object);
        if object.at("data") != old.at("data") {
            errors.invalid(&Path::new("data"), object.at("data").clone(), IMMUTABLE);
        }
        errors.0
    }
}

fn revision(errors: &mut Errors, object: &Value) {
    let number = object.number("revision").unwrap_or(0);
    errors.nonnegative(&Path::new("revision"), number);
}
