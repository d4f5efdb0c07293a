//! ServiceAccounts. Source: `pkg/registry/core/serviceaccount`.

use crate::field::names;
use crate::field::read::{Read, items_mut};
use crate::{Context, Strategy};
use serde_json::{Value, json};

/// The rules of ServiceAccounts.
pub(crate) struct ServiceAccounts;

impl Strategy for ServiceAccounts {
    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        only_names(object);
    }

    fn prepare_update(&self, object: &mut Value, _: &Value, _: &Context<'_>) {
        only_names(object);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        const KEY: &str = "kubernetes.io/enforce-mountable-secrets";
        let has = |object: &Value| object.at("metadata").at("annotations").has(KEY);
        if old.is_some_and(has) || !has(object) {
            return Vec::new();
        }
        vec![format!(
            "metadata.annotations[{KEY}]: deprecated in v1.32+; prefer separate namespaces to \
             isolate access to mounted secrets"
        )]
    }
}

/// References to Secrets keep their names and nothing else.
fn only_names(object: &mut Value) {
    for secret in items_mut(object, "secrets") {
        *secret = match secret.text("name") {
            "" => json!({}),
            name => json!({"name": name}),
        };
    }
}
