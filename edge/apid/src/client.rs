//! The API for those in the same process: same checks, no sockets.

use crate::auth::{Keys, Minted, Tokens};
use crate::hub::{Batch, Hub};
use access::token::Named;
use api::{Outcome, Reply, Request};
use model::{ApiError, EventNote, Object, Resource, Timestamp, View, Write};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Reads committed state and writes as a controller. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) hub: Arc<Hub>,
    keys: Arc<Keys>,
    agent: Arc<str>,
}

impl Client {
    pub(crate) fn new(hub: Arc<Hub>, keys: Arc<Keys>) -> Self {
        Self {
            hub,
            keys,
            agent: "portolan".into(),
        }
    }

    /// The same client under another name in `managedFields`.
    #[must_use]
    pub fn named(&self, agent: &str) -> Self {
        Self {
            hub: self.hub.clone(),
            keys: self.keys.clone(),
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

    /// Deletes objects in one commit; what is not there any more is no error.
    ///
    /// # Errors
    /// The first refusal and its place; what was not refused is deleted.
    pub async fn delete_all(&self, deletes: Vec<Write>) -> Result<(), (usize, ApiError)> {
        let registry = self.registry();
        let mut requests = Vec::with_capacity(deletes.len());
        for (at, write) in deletes.into_iter().enumerate() {
            let request = Request::of_write(&registry, write, &self.agent);
            requests.extend(request.map_err(|error| (at, error))?);
        }
        let outcomes = self.hub.write_all(&requests).await;
        let outcomes = outcomes.map_err(|error| (0, error))?;
        for (at, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Err(error) if error.reason != "NotFound" => return Err((at, error)),
                _ => {}
            }
        }
        Ok(())
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

    fn tokens(&self) -> Tokens<'_> {
        Tokens {
            keys: &self.keys,
            hub: &self.hub,
        }
    }

    /// A token for a Pod's ServiceAccount, as a `serviceAccountToken` volume shows it: bound to the
    /// Pod, for `audience` (empty for the API server itself), for `seconds` from now on (at least
    /// 600). Its holder should have a new one after four fifths of that time.
    ///
    /// # Errors
    /// 404 when Pod or ServiceAccount is gone, 422 for seconds out of range.
    pub fn pod_token(
        &self,
        pod: &Object,
        audience: &str,
        seconds: i64,
    ) -> Result<Minted, ApiError> {
        let spec = &pod.value()["spec"];
        let account = spec["serviceAccountName"].as_str().unwrap_or("default");
        let audiences: Vec<&str> = Some(audience)
            .filter(|a| !a.is_empty())
            .into_iter()
            .collect();
        let request = json!({"metadata": {}, "spec": {
            "audiences": audiences, "expirationSeconds": seconds,
            "boundObjectRef": {
                "apiVersion": "v1", "kind": "Pod", "name": &*pod.meta.name, "uid": &*pod.meta.uid,
            },
        }});
        let answered = self
            .tokens()
            .request(&pod.meta.namespace, account, request)?;
        let status = &answered["status"];
        let text = |key: &str| status[key].as_str().unwrap_or_default();
        let expires = Timestamp::parse(text("expirationTimestamp")).unwrap_or_default();
        Ok(Minted {
            token: text("token").to_owned(),
            expires,
        })
    }

    /// The token that a Secret of type `kubernetes.io/service-account-token` holds: the same for
    /// the same ServiceAccount and Secret, good as long as both are there.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn secret_token(
        &self,
        namespace: &str,
        account: (&str, &str),
        secret: &str,
    ) -> Result<String, ApiError> {
        let (name, uid) = account;
        let account = Named {
            name: name.to_owned(),
            uid: uid.to_owned(),
        };
        self.tokens().in_secret(namespace, &account, secret)
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

    fn resource_of(&self, api_version: &str, kind: &str) -> Option<(Resource, bool)> {
        let committed = self.hub.committed();
        let kind = committed.registry().by_kind(api_version, kind)?;
        kind.is_served().then_some((kind.resource, kind.namespaced))
    }
}
