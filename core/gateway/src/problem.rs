//! Makes the Problems of this crate.

use model::{Ingress, ObjectKey, Problem, Resource, Severity};

/// A problem with an Ingress.
pub(crate) fn ingress(
    ingress: &Ingress,
    field: String,
    severity: Severity,
    reason: &'static str,
    message: String,
    cure: &str,
) -> Problem {
    Problem {
        object: ObjectKey {
            resource: Resource::INGRESSES,
            namespace: ingress.id.namespace.clone(),
            name: ingress.id.name.clone(),
        },
        field,
        severity,
        reason,
        message,
        cure: cure.to_owned(),
    }
}
