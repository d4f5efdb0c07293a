//! Leases. Source: `pkg/registry/coordination/lease`.

use crate::field::path::{Errors, NEGATIVE, Path};
use crate::field::read::{Read, remove};
use crate::field::{names, selector};
use crate::{Context, Strategy};
use model::FieldError;
use serde_json::Value;

/// The rules of Leases.
pub(crate) struct Leases;

/// Fields of coordinated leader election, which is off by default.
const COORDINATED: [&str; 2] = ["strategy", "preferredHolder"];

impl Strategy for Leases {
    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        drop_coordinated(object, &Value::Null);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        drop_coordinated(object, old);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        if let Some(seconds) = spec.number("leaseDurationSeconds").filter(|s| *s <= 0) {
            let path = path.child("leaseDurationSeconds");
            errors.invalid(&path, seconds, "must be greater than 0");
        }
        if let Some(count) = spec.number("leaseTransitions").filter(|count| *count < 0) {
            errors.invalid(&path.child("leaseTransitions"), count, NEGATIVE);
        }
        let strategy = spec.text("strategy");
        if spec.has("strategy") {
            check_strategy(
                &mut errors,
                strategy,
                &path.child("strategy").child("strategy"),
            );
        }
        if !spec.text("preferredHolder").is_empty() && strategy.is_empty() {
            let text = "may only be specified if `strategy` is defined";
            errors.forbidden(&path.child("preferredHolder"), text);
        }
        errors.0
    }

    fn validate_update(&self, object: &Value, _: &Value, context: &Context<'_>) -> Vec<FieldError> {
        self.validate(object, context)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn drop_coordinated(object: &mut Value, old: &Value) {
    if let Some(spec) = object.get_mut("spec") {
        for key in COORDINATED {
            if !old.at("spec").has(key) {
                remove(spec, key);
            }
        }
    }
}

fn check_strategy(errors: &mut Errors, strategy: &str, path: &Path) {
    if strategy.contains('/') {
        selector::label_key(errors, path, strategy);
    } else if strategy != "OldestEmulationVersion" {
        errors.not_supported(path, strategy, &["OldestEmulationVersion"]);
    }
}
