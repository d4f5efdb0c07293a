//! ResourceQuotas: what of them is used.

use crate::workloads::status_write;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, Resource, View};

/// Keeps the status of ResourceQuotas.
pub(crate) const CONTROLLER: Controller = Controller {
    name: "resourcequota-controller",
    keys,
    reconcile,
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    if object.resource == Resource::RESOURCE_QUOTAS {
        let all = view.list(object.resource, Some(&object.meta.namespace));
        let mut keys: Vec<Key> = all.iter().map(|one| one.key()).collect();
        keys.push(object.key());
        keys.dedup();
        return keys;
    }
    if object.meta.namespace.is_empty() {
        return Vec::new();
    }
    let quotas = view.list(Resource::RESOURCE_QUOTAS, Some(&object.meta.namespace));
    let counting = quotas
        .iter()
        .filter(|quota| registry::quota::usage::counts(quota, object.resource));
    counting.map(|quota| quota.key()).collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let quota = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(quota) = quota else {
        return Outcome::default();
    };
    let status = registry::quota::usage::status(context.view, &quota);
    Outcome::of(status_write(&quota, status))
}
