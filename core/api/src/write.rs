//! What a controller wants, as the request that asks for it.

use crate::accept::PatchForm;
use crate::answer;
use crate::engine::{Payload, Request};
use crate::query::Query;
use crate::route::Verb;
use model::{ApiError, ObjectKey, User, Write};
use schema::Registry;
use serde_json::{Value, json};

impl Request {
    /// The request for a write of `agent`, which acts as the system itself. `None` for a note,
    /// which becomes an Event by other means.
    ///
    /// # Errors
    /// 404, when no kind of the registry is stored under the write's resource.
    pub fn of_write(
        registry: &Registry,
        write: Write,
        agent: &str,
    ) -> Result<Option<Self>, ApiError> {
        let (verb, key, subresource, patch, payload) = match write {
            Write::Note(_) => return Ok(None),
            Write::Create { resource, object } => {
                let key = ObjectKey::new(resource, text(&object, "namespace"), "");
                (Verb::Create, key, "", None, object)
            }
            Write::Update { resource, object } => {
                let key = key_of(resource, &object);
                (Verb::Update, key, "", None, object)
            }
            Write::UpdateSubresource {
                resource,
                subresource,
                object,
            } => {
                // A binding is made, not changed: the API has no PUT for it.
                let verb = if subresource == "binding" {
                    Verb::Create
                } else {
                    Verb::Update
                };
                (verb, key_of(resource, &object), subresource, None, object)
            }
            Write::MergePatch {
                key,
                subresource,
                patch,
            } => (Verb::Patch, key, subresource, Some(PatchForm::Merge), patch),
            Write::Delete {
                key,
                uid,
                grace_seconds,
                propagation,
            } => {
                let mut options = json!({});
                if let Some(uid) = uid {
                    options["preconditions"] = json!({"uid": &*uid});
                }
                if let Some(seconds) = grace_seconds {
                    options["gracePeriodSeconds"] = seconds.into();
                }
                if let Some(policy) = propagation {
                    options["propagationPolicy"] = policy.into();
                }
                (Verb::Delete, key, "", None, options)
            }
        };
        let kind = registry
            .stored(key.resource)
            .ok_or_else(answer::no_such_resource)?;
        Ok(Some(Self {
            verb,
            kind: kind.clone(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            subresource: subresource.to_owned(),
            query: Query::default(),
            payload: Payload::Value(payload),
            patch,
            user: User {
                name: "system:portolan".to_owned(),
                groups: vec!["system:masters".to_owned()],
                ..User::default()
            },
            agent: agent.to_owned(),
            create_refusal: None,
        }))
    }
}

fn key_of(resource: model::Resource, object: &Value) -> ObjectKey {
    ObjectKey::new(resource, text(object, "namespace"), text(object, "name"))
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}
