//! Events (`events.k8s.io/v1`) about objects.

use crate::client::Client;
use crate::error::Error;
use crate::paths::{api_version, collection, object};
use http::Method;
use model::{Resource, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Events that are remembered, to count repetitions up.
const REMEMBERED: usize = 256;
/// An equal event within this time becomes one of a series.
const SERIES: Duration = Duration::from_secs(360);
/// A series is written no more often than this.
const SERIES_WRITE: Duration = Duration::from_secs(30);
/// Longest `note` (`events.k8s.io/v1`: less than 1 KiB).
const NOTE_BYTES: usize = 1000;

/// `events.events.k8s.io`: the core group's events under their newer form.
fn events() -> Resource {
    Resource::new("events.k8s.io", "events")
}

/// The object that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Regarding {
    /// Resource
    pub resource: Resource,
    /// `kind`
    pub kind: &'static str,
    /// Namespace, empty for objects without
    pub namespace: String,
    /// Name
    pub name: String,
    /// `uid`
    pub uid: String,
}

/// One event to tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// What it is about
    pub regarding: Regarding,
    /// `Normal` or `Warning`
    pub kind: &'static str,
    /// UpperCamelCase reason
    pub reason: String,
    /// UpperCamelCase action
    pub action: String,
    /// Sentence for people; cut to 1000 bytes
    pub note: String,
}

struct Kept {
    namespace: String,
    name: String,
    count: u64,
    last: Instant,
    written: Instant,
}

/// Tells events under one controller's name, and counts equal ones up.
pub struct Notes {
    client: Client,
    controller: String,
    instance: String,
    kept: Mutex<BTreeMap<Told, Kept>>,
}

enum Step {
    Create,
    Count {
        namespace: String,
        name: String,
        count: u64,
    },
    Nothing,
}

impl Notes {
    /// Events of `controller`, of which this is `instance`.
    pub fn new(client: Client, controller: &str, instance: &str) -> Self {
        Self {
            client,
            controller: controller.to_owned(),
            instance: instance.to_owned(),
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    /// Writes an event, or counts an equal one up.
    ///
    /// # Errors
    /// As [`Error`] says; an event that was not written is not remembered.
    pub async fn tell(&self, mut told: Told) -> Result<(), Error> {
        cut(&mut told.note);
        match self.step(&told) {
            Step::Nothing => Ok(()),
            Step::Create => self.create(told).await,
            Step::Count {
                namespace,
                name,
                count,
            } => {
                let patch = json!({"series": {"count": count, "lastObservedTime": now()}});
                let path = object(events(), &namespace, &name, "");
                let kind = "application/merge-patch+json";
                let sent = self.client.json(Method::PATCH, &path, kind, &patch).await;
                match sent {
                    // It was cleaned away meanwhile.
                    Err(error) if error.code() == Some(404) => self.create(told).await,
                    other => other.map(|_| ()),
                }
            }
        }
    }

    fn step(&self, told: &Told) -> Step {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.last.elapsed() < SERIES);
        let Some(found) = kept.get_mut(told) else {
            return Step::Create;
        };
        found.count += 1;
        found.last = Instant::now();
        if found.written.elapsed() < SERIES_WRITE {
            return Step::Nothing;
        }
        found.written = Instant::now();
        Step::Count {
            namespace: found.namespace.clone(),
            name: found.name.clone(),
            count: found.count,
        }
    }

    async fn create(&self, told: Told) -> Result<(), Error> {
        let namespace = match told.regarding.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let micros = time().micros();
        let name = format!("{}.{micros:x}", told.regarding.name);
        let body = self.body(&told, namespace, &name);
        let path = collection(events(), namespace);
        let sent = self
            .client
            .json(Method::POST, &path, "application/json", &body)
            .await;
        sent?;
        let now = Instant::now();
        let new = Kept {
            namespace: namespace.to_owned(),
            name,
            count: 1,
            last: now,
            written: now,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < REMEMBERED {
            kept.insert(told, new);
        }
        Ok(())
    }

    fn body(&self, told: &Told, namespace: &str, name: &str) -> Value {
        let about = &told.regarding;
        let mut regarding = json!({
            "apiVersion": api_version(about.resource), "kind": about.kind,
            "name": about.name, "uid": about.uid,
        });
        if !about.namespace.is_empty() {
            regarding["namespace"] = json!(about.namespace);
        }
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": now(), "type": told.kind, "reason": told.reason,
            "action": told.action, "note": told.note, "regarding": regarding,
            "reportingController": self.controller, "reportingInstance": self.instance,
        })
    }
}

fn cut(note: &mut String) {
    if note.len() > NOTE_BYTES {
        note.truncate(note.floor_char_boundary(NOTE_BYTES));
    }
}

pub(crate) fn time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn now() -> String {
    time().rfc3339_micro()
}
