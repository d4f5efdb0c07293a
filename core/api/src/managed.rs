//! `metadata.managedFields`: who set which field, one entry per manager, subresource and version.

use crate::engine::Scope;
use crate::meta;
use model::Timestamp;
use serde_json::{Map, Value, json};

/// Who writes, for an entry.
pub(crate) struct Stamp<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) now: Timestamp,
}

/// Metadata that nobody manages.
const SYSTEM: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
];

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
    let (new, old) = (owned(scope, value), owned(scope, &empty_object(scope)));
    store(value, update(&new, &old, Vec::new(), &scope.stamp(manager)));
}

/// What changed belongs to who changed it. A list with one empty entry resets, a missing list
/// keeps what is stored.
pub(crate) fn on_update(scope: &Scope<'_>, value: &mut Value, old: &Value, manager: &str) {
    let asked = meta::list(meta::of(value), "managedFields");
    let kept: Vec<Value> = match asked {
        [] => meta::list(meta::of(old), "managedFields").to_vec(),
        [only] if only.as_object().is_some_and(Map::is_empty) => {
            store(value, Vec::new());
            return;
        }
        given => given.to_vec(),
    };
    let (new, was) = (owned(scope, value), owned(scope, old));
    store(value, update(&new, &was, kept, &scope.stamp(manager)));
}

/// Undoes the bookkeeping when nothing but it changed.
pub(crate) fn drop_if_unchanged(value: &mut Value, old: &Value) {
    let without = |value: &Value| {
        let mut value = value.clone();
        let times = meta::of_mut(&mut value).get_mut("managedFields");
        for entry in times.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        value
    };
    if value["metadata"]["managedFields"] == old["metadata"]["managedFields"]
        || without(value) != without(old)
    {
        return;
    }
    let entries = meta::list(meta::of(old), "managedFields").to_vec();
    store(value, entries);
}

fn store(value: &mut Value, entries: Vec<Value>) {
    let map = meta::of_mut(value);
    if entries.is_empty() {
        map.remove("managedFields");
    } else {
        map.insert("managedFields".to_owned(), entries.into());
    }
}

/// The object that has only what every object of the kind has, so that it counts as set by nobody.
fn empty_object(scope: &Scope<'_>) -> Value {
    let mut empty = json!({"metadata": {}});
    scope.registry().normalise(&scope.stored, &mut empty);
    empty
}

fn update(new: &Value, old: &Value, entries: Vec<Value>, stamp: &Stamp<'_>) -> Vec<Value> {
    let changed = changes(new, old);
    let gone = removals(new, old);
    let is_own = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        text("operation") == "Update"
            && text("manager") == stamp.manager
            && text("apiVersion") == stamp.api_version
            && text("subresource") == stamp.subresource
    };
    let mut own = Value::Object(Map::new());
    let mut out = Vec::new();
    let touched = is_set(&changed) || is_set(&gone);
    let mut time = None;
    for mut entry in entries {
        let mine = is_own(&entry);
        let fields = &mut entry["fieldsV1"];
        subtract(fields, &gone);
        if mine {
            own = fields.take();
            time = entry.get("time").cloned();
            continue;
        }
        subtract(fields, &changed);
        if is_set(fields) {
            out.push(entry);
        }
    }
    add(&mut own, &changed);
    if is_set(&own) {
        let time = match time {
            Some(time) if !touched => time,
            _ => stamp.now.rfc3339().into(),
        };
        let mut entry = json!({
            "manager": stamp.manager, "operation": "Update", "apiVersion": stamp.api_version,
            "time": time, "fieldsType": "FieldsV1", "fieldsV1": own,
        });
        if !stamp.subresource.is_empty() {
            entry["subresource"] = stamp.subresource.into();
        }
        out.push(entry);
    }
    out.sort_by(|a, b| order(a).cmp(&order(b)));
    out
}

fn order(entry: &Value) -> [&str; 5] {
    ["operation", "time", "manager", "apiVersion", "subresource"]
        .map(|key| entry[key].as_str().unwrap_or_default())
}

