//! Objects that are created but never stored.

use super::{Env, Request, Scope, body};
use crate::query::WriteOptions;
use crate::{managed, meta};
use model::ApiError;
use schema::Registry;
use serde_json::Value;

/// Reads the body of a POST of a kind that is not stored, as a create does before it asks the
/// kind: decoded, in the namespace of the path, without what only the server may say. `request`
/// names the kind of the body. The second value are warnings.
///
/// # Errors
/// 400 and 422 for bodies and parameters that make no sense.
pub fn receive(
    request: &Request,
    env: &Env<'_>,
    registry: &Registry,
) -> Result<(Value, Vec<String>), ApiError> {
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let scope = Scope::new(request, env, registry.clone());
    let (mut value, warnings) =
        body::decode(&scope, &request.kind, &request.payload, options.validation)?;
    let map = meta::of_mut(&mut value);
    for key in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        map.remove(key);
    }
    if request.subresource.is_empty() {
        map.remove("uid");
    }
    let found = meta::text(&value, "namespace");
    if !found.is_empty() && found != request.namespace {
        return Err(crate::answer::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !request.namespace.is_empty() {
        let namespace = request.namespace.as_str().into();
        meta::of_mut(&mut value).insert("namespace".to_owned(), namespace);
    }
    managed::on_create(&scope, &mut value, &options.field_manager);
    Ok((value, warnings))
}
