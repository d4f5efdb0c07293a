//! JSON patch (RFC 6902) and JSON merge patch (RFC 7386).
//!
//! Where the RFC and the library that kube-apiserver uses differ, this follows the library:
//! `replace` of a missing map key adds it.

use serde_json::{Map, Value};

/// Applies the operations in order; the document is unchanged when one fails.
///
/// # Errors
/// `Err(())` when an operation cannot be applied; the API answers without saying which.
#[expect(clippy::result_unit_err, reason = "the API tells no reason either")]
pub fn apply(document: &Value, operations: &[Value]) -> Result<Value, ()> {
    let mut out = document.clone();
    for operation in operations {
        apply_one(&mut out, operation)?;
    }
    Ok(out)
}

fn apply_one(document: &mut Value, operation: &Value) -> Result<(), ()> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let path = pointer(text("path").ok_or(())?)?;
    let value = || operation.get("value").cloned().ok_or(());
    match text("op").ok_or(())? {
        "add" => add(document, &path, value()?),
        "remove" => remove(document, &path).map(|_| ()),
        "replace" => replace(document, &path, value()?),
        "move" => {
            let from = pointer(text("from").ok_or(())?)?;
            let moved = remove(document, &from)?;
            add(document, &path, moved)
        }
        "copy" => {
            let from = pointer(text("from").ok_or(())?)?;
            let copied = find(document, &from).cloned().ok_or(())?;
            add(document, &path, copied)
        }
        "test" => {
            let wanted = operation.get("value").unwrap_or(&Value::Null);
            let found = find(document, &path).unwrap_or(&Value::Null);
            if found == wanted { Ok(()) } else { Err(()) }
        }
        _ => Err(()),
    }
}

fn pointer(text: &str) -> Result<Vec<String>, ()> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rest = text.strip_prefix('/').ok_or(())?;
    Ok(rest
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect())
}

/// A list index; negative ones count from the end, as the library allows.
fn index(part: &str, length: usize) -> Result<usize, ()> {
    if let Some(back) = part.strip_prefix('-').filter(|digits| !digits.is_empty()) {
        let back: usize = back.parse().map_err(|_| ())?;
        return length.checked_sub(back).ok_or(());
    }
    if part.len() > 1 && part.starts_with('0') {
        return Err(());
    }
    part.parse().map_err(|_| ())
}

fn find<'a>(document: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(document, |at, part| match at {
        Value::Object(map) => map.get(part),
        Value::Array(list) => list.get(index(part, list.len()).ok()?),
        _ => None,
    })
}

fn parent<'a>(document: &'a mut Value, path: &[String]) -> Result<&'a mut Value, ()> {
    path.iter().try_fold(document, |at, part| match at {
        Value::Object(map) => map.get_mut(part).ok_or(()),
        Value::Array(list) => {
            let i = index(part, list.len())?;
            list.get_mut(i).ok_or(())
        }
        _ => Err(()),
    })
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), ()> {
    let Some((last, head)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match parent(document, head)? {
        Value::Object(map) => {
            map.insert(last.clone(), value);
        }
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let i = index(last, list.len() + usize::from(last.starts_with('-')))?;
            if i > list.len() {
                return Err(());
            }
            list.insert(i, value);
        }
        _ => return Err(()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, ()> {
    let (last, head) = path.split_last().ok_or(())?;
    match parent(document, head)? {
        Value::Object(map) => map.remove(last).ok_or(()),
        Value::Array(list) => {
            let i = index(last, list.len())?;
            if i < list.len() {
                Ok(list.remove(i))
            } else {
                Err(())
            }
        }
        _ => Err(()),
    }
}

fn replace(document: &mut Value, path: &[String], value: Value) -> Result<(), ()> {
    let Some((last, head)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match parent(document, head)? {
        Value::Object(map) => {
            map.insert(last.clone(), value);
        }
        Value::Array(list) => {
            let i = index(last, list.len())?;
            *list.get_mut(i).ok_or(())? = value;
        }
        _ => return Err(()),
    }
    Ok(())
}

/// Merges `patch` into `target`: null removes, objects merge, everything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        prune(target);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Drops nulls from the objects in a list, as the library does, though the RFC would keep them.
fn prune(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(prune),
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(prune);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_do_what_the_rfc_says() {
        let document = json!({"a": {"b": [1, 2]}, "x~y/z": 1});
        for (operations, want) in [
            (
                json!([{"op": "add", "path": "/a/b/1", "value": 9}]),
                json!({"a": {"b": [1, 9, 2]}, "x~y/z": 1}),
            ),
            (
                json!([{"op": "add", "path": "/a/b/-", "value": 9}]),
                json!({"a": {"b": [1, 2, 9]}, "x~y/z": 1}),
            ),
            (
                json!([{"op": "remove", "path": "/x~0y~1z"}]),
                json!({"a": {"b": [1, 2]}}),
            ),
            (
                json!([{"op": "replace", "path": "/a/new", "value": 1}]),
                json!({"a": {"b": [1, 2], "new": 1}, "x~y/z": 1}),
            ),
            (
                json!([{"op": "move", "from": "/a/b/0", "path": "/c"}]),
                json!({"a": {"b": [2]}, "c": 1, "x~y/z": 1}),
            ),
            (
                json!([{"op": "copy", "from": "/a/b", "path": "/c"}, {"op": "test", "path": "/c/1", "value": 2}]),
                json!({"a": {"b": [1, 2]}, "c": [1, 2], "x~y/z": 1}),
            ),
        ] {
            let list = operations.as_array().unwrap();
            assert_eq!(apply(&document, list), Ok(want), "{operations}");
        }
        for bad in [
            json!({"op": "test", "path": "/a/b/0", "value": 2}),
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "add", "path": "/none/x", "value": 1}),
            json!({"op": "replace", "path": "/a/b/7", "value": 1}),
            json!({"op": "frob", "path": "/a"}),
            json!({"op": "add"}),
        ] {
            assert_eq!(
                apply(&document, std::slice::from_ref(&bad)),
                Err(()),
                "{bad}"
            );
        }
    }

    #[test]
    fn merging_removes_by_null() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(
            &mut target,
            &json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": [2]}),
        );
        assert_eq!(target, json!({"a": {"c": 2, "e": {"g": 1}}, "d": [2]}));
        merge(
            &mut target,
            &json!({"a": null, "d": [null, {"h": null, "i": 1}]}),
        );
        assert_eq!(target, json!({"d": [null, {"i": 1}]}));
    }
}
