//! Differences of Pod specs as the API prints them: a unified diff of both, as Go prints its
//! internal types.

use super::podspec::resources::quantity;
use crate::field::diff;
use crate::field::read::{Read, copy_field, ensure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// `old` against `new`, both PodSpecs.
pub(super) fn pod_spec_diff(old: &Value, new: &Value) -> String {
    diff::unified(
        &print("PodSpec", &internal(old)),
        &print("PodSpec", &internal(new)),
    )
}

/// `old` against `new`, both ephemeral containers.
pub(super) fn ephemeral_container_diff(old: &Value, new: &Value) -> String {
    let kind = "EphemeralContainer";
    diff::unified(&print(kind, old), &print(kind, new))
}

/// `old` against `new`, both specs of claims.
pub(crate) fn claim_spec_diff(old: &Value, new: &Value) -> String {
    let kind = "PersistentVolumeClaimSpec";
    diff::unified(&print(kind, old), &print(kind, new))
}

/// `old` against `new`, both sources of volumes.
pub(crate) fn volume_source_diff(old: &Value, new: &Value) -> String {
    let kind = "PersistentVolumeSource";
    diff::unified(&print(kind, old), &print(kind, new))
}

/// The node affinity of a volume on one line.
pub(crate) fn volume_node_affinity(affinity: &Value) -> String {
    if affinity.is_null() {
        return "null".to_owned();
    }
    let member = (
        "Required".to_owned(),
        "*NodeSelector",
        affinity.at("required"),
    );
    let mut out = String::new();
    write_members(&mut out, &[member], COMPACT);
    out
}

/// A template of Pods on one line, as texts about its change show it.
pub(crate) fn pod_template(template: &Value) -> String {
    let mut members: Vec<Member<'_>> = Vec::new();
    let metadata = template.at("metadata").as_object();
    for (key, value) in metadata.into_iter().flatten() {
        let kind = if value.is_array() { "[]l" } else { "o" };
        members.push((key.clone(), kind, value));
    }
    members.sort_by_key(|(key, ..)| key == "annotations");
    let spec = internal(template.at("spec"));
    members.push(("Spec".to_owned(), "PodSpec", &spec));
    let mut out = String::new();
    write_members(&mut out, &members, COMPACT);
    out
}

/// A Pod spec on one line.
pub(crate) fn pod_spec(spec: &Value) -> String {
    let mut out = String::new();
    write(&mut out, "PodSpec", &internal(spec), COMPACT);
    out
}

/// Some fields of the spec belong to the security context internally.
fn internal(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let outer = spec.clone();
    if let Some(context) = ensure(&mut spec, "securityContext") {
        for key in [
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "shareProcessNamespace",
            "hostUsers",
        ] {
            copy_field(context, &outer, key);
        }
    }
    spec
}

/// A field of an internal type.
struct Field {
    go: &'static str,
    json: String,
    kind: &'static str,
}

static TYPES: LazyLock<BTreeMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    include_str!("data/internal_types.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, fields) = line.split_once(' ')?;
            Some((name, fields.split(' ').filter_map(field).collect()))
        })
        .collect()
});

fn field(text: &'static str) -> Option<Field> {
    if let Some(kind) = text.strip_prefix('+') {
        let json = String::new();
        return Some(Field { go: "", json, kind });
    }
    let (names, kind) = text.split_once(':')?;
    let (go, json) = match names.split_once('=') {
        Some((go, json)) => (go, json.to_owned()),
        None => (names, first_small(names)),
    };
    Some(Field { go, json, kind })
}

fn first_small(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

fn print(kind: &str, value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, kind, value, 0);
    out
}

/// How deep a line is indented; this one means: all on one line.
const COMPACT: usize = usize::MAX;

/// The indentation of what is inside.
fn inner(level: usize) -> usize {
    level.saturating_add(1)
}

fn write(out: &mut String, kind: &str, value: &Value, level: usize) {
    if let Some(element) = kind.strip_prefix("[]") {
        write_list(out, element, value, level);
    } else if let Some(target) = kind.strip_prefix('*') {
        match value {
            Value::Null => out.push_str("null"),
            value => write(out, target, value, level),
        }
    } else if let Some(text) = scalar(kind, value) {
        out.push_str(&text);
    } else if matches!(kind, "m" | "r" | "l" | "o") {
        write_map(out, kind, value, level);
    } else {
        let mut members = Vec::new();
        collect(&mut members, kind, value);
        write_members(out, &members, level);
    }
}

