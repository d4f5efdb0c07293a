//! What namespaces decide for what is in them, and their `finalize` subresource.

use super::update::Change;
use super::{Engine, Outcome, Scope, body};
use crate::query::WriteOptions;
use crate::route::Verb;
use crate::{answer, meta};
use model::{ApiError, Object, Resource, View};
use serde_json::{Value, json};

/// Refuses creates in namespaces that are not there or are going.
pub(super) fn check_create(engine: &Engine, scope: &Scope<'_>, name: &str) -> Result<(), ApiError> {
    if !scope.kind.namespaced {
        return Ok(());
    }
    let namespace = &scope.request.namespace;
    let found = engine.get(Resource::NAMESPACES, "", namespace);
    let Some(found) = found else {
        return Err(ApiError::not_found(Resource::NAMESPACES, namespace));
    };
    if !found.meta.is_deleting() {
        return Ok(());
    }
    let text = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut error = answer::forbidden(scope.resource(), name, &text);
    if let Some(details) = &mut error.details {
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
    }
    Err(error)
}

/// Protects the namespaces that a cluster cannot do without.
pub(super) fn check_delete(scope: &Scope<'_>, object: &Object) -> Result<(), ApiError> {
    let protected = matches!(
        &*object.meta.name,
        "default" | "kube-system" | "kube-public"
    );
    if object.resource == Resource::NAMESPACES && protected {
        let text = "this namespace may not be deleted";
        return Err(answer::forbidden(scope.resource(), &object.meta.name, text));
    }
    Ok(())
}

impl Engine {
    /// PUT of `/finalize`: takes `spec.finalizers` and nothing else.
    pub(super) fn finalize(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        if scope.request.verb != Verb::Update {
            return Err(answer::method_not_allowed());
        }
        let options = WriteOptions::parse(&scope.request.query, "UpdateOptions")?;
        scope.dry_run = options.dry_run;
        let (mut given, warnings) = body::decode(
            scope,
            scope.kind,
            &scope.request.payload,
            options.validation,
        )?;
        body::match_namespace(scope, &mut given)?;
        body::match_name(scope, &given)?;
        let old = self.expect(scope)?;
        let mut value = old.value();
        let finalizers = given["spec"]["finalizers"].take();
        if finalizers.is_null() {
            value["spec"] = json!({});
        } else {
            value["spec"]["finalizers"] = finalizers;
        }
        let version: Value = meta::text(&given, "resourceVersion").into();
        meta::of_mut(&mut value).insert("resourceVersion".to_owned(), version);
        let change = Change {
            noted: None,
            value,
            warnings,
            check_uid: false,
        };
        self.change(scope, &old, change, &options)
    }
}
