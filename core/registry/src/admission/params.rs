//! The parameters that a binding gives to its policy.

use super::Attributes;
use super::matching::Surroundings;
use crate::field::read::Read;
use crate::field::selector;
use model::Object;
use schema::Kind;
use serde_json::Value;
use std::sync::Arc;

/// The kind of a policy's parameters; `None` when it has none.
///
/// # Errors
/// When there is no such kind.
pub(super) fn kind<'a>(
    kind: &Value,
    surroundings: &Surroundings<'a>,
) -> Result<Option<&'a Arc<Kind>>, String> {
    if kind.is_null() {
        return Ok(None);
    }
    let (version, name) = (kind.text("apiVersion"), kind.text("kind"));
    let found = surroundings.registry.by_kind(version, name);
    let found = found.filter(|kind| kind.is_served());
    found.map(Some).ok_or_else(|| {
        let version = match version.contains('/') {
            true => version.to_owned(),
            false => format!("/{version}"),
        };
        format!("failed to find resource referenced by paramKind: '{version}, Kind={name}'")
    })
}

/// What the policy is asked with, once for each: `None` is no parameters.
///
/// # Errors
/// Why they cannot be had.
pub(super) fn collect(
    kind: &Value,
    reference: &Value,
    attributes: &Attributes<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Option<Value>>, String> {
    if kind.is_null() || reference.is_null() {
        return Ok(vec![None]);
    }
    let Some(found) = self::kind(kind, surroundings)? else {
        return Ok(vec![None]);
    };
    let given = reference.text("namespace");
    let namespace = match (found.namespaced, given) {
        (false, "") => "",
        (false, _) => {
            let why = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`";
            return Err(why.to_owned());
        }
        (true, "") => attributes.admission_namespace(),
        (true, given) => given,
    };
    if found.namespaced && namespace.is_empty() {
        let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped \
                   resources";
        return Err(why.to_owned());
    }
    let objects = objects(found.resource, namespace, reference, surroundings);
    if objects.is_empty() && reference.text("parameterNotFoundAction") == "Deny" {
        let why = "no params found for policy binding with `Deny` parameterNotFoundAction";
        return Err(why.to_owned());
    }
    let shown = objects.iter().map(|object| {
        let mut value = object.value();
        if let Some(stored) = surroundings.registry.stored(found.resource) {
            surroundings.registry.convert(stored, found, &mut value);
        }
        Some(value)
    });
    Ok(shown.collect())
}

fn objects(
    resource: model::Resource,
    namespace: &str,
    reference: &Value,
    surroundings: &Surroundings<'_>,
) -> Vec<Arc<Object>> {
    let view = surroundings.view;
    let name = reference.text("name");
    if !name.is_empty() {
        return view.get(resource, namespace, name).into_iter().collect();
    }
    let chosen = reference.at("selector");
    let mut all = view.list(resource, (!namespace.is_empty()).then_some(namespace));
    all.retain(|object| {
        let value = object.value();
        selector::is_empty(chosen) || selector::matches(chosen, value.at("metadata").at("labels"))
    });
    all
}