fn scalar(kind: &str, value: &Value) -> Option<String> {
    Some(match kind {
        "s" => quote(value.as_str().unwrap_or_default()),
        "i" => value.as_i64().unwrap_or(0).to_string(),
        "b" => value.as_bool().unwrap_or(false).to_string(),
        "q" => quote(&quantity(value).to_string()),
        "v" => match value {
            Value::String(text) => quote(text),
            Value::Null => "0".to_owned(),
            other => other.to_string(),
        },
        _ => return None,
    })
}

/// A string as Go's encoder writes it, markup characters escaped.
fn quote(text: &str) -> String {
    Value::from(text)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

type Member<'a> = (String, &'a str, &'a Value);

/// Members of a structure in their order, embedded ones in place.
fn collect<'a>(members: &mut Vec<Member<'a>>, kind: &str, value: &'a Value) {
    for field in TYPES.get(kind).into_iter().flatten() {
        if field.go.is_empty() {
            collect(members, field.kind, value);
        } else {
            members.push((field.go.to_owned(), field.kind, value.at(&field.json)));
        }
    }
}

fn write_members(out: &mut String, members: &[Member<'_>], level: usize) {
    if members.is_empty() {
        out.push_str("{}");
        return;
    }
    out.push('{');
    for (i, (name, kind, value)) in members.iter().enumerate() {
        line(out, inner(level), i > 0);
        out.push_str(&quote(name));
        out.push_str(if level == COMPACT { ":" } else { ": " });
        write(out, kind, value, inner(level));
    }
    line(out, level, false);
    out.push('}');
}

fn line(out: &mut String, level: usize, comma: bool) {
    if comma {
        out.push(',');
    }
    if level == COMPACT {
        return;
    }
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', level));
}

fn write_list(out: &mut String, element: &str, value: &Value, level: usize) {
    let items = match value.as_array() {
        None => return out.push_str("null"),
        Some(items) if items.is_empty() => return out.push_str("null"),
        Some(items) => items,
    };
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        line(out, inner(level), i > 0);
        write(out, element, item, inner(level));
    }
    line(out, level, false);
    out.push(']');
}

/// Maps, and types that have JSON names of their own (selectors, metadata).
fn write_map(out: &mut String, kind: &str, value: &Value, level: usize) {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    if matches!(kind, "m" | "r") && map.is_empty() {
        return out.push_str("null");
    }
    let mut members: Vec<Member<'_>> = map
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| {
            let inner = match (kind, value) {
                ("r", _) => "q",
                (_, Value::Object(_)) => "m",
                (_, Value::Array(_)) if key == "values" => "[]s",
                (_, Value::Array(_)) => "[]l",
                _ => "v",
            };
            (key.clone(), inner, value)
        })
        .collect();
    if kind == "l" {
        // matchLabels stand before matchExpressions.
        members.sort_by_key(|(key, _, _)| key == "matchExpressions");
    }
    write_members(out, &members, level);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_spec_prints_as_gos_internal_type() {
        let spec = json!({"hostNetwork": true, "containers": [{"name": "c"}]});
        let text = print("PodSpec", &internal(&spec));
        assert!(
            text.starts_with("{\n \"Volumes\": null,\n \"InitContainers\": null,\n"),
            "{text}"
        );
        assert!(
            text.contains("\n \"SecurityContext\": {\n  \"HostNetwork\": true,"),
            "{text}"
        );
        assert!(
            text.contains("\n   \"Resources\": {\n    \"Limits\": null,"),
            "{text}"
        );
    }

    #[test]
    fn a_changed_field_shows_with_three_lines_around_it() {
        let old = json!({"nodeName": "a"});
        let new = json!({"nodeName": "b"});
        assert_eq!(
            pod_spec_diff(&old, &new),
            "@@ -10,7 +10,7 @@\n  \"NodeSelector\": null,\n  \"ServiceAccountName\": \"\",\n  \
             \"AutomountServiceAccountToken\": null,\n- \"NodeName\": \"a\",\n+ \"NodeName\": \
             \"b\",\n  \"SecurityContext\": {\n   \"HostNetwork\": false,\n   \"HostPID\": false,\n"
        );
    }
}
