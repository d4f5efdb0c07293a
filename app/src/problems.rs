//! What is wrong right now, told three ways: as events on the objects, in a file that
//! `portolan status` reads, and as a count for `/metrics`.

use apid::Client;
use model::{EventNote, Problem, Resource, Severity, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// File in the data directory.
const FILE: &str = "problems.json";

/// Keeps track of the present problems.
pub(crate) struct Problems {
    client: Client,
    path: PathBuf,
    /// Whether problems become events; without a runner the objects are somebody else's play
    events: bool,
    present: BTreeSet<Problem>,
}

impl Problems {
    /// No problem yet.
    pub(crate) fn new(client: Client, data_dir: &Path, events: bool) -> Self {
        let path = data_dir.join(FILE);
        let problems = Self {
            client,
            path,
            events,
            present: BTreeSet::new(),
        };
        problems.write();
        problems
    }

    /// Takes the whole present list; what is new in it becomes an event.
    pub(crate) async fn replace(&mut self, now: BTreeSet<Problem>) {
        if now == self.present {
            return;
        }
        let new: Vec<Problem> = now.difference(&self.present).cloned().collect();
        self.present = now;
        self.write();
        for problem in new {
            self.tell(&problem).await;
        }
    }

    async fn tell(&self, problem: &Problem) {
        match problem.severity {
            Severity::Error => tracing::warn!(reason = problem.reason, "{problem}"),
            Severity::Warning => tracing::info!(reason = problem.reason, "{problem}"),
        }
        let key = &problem.object;
        if !self.events || key.resource == Resource::PODS {
            // The runner tells of Pods itself, in the kubelet's words.
            return;
        }
        let Some(object) = self.client.get(key.resource, &key.namespace, &key.name) else {
            return;
        };
        let note = EventNote {
            regarding: object,
            kind: "Warning",
            reason: problem.reason.to_owned(),
            message: sentence(problem),
            component: "portolan",
        };
        if let Err(error) = self.client.submit(Write::Note(note)).await {
            tracing::debug!(%error, "an event was not recorded");
        }
    }

    fn write(&self) {
        let list: Vec<Value> = self.present.iter().map(as_json).collect();
        let text = Value::from(list).to_string();
        if let Err(error) = crate::marker::write_file(&self.path, text.as_bytes()) {
            tracing::warn!(%error, "cannot write {}", self.path.display());
        }
    }
}

/// The problems that a running `up` wrote down.
pub(crate) fn read(data_dir: &Path) -> Vec<Value> {
    let bytes = std::fs::read(data_dir.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// A problem as `-o json` prints it.
pub(crate) fn as_json(problem: &Problem) -> Value {
    json!({
        "object": problem.object.to_string(),
        "field": problem.field,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "reason": problem.reason,
        "message": problem.message,
        "cure": problem.cure,
    })
}

/// A problem out of [`as_json`] or of `problems.json`, in two lines for people.
pub(crate) fn as_text(problem: &Value) -> String {
    let read = |key: &str| problem[key].as_str().unwrap_or_default();
    let at = if read("field").is_empty() {
        String::new()
    } else {
        format!(" {}", read("field"))
    };
    let mut text = format!(
        "{}: {}{at}: {}",
        read("severity"),
        read("object"),
        read("message")
    );
    if !read("cure").is_empty() {
        text.push_str(&format!("\n    {}", read("cure")));
    }
    text
}

fn sentence(problem: &Problem) -> String {
    let field = if problem.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", problem.field)
    };
    format!("{field}{} {}", problem.message, problem.cure)
        .trim_end()
        .to_owned()
}
