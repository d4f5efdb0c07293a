//! What admission policies say to a write.

use super::{Engine, Scope};
use crate::meta;
use crate::route::Verb;
use model::ApiError;
use registry::{Attributes, Operation};
use serde_json::Value;

impl Engine {
    /// Asks the policies about a write that has passed everything else. `object` is the new state
    /// and `old` the stored one, both in the stored kind; returns warnings.
    pub(super) fn ask_policies(
        &self,
        scope: &Scope<'_>,
        object: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Vec<String>, ApiError> {
        if self.policies.is_empty() {
            return Ok(Vec::new());
        }
        let shown = |value: Option<&Value>| {
            value.map(|value| {
                let mut value = value.clone();
                let registry = scope.registry();
                registry.convert(&scope.stored, scope.kind, &mut value);
                match scope.request.subresource.as_str() {
                    "scale" => super::scale_of(scope.kind, &value).unwrap_or(value),
                    _ => value,
                }
            })
        };
        // The objects of a collection are asked about without their names, as in the original.
        let name = match scope.request.verb {
            Verb::DeleteCollection => None,
            _ => object.or(old).map(|value| meta::text(value, "name")),
        };
        let attributes = Attributes {
            operation: match (object, old) {
                (Some(_), None) => Operation::Create,
                (Some(_), Some(_)) => Operation::Update,
                (None, _) => Operation::Delete,
            },
            kind: scope.kind,
            subresource: &scope.request.subresource,
            name: name.unwrap_or_default(),
            namespace: &scope.request.namespace,
            object: shown(object),
            old: shown(old),
            dry_run: scope.dry_run,
            user: &scope.request.user,
        };
        self.policies.admit(&attributes, self, scope.registry())
    }
}
