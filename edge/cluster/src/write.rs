//! Writes that controllers ask for.

use crate::client::{Call, Client};
use crate::error::Error;
use crate::paths::{collection, object};
use http::Method;
use model::{ObjectKey, Write};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

impl Client {
    /// Sends one write and gives the answer's bytes back. "Already exists" of a create and "not
    /// found" of a delete are no errors, as [`Write`] says.
    ///
    /// # Errors
    /// As [`Error`] says; [`Write::Note`] is for [`crate::Notes`].
    pub async fn submit(&self, write: &Write) -> Result<bytes::Bytes, Error> {
        match write {
            Write::Create { resource, object } => {
                let path = collection(*resource, text(object, "namespace"));
                let made = self.json(Method::POST, &path, JSON, object).await;
                unless(made, 409)
            }
            Write::Update {
                resource,
                object: body,
            } => {
                let path = object(*resource, text(body, "namespace"), text(body, "name"), "");
                self.json(Method::PUT, &path, JSON, body).await
            }
            Write::UpdateSubresource {
                resource,
                subresource,
                object: body,
            } => {
                let (namespace, name) = (text(body, "namespace"), text(body, "name"));
                let path = object(*resource, namespace, name, subresource);
                self.json(Method::PUT, &path, JSON, body).await
            }
            Write::MergePatch {
                key,
                subresource,
                patch,
            } => {
                let path = object(key.resource, &key.namespace, &key.name, subresource);
                self.json(Method::PATCH, &path, MERGE_PATCH, patch).await
            }
            Write::Delete {
                key,
                uid,
                grace_seconds,
                propagation,
            } => {
                let options = json!({
                    "kind": "DeleteOptions", "apiVersion": "v1",
                    "preconditions": uid.as_ref().map(|uid| json!({"uid": uid})),
                    "gracePeriodSeconds": grace_seconds, "propagationPolicy": propagation,
                });
                let path = object(key.resource, &key.namespace, &key.name, "");
                unless(self.json(Method::DELETE, &path, JSON, &options).await, 404)
            }
            Write::Note(note) => Err(Error::Answer(format!(
                "an event ({}) is not sent as a write",
                note.reason
            ))),
        }
    }

    /// Reads one object as a value tree; `None` when there is none.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn object(&self, key: &ObjectKey) -> Result<Option<Value>, Error> {
        let path = object(key.resource, &key.namespace, &key.name, "");
        match self.get(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::Answer(format!("{key}: {error}"))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: &Value,
    ) -> Result<bytes::Bytes, Error> {
        let call = Call {
            method,
            path,
            content_type,
            body: body.to_string().into_bytes(),
        };
        self.call(call).await
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn unless(result: Result<bytes::Bytes, Error>, code: u16) -> Result<bytes::Bytes, Error> {
    match result {
        Err(error) if error.code() == Some(code) => Ok(bytes::Bytes::new()),
        other => other,
    }
}
