//! `metadata.managedFields`: who set which field, one entry per manager, operation, subresource and
//! version.
//!
//! ```text
//! a write ─update─► entries          an apply ─apply::run─► object and entries
//!            └── settle: what others owned and has changed is theirs no more ──┘
//! ```

mod apply;
mod conflict;
mod entry;
mod last_applied;
mod models;
mod prune;
mod reset;
pub(crate) mod scale;
mod settle;
mod update;

pub(crate) use apply::{Apply, Named};
pub(crate) use entry::{read, write};
pub(crate) use models::Models;

use crate::engine::Scope;
use crate::meta;
use entry::Entry;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use update::{update, updater};

/// The name of a client, out of its `User-Agent`.
pub fn agent_name(user_agent: &str) -> String {
    let first = user_agent.split('/').next().unwrap_or_default();
    let printable = first.chars().filter(|c| !c.is_control());
    let mut name = String::new();
    for c in printable {
        if name.len() + c.len_utf8() > 128 {
            break;
        }
        name.push(c);
    }
    name
}

/// Everything in a new object belongs to its creator.
pub(crate) fn on_create(scope: &Scope<'_>, value: &mut Value, manager: &str) {
    let empty = scope.empty(&scope.stored);
    on_update(scope, value, &empty, manager);
}

/// What changed belongs to who changed it. Entries in the new object count, if they are well-formed
/// and the path is no subresource's; an empty list, or one with one empty entry, resets.
pub(crate) fn on_update(scope: &Scope<'_>, value: &mut Value, old: &Value, manager: &str) {
    let given = meta::of_mut(value).remove("managedFields");
    let known = meta::list(meta::of(old), "managedFields");
    let entries = match given.as_ref().and_then(Value::as_array) {
        Some(given) if scope.request.subresource.is_empty() => {
            if is_reset(given) {
                Vec::new()
            } else {
                let given = read(given).unwrap_or_default();
                if given.is_empty() {
                    read(known).unwrap_or_default()
                } else {
                    given.into_iter().map(Entry::rewritten).collect()
                }
            }
        }
        _ => read(known).unwrap_or_default(),
    };
    // Nobody is noted in an object that was reset, until someone applies.
    if entries.is_empty() && !meta::text(old, "uid").is_empty() {
        return;
    }
    let (old, new) = (scope.requested(old), scope.requested(value));
    let models = scope.models(scope.kind);
    let manager = scope.manager(manager);
    let owner = updater(manager, &scope.api_version, &scope.request.subresource);
    let now = scope.env.now.rfc3339();
    let made = update(&models, (&old, &new), entries, owner, &now);
    let made = made.map(write).unwrap_or_default();
    store(value, made);
}

/// The managedFields of a Scale after a write that made `new` out of `old`.
pub(crate) fn of_scale(
    scope: &Scope<'_>,
    kind: &schema::Kind,
    objects: (&Value, &Value),
    known: &[Value],
    manager: &str,
) -> Vec<Value> {
    let entries = read(known).unwrap_or_default();
    if entries.is_empty() {
        // Nobody is noted in an object that was reset, until someone applies.
        return Vec::new();
    }
    let models = Models::new(scope.registry(), kind, scale::VERSION, "scale");
    let owner = updater(scope.manager(manager), scale::VERSION, "scale");
    let now = scope.env.now.rfc3339();
    let made = update(&models, objects, entries, owner, &now);
    made.map(write).unwrap_or_default()
}

fn is_reset(list: &[Value]) -> bool {
    match list {
        [] => true,
        [only] => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// Undoes the bookkeeping when nothing but its times changed.
pub(crate) fn drop_if_unchanged(value: &mut Value, old: &Value) {
    let was = meta::list(meta::of(old), "managedFields");
    let is = meta::list(meta::of(value), "managedFields");
    let untimed = |entry: &Value| {
        let fields = entry.as_object().into_iter().flatten();
        fields.filter(|(key, _)| *key != "time").count()
    };
    let same_entry = |a: &Value, b: &Value| {
        untimed(a) == untimed(b)
            && a.as_object()
                .into_iter()
                .flatten()
                .all(|(key, value)| key == "time" || b.get(key) == Some(value))
    };
    let same = is.len() == was.len() && is.iter().zip(was).all(|(a, b)| same_entry(a, b));
    if !same || is == was || !same_but_managers(value, old) {
        return;
    }
    store(value, was.to_vec());
}

/// Whether two objects are equal, their managedFields aside.
fn same_but_managers(a: &Value, b: &Value) -> bool {
    fn same_maps(a: &Map<String, Value>, b: &Map<String, Value>, aside: &str) -> bool {
        let count = |map: &Map<String, Value>| map.keys().filter(|key| *key != aside).count();
        let mut fields = a.iter().filter(|(key, _)| *key != aside);
        count(a) == count(b) && fields.all(|(key, value)| b.get(key) == Some(value))
    }
    match (a.as_object(), b.as_object()) {
        (Some(map_a), Some(map_b)) => {
            same_maps(map_a, map_b, "metadata")
                && same_maps(meta::of(a), meta::of(b), "managedFields")
        }
        _ => a == b,
    }
}

/// Writes entries into an object.
pub(crate) fn store(value: &mut Value, entries: Vec<Value>) {
    let map = meta::of_mut(value);
    if entries.is_empty() {
        map.remove("managedFields");
    } else {
        map.insert("managedFields".to_owned(), entries.into());
    }
}

impl<'a> Scope<'a> {
    /// The object that has only what every object of the kind has, so that it counts as set by
    /// nobody.
    pub(crate) fn empty(&self, kind: &schema::Kind) -> Value {
        let mut empty = json!({"metadata": {}});
        self.registry().normalise(kind, &mut empty);
        crate::engine::name_type(kind, &mut empty);
        empty
    }

    /// An object of the stored kind in that of the request.
    fn requested<'b>(&self, value: &'b Value) -> Cow<'b, Value> {
        if self.kind.group == self.stored.group && self.kind.version == self.stored.version {
            return Cow::Borrowed(value);
        }
        let mut value = value.clone();
        self.registry().convert(&self.stored, self.kind, &mut value);
        Cow::Owned(value)
    }

    /// The versions of a kind that the request writes.
    pub(crate) fn models<'b>(&'b self, kind: &'b schema::Kind) -> Models<'b> {
        let subresource = &self.request.subresource;
        Models::new(self.registry(), kind, &self.api_version, subresource)
    }

    /// The name under which a write is noted.
    pub(crate) fn manager<'b>(&'b self, given: &'b str) -> &'b str {
        if given.is_empty() {
            &self.request.agent
        } else {
            given
        }
    }
}

#[cfg(test)]
mod tests;
