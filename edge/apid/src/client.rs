//! The API for those in the same process: same checks, no sockets.

use crate::hub::{Batch, Hub};
use api::{Outcome, Reply, Request};
use model::{ApiError, EventNote, Object, Resource, View, Write};
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
        let (creates, deletes) = (
            matches!(write, Write::Create { .. }),
            matches!(write, Write::Delete { .. }),
        );
        if let Write::Note(note) = write {
            return self.note(&note).await.map(|()| None);
        }
        let Some(request) = Request::of_write(&self.registry(), write, &self.agent)? else {
            return Ok(None);
        };
        match self.hub.write(&request).await {
            Ok(_) if deletes => Ok(None),
            Ok(outcome) => Ok(stored(&outcome)),
            Err(error) if creates && error.reason == "AlreadyExists" => Ok(None),
            Err(error) if deletes && error.reason == "NotFound" => Ok(None),
            Err(error) => Err(error),
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
    pub fn registry(&self) -> schema::Registry {
        self.hub.registry()
    }
}

fn stored(outcome: &Outcome) -> Option<Arc<Object>> {
    match &outcome.reply {
        Reply::Stored(object) => Some(object.clone()),
        _ => None,
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