/// The fields of an object that this request can own: not those that its path cannot write.
fn owned(scope: &Scope<'_>, value: &Value) -> Value {
    let mut value = bare(value);
    let has_status = scope.stored.subresource("status").is_some();
    if let Some(map) = value.as_object_mut() {
        match scope.request.subresource.as_str() {
            "" if has_status => {
                map.remove("status");
            }
            "status" => map.retain(|key, _| key == "metadata" || key == "status"),
            _ => {}
        }
    }
    scope.registry().ownership(&scope.stored, &value)
}

/// The object without what nobody manages.
fn bare(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            SYSTEM.iter().for_each(|key| {
                meta.remove(*key);
            });
        }
    }
    value
}

fn is_set(fields: &Value) -> bool {
    fields.as_object().is_some_and(|map| !map.is_empty())
}

/// All fields of a value that is new as a whole.
fn all(value: &Value) -> Value {
    let mut fields = Map::new();
    if let Value::Object(map) = value {
        if !map.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        for (key, child) in map {
            fields.insert(key.clone(), all(child));
        }
    }
    Value::Object(fields)
}

/// Fields that are new or differ.
fn changes(new: &Value, old: &Value) -> Value {
    let mut fields = Map::new();
    let (Value::Object(new), Value::Object(old)) = (new, old) else {
        return Value::Object(fields);
    };
    for (key, value) in new {
        match old.get(key) {
            None => {
                fields.insert(key.clone(), all(value));
            }
            Some(was) if was == value => {}
            Some(was) if was.is_object() && value.is_object() => {
                let below = changes(value, was);
                if is_set(&below) {
                    fields.insert(key.clone(), below);
                }
            }
            Some(_) => {
                fields.insert(key.clone(), all(value));
            }
        }
    }
    Value::Object(fields)
}

/// Fields that are there no more.
fn removals(new: &Value, old: &Value) -> Value {
    let mut fields = Map::new();
    let (Value::Object(new), Value::Object(old)) = (new, old) else {
        return Value::Object(fields);
    };
    for (key, was) in old {
        match new.get(key) {
            None => {
                fields.insert(key.clone(), all(was));
            }
            Some(value) if value.is_object() && was.is_object() => {
                let below = removals(value, was);
                if is_set(&below) {
                    fields.insert(key.clone(), below);
                }
            }
            Some(_) => {}
        }
    }
    Value::Object(fields)
}

/// Union.
fn add(fields: &mut Value, more: &Value) {
    if !fields.is_object() {
        *fields = Value::Object(Map::new());
    }
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else {
        return;
    };
    for (key, value) in more {
        add(
            fields.entry(key.clone()).or_insert_with(|| json!({})),
            value,
        );
    }
}

/// Difference; a field without fields below is a leaf and goes as a whole.
fn subtract(fields: &mut Value, less: &Value) {
    let (Value::Object(fields), Value::Object(less)) = (fields, less) else {
        return;
    };
    for (key, value) in less {
        let Some(below) = fields.get_mut(key) else {
            continue;
        };
        if !is_set(value) || !is_set(below) {
            fields.remove(key);
            continue;
        }
        subtract(below, value);
        if !is_set(below) {
            fields.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(manager: &str) -> Stamp<'_> {
        Stamp {
            manager,
            api_version: "v1",
            subresource: "",
            now: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn a_new_object_belongs_to_its_creator() {
        let new = json!({"f:metadata": {"f:labels": {"f:x": ["1"]}}, "f:data": {"f:k": ["v"]}});
        let entries = update(&new, &json!({"f:metadata": {}}), Vec::new(), &stamp("m"));
        assert_eq!(
            entries[0]["fieldsV1"],
            json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}})
        );
    }

    #[test]
    fn a_changed_field_changes_hands() {
        let old = json!({"f:metadata": {}, "f:data": {"f:k": ["v"], "f:l": ["w"]}});
        let first = update(&old, &json!({"f:metadata": {}}), Vec::new(), &stamp("a"));
        let new = json!({"f:metadata": {}, "f:data": {"f:k": ["x"]}});
        let second = update(&new, &old, first, &stamp("b"));
        assert_eq!(second[0]["fieldsV1"], json!({"f:data": {".": {}}}));
        assert_eq!(second[1]["fieldsV1"], json!({"f:data": {"f:k": {}}}));
    }

    #[test]
    fn agents_are_cut_at_the_version() {
        assert_eq!(agent_name("kubectl/v1.32 (linux)"), "kubectl");
        assert_eq!(agent_name(&"x".repeat(200)).len(), 128);
    }
}
