//! Events that controllers want to be recorded: equal ones are counted up.

use super::{Engine, Env};
use crate::answer;
use model::{ApiError, Event, EventNote, Object, Resource, View};
use serde_json::{Value, json};
use std::sync::Arc;

/// Equal notes within this time are one Event.
const SAME_SECONDS: i64 = 600;

impl Engine {
    /// Records a note as an Event in the object's namespace (`default` for cluster-scoped ones).
    ///
    /// # Errors
    /// Only when the event cannot be serialised.
    pub fn note(&mut self, note: &EventNote, env: &Env<'_>) -> Result<Vec<Event>, ApiError> {
        let meta = &note.regarding.meta;
        let namespace = if meta.namespace.is_empty() {
            "default"
        } else {
            &meta.namespace
        };
        let gone = self
            .get(Resource::NAMESPACES, "", namespace)
            .is_none_or(|ns| ns.meta.is_deleting());
        if gone {
            return Ok(Vec::new());
        }
        let now = env.now.rfc3339();
        if let Some((old, mut value)) = self.same_note(note, namespace, env) {
            let count = value["count"].as_i64().unwrap_or(1) + 1;
            value["count"] = count.into();
            value["lastTimestamp"] = now.into();
            return Ok(vec![self.put(Resource::EVENTS, value, Some(old))?]);
        }
        let regarding = self.registry.stored(note.regarding.resource);
        let kind = regarding.ok_or_else(|| answer::internal("event about an unknown kind"))?;
        let name = format!("{}.{:016x}", meta.name, (env.random)());
        let mut value = json!({
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "kind": kind.kind, "apiVersion": kind.api_version(), "name": &*meta.name,
                "namespace": &*meta.namespace, "uid": &*meta.uid, "resourceVersion": meta.resource_version.to_string(),
            },
            "reason": note.reason, "message": note.message, "type": note.kind, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
            "source": {"component": note.component}, "reportingComponent": note.component, "reportingInstance": "",
        });
        let Some(event_kind) = self.registry.stored(Resource::EVENTS).cloned() else {
            return Ok(Vec::new());
        };
        super::create::complete(&event_kind, &mut value, env);
        self.registry.normalise(&event_kind, &mut value);
        Ok(vec![self.put(Resource::EVENTS, value, None)?])
    }

    fn same_note(
        &self,
        note: &EventNote,
        namespace: &str,
        env: &Env<'_>,
    ) -> Option<(Arc<Object>, Value)> {
        let prefix = format!("{}.", note.regarding.meta.name);
        let events = self.state.range(Resource::EVENTS, Some(namespace));
        let candidates = events.filter(|(_, event)| event.meta.name.starts_with(&prefix));
        for (_, event) in candidates {
            let value = event.value();
            let last = value["lastTimestamp"]
                .as_str()
                .and_then(model::Timestamp::parse);
            let fresh = last.is_some_and(|last| last.plus_seconds(SAME_SECONDS) >= env.now);
            let same = value["involvedObject"]["uid"] == *note.regarding.meta.uid
                && value["reason"] == note.reason.as_str()
                && value["message"] == note.message.as_str()
                && value["type"] == note.kind
                && value["source"]["component"] == note.component;
            if fresh && same {
                return Some((event.clone(), value));
            }
        }
        None
    }
}
