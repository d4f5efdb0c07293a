//! The parameters that a binding gives to its policy.

use super::Attributes;
use super::matching::Surroundings;
use crate::field::read::Read;
use crate::field::selector;
use model::Object;
use serde_json::Value;
use std::sync::Arc;

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
    let (version, name) = (kind.text("apiVersion"), kind.text("kind"));
    let Some(found) = surroundings.registry.by_kind(version, name) else {
        return Err(format!(
            "paramKind kind `&ParamKind{{APIVersion:{version},Kind:{name},}}` not known"
        ));
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
