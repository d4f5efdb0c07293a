//! Three-way apply, as `kubectl apply` does it on the client's side: what the last apply said and
//! this one no longer says is removed, what others set stays.

use serde_json::{Map, Value};

/// Where the last applied form is kept.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object with its own form in the annotation, ready to be created.
pub(crate) fn annotated(object: &Value) -> Value {
    let mut made = plain(object);
    let text = format!("{made}\n");
    let Some(root) = made.as_object_mut() else {
        return made;
    };
    let meta = root
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(meta) = meta.as_object_mut() else {
        return made;
    };
    let annotations = meta
        .entry("annotations")
        .or_insert_with(|| Value::Object(Map::new()));
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    annotations[LAST_APPLIED] = text.into();
    made
}

/// The JSON merge patch that brings `live` to what `object` says; `None` when nothing is to change.
pub(crate) fn patch(object: &Value, live: &Value) -> Option<Value> {
    let wanted = annotated(object);
    let pointer = format!("/metadata/annotations/{}", LAST_APPLIED.replace('/', "~1"));
    let last = live.pointer(&pointer).and_then(Value::as_str);
    let last: Value = last
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let patch = difference(&last, &wanted, live);
    if patch == Value::Object(Map::new()) || only_annotation(&patch) && last == plain(object) {
        return None;
    }
    Some(patch)
}

/// The object without the annotation.
fn plain(object: &Value) -> Value {
    let mut plain = object.clone();
    if let Some(annotations) = plain
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    plain
}

fn only_annotation(patch: &Value) -> bool {
    let Some(root) = patch.as_object() else {
        return false;
    };
    let annotations = patch
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    root.len() == 1
        && patch["metadata"]
            .as_object()
            .is_some_and(|meta| meta.len() == 1)
        && annotations.is_some_and(|a| a.len() == 1 && a.contains_key(LAST_APPLIED))
}

fn difference(last: &Value, wanted: &Value, live: &Value) -> Value {
    let empty = Map::new();
    let (last, wanted, live) = (
        last.as_object().unwrap_or(&empty),
        wanted.as_object().unwrap_or(&empty),
        live.as_object().unwrap_or(&empty),
    );
    let mut patch = Map::new();
    for (key, value) in wanted {
        match live.get(key) {
            Some(there) if there == value => {}
            Some(there @ Value::Object(_)) if value.is_object() => {
                let inner = difference(last.get(key).unwrap_or(&Value::Null), value, there);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    patch.insert(key.clone(), inner);
                }
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in last
        .keys()
        .filter(|key| !wanted.contains_key(*key) && live.contains_key(*key))
    {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn removes_what_is_no_longer_said_and_keeps_what_others_set() {
        let first =
            json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}});
        let mut live = annotated(&first);
        live["data"]["z"] = "3".into();
        assert_eq!(patch(&first, &live), None);
        let second = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "9"}});
        let patch = patch(&second, &live).unwrap();
        assert_eq!(patch["data"], json!({"x": "9", "y": null}));
        let applied = patch.pointer("/metadata/annotations").unwrap();
        assert!(
            applied[LAST_APPLIED]
                .as_str()
                .unwrap()
                .contains("\"x\":\"9\"")
        );
    }
}
