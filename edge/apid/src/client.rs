//! The API for those in the same process: same checks, no sockets.

use crate::hub::{Batch, Hub};
use api::{Outcome, PatchForm, Payload, Query, Reply, Request, User, Verb, answer};
use model::{ApiError, EventNote, Object, ObjectKey, Resource, View, Write};
use schema::Kind;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Reads committed state and writes as a controller. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) hub: Arc<Hub>,
    agent: Arc<str>,
}

impl Client {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            agent: "portolan".into(),
        }
    }

    /// The same client under another name in `managedFields`.
    #[must_use]
    pub fn named(&self, agent: &str) -> Self {
        Self {
            hub: self.hub.clone(),
            agent: agent.into(),
        }
    }

    /// Sends a write and waits until it is durable. The object as stored comes back, unless there
    /// is none: after a delete, after a note, when a create found the object already there.
    ///
    /// # Errors
    /// The API's refusal, e.g. 409 for a stale resourceVersion.
    pub async fn submit(&self, write: Write) -> Result<Option<Arc<Object>>, ApiError> {
        match write {
            Write::Note(note) => self.note(&note).await.map(|()| None),
            Write::Create { resource, object } => {
                let created = self.send(resource, Verb::Create, "", object, None).await;
                created.or_else(|error| ignore(error, "AlreadyExists"))
            }
            Write::Update { resource, object } => {
                self.send(resource, Verb::Update, "", object, None).await
            }
            Write::UpdateSubresource {
                resource,
                subresource,
                object,
            } => {
                self.send(resource, Verb::Update, subresource, object, None)
                    .await
            }
            Write::MergePatch {
                key,
                subresource,
                patch,
            } => {
                let mut request = self.request_for(&key, Verb::Patch, subresource)?;
                request.payload = Payload::Value(patch);
                request.patch = Some(PatchForm::Merge);
                self.hub
                    .write(&request)
                    .await
                    .map(|outcome| stored(&outcome))
            }
            Write::Delete {
                key,
                uid,
                grace_seconds,
                propagation,
            } => {
                let mut request = self.request_for(&key, Verb::Delete, "")?;
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
                request.payload = Payload::Value(options);
                let deleted = self.hub.write(&request).await.map(|_| None);
                deleted.or_else(|error| ignore(error, "NotFound"))
            }
        }
    }

    /// Records an Event.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn note(&self, note: &EventNote) -> Result<(), ApiError> {
        self.hub.note(note).await
    }

    /// Every object, and batches of all later changes: nothing is missed, nothing seen twice. The
    /// channel is not bounded, since a controller that does not keep up is a bug to be seen.
    pub fn subscribe(&self) -> (Vec<Arc<Object>>, mpsc::UnboundedReceiver<Batch>) {
        self.hub.subscribe()
    }

    /// The kinds that are served.
    pub fn registry(&self) -> &schema::Registry {
        &self.hub.settings.registry
    }

    async fn send(
        &self,
        resource: Resource,
        verb: Verb,
        subresource: &str,
        object: Value,
        patch: Option<PatchForm>,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        let text = |key: &str| {
            object["metadata"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let name = if verb == Verb::Create {
            String::new()
        } else {
            text("name")
        };
        let key = ObjectKey::new(resource, &text("namespace"), &name);
        let mut request = self.request_for(&key, verb, subresource)?;
        request.payload = Payload::Value(object);
        request.patch = patch;
        self.hub
            .write(&request)
            .await
            .map(|outcome| stored(&outcome))
    }

    fn request_for(
        &self,
        key: &ObjectKey,
        verb: Verb,
        subresource: &str,
    ) -> Result<Request, ApiError> {
        let kind: &Arc<Kind> = self
            .hub
            .settings
            .registry
            .stored(key.resource)
            .ok_or_else(answer::no_such_resource)?;
        Ok(Request {
            verb,
            kind: kind.clone(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            subresource: subresource.to_owned(),
            query: Query::default(),
            payload: Payload::Empty,
            patch: None,
            user: User {
                name: "system:portolan".to_owned(),
                groups: vec!["system:masters".to_owned()],
            },
            agent: self.agent.to_string(),
        })
    }
}

fn stored(outcome: &Outcome) -> Option<Arc<Object>> {
    match &outcome.reply {
        Reply::Stored(object) => Some(object.clone()),
        _ => None,
    }
}

fn ignore(error: ApiError, reason: &str) -> Result<Option<Arc<Object>>, ApiError> {
    if error.reason == reason {
        Ok(None)
    } else {
        Err(error)
    }
}

impl View for Client {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.hub.committed().state().get(resource, namespace, name)
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        self.hub.committed().state().list(resource, namespace)
    }

    fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        self.hub.committed().state().owned_by(uid)
    }

    fn resources(&self) -> Vec<Resource> {
        self.hub.committed().state().resources()
    }
}
