//! Which events a watcher sees of what was committed.

use crate::committed::Logged;
use crate::render::Renderer;
use crate::select::Selection;
use model::{EventKind, Object};
use serde_json::{Value, json};
use std::sync::Arc;

/// One event for one watcher.
pub struct Seen {
    /// `ADDED`, `MODIFIED` or `DELETED`
    pub kind: &'static str,
    /// Its object
    pub object: Arc<Object>,
}

/// What a change means to a watcher with a selection: objects can enter and leave it.
pub fn seen(selection: &Selection, logged: &Logged) -> Option<Seen> {
    let event = &logged.event;
    let was = event.old.as_ref().is_some_and(|old| selection.matches(old));
    let is = event.kind != EventKind::Deleted && selection.matches(&event.object);
    let (kind, object) = match (was, is) {
        (false, false) => return None,
        (false, true) => ("ADDED", event.object.clone()),
        (true, true) => ("MODIFIED", event.object.clone()),
        (true, false) if event.kind == EventKind::Deleted => ("DELETED", event.object.clone()),
        (true, false) => ("DELETED", logged.left()?),
    };
    Some(Seen { kind, object })
}

/// A watch event as one line of JSON, when the object's bytes cannot be sent as they are.
pub fn line(kind: &str, object: &Value) -> Vec<u8> {
    let mut out = json!({"type": kind, "object": object})
        .to_string()
        .into_bytes();
    out.push(b'\n');
    out
}

/// What stands before an object's own bytes in an event's line.
pub fn line_start(kind: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":")
}

/// What stands behind them.
pub const LINE_END: &str = "}\n";

/// A bookmark's line.
pub fn bookmark(renderer: &Renderer<'_>, version: u64, initial_end: bool) -> Vec<u8> {
    line("BOOKMARK", &renderer.bookmark(version, initial_end))
}
