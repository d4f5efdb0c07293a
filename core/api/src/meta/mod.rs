//! Metadata rules that all kinds share (`k8s.io/apimachinery/pkg/api/validation`).

pub(crate) mod names;

use model::{FieldError, FieldErrorKind, Timestamp};
use serde_json::{Map, Value};

/// How a kind checks names: `(name, is_prefix)` to reasons against.
pub(crate) type NameRule<'a> = &'a dyn Fn(&str, bool) -> Vec<String>;

const ANNOTATION_BYTES: usize = 256 * 1024;
const MANAGER_BYTES: usize = 128;
const SUBRESOURCE_BYTES: usize = 256;

/// `metadata` of an object; an empty map when it has none.
pub(crate) fn of(object: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    object["metadata"].as_object().unwrap_or(&EMPTY)
}

/// `metadata` of an object to write to; made when it is missing.
pub(crate) fn of_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let meta = &mut object["metadata"];
    if !meta.is_object() {
        *meta = Value::Object(Map::new());
    }
    match meta {
        Value::Object(map) => map,
        _ => unreachable!("made an object just above"),
    }
}

/// A string of `metadata`; empty when it is missing.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

fn string(meta: &Map<String, Value>, key: &str) -> String {
    let value = meta.get(key).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn strings(meta: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
    let map = meta.get(key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect()
}

pub(crate) fn list<'a>(meta: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    let list = meta.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// `ValidateObjectMeta`: a whole object, on create and again on update.
pub(crate) fn validate(
    object: &Value,
    namespaced: bool,
    name_rule: NameRule<'_>,
) -> Vec<FieldError> {
    let meta = of(object);
    let mut errors = Vec::new();
    let (name, prefix) = (string(meta, "name"), string(meta, "generateName"));
    if !prefix.is_empty() {
        errors.extend(invalid(
            "metadata.generateName",
            &prefix,
            name_rule(&prefix, true),
        ));
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        errors.extend(invalid("metadata.name", &name, name_rule(&name, false)));
    }
    errors.extend(validate_namespace(&string(meta, "namespace"), namespaced));
    errors.extend(validate_shared(meta));
    errors.extend(validate_finalizers(meta));
    errors
}

fn invalid(field: &str, value: &str, reasons: Vec<String>) -> Vec<FieldError> {
    reasons
        .into_iter()
        .map(|reason| FieldError::invalid(field, &value.into(), reason))
        .collect()
}

fn validate_namespace(namespace: &str, namespaced: bool) -> Vec<FieldError> {
    let field = "metadata.namespace";
    match (namespaced, namespace.is_empty()) {
        (true, true) => vec![FieldError::required(field, "")],
        (true, false) => invalid(field, namespace, names::dns_label(namespace)),
        (false, true) => Vec::new(),
        (false, false) => vec![FieldError::forbidden(field, "not allowed on this type")],
    }
}

/// What `ValidateObjectMeta` and `ValidateObjectMetaUpdate` have in common.
fn validate_shared(meta: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(generation) = meta.get("generation").and_then(Value::as_i64)
        && generation < 0
    {
        let text = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(
            "metadata.generation",
            &generation.into(),
            text,
        ));
    }
    for (key, value) in strings(meta, "labels") {
        errors.extend(invalid(
            "metadata.labels",
            &key,
            names::qualified_name(&key),
        ));
        errors.extend(invalid(
            "metadata.labels",
            &value,
            names::label_value(&value),
        ));
    }
    let annotations = strings(meta, "annotations");
    for (key, _) in &annotations {
        let reasons = names::qualified_name(&key.to_lowercase());
        errors.extend(invalid("metadata.annotations", key, reasons));
    }
    let bytes: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > ANNOTATION_BYTES {
        errors.push(too_long("metadata.annotations", ANNOTATION_BYTES));
    }
    errors.extend(validate_owners(list(meta, "ownerReferences")));
    errors.extend(validate_managers(list(meta, "managedFields")));
    errors
}

fn too_long(field: impl Into<String>, limit: usize) -> FieldError {
    let detail = format!("may not be more than {limit} bytes");
    FieldError::new(FieldErrorKind::TooLong, field, None, detail)
}

/// An error whose value is printed already.
fn printed(field: &str, value: String, detail: &str) -> FieldError {
    FieldError {
        value: Some(value),
        ..FieldError::new(FieldErrorKind::Invalid, field, None, detail)
    }
}

/// An owner reference as JSON with Go's order of fields.
fn owner_text(owner: &Value) -> String {
    let order = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let fields: Vec<String> = order
        .iter()
        .filter_map(|key| Some(format!("\"{key}\":{}", owner.get(*key)?)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn validate_owners(owners: &[Value]) -> Vec<FieldError> {
    let field = "metadata.ownerReferences";
    let mut errors = Vec::new();
    let mut controller: Option<String> = None;
    for owner in owners {
        let api_version = owner["apiVersion"].as_str().unwrap_or_default();
        // What is no group and version has none.
        let version = match api_version.matches('/').count() {
            0 | 1 => api_version.rsplit('/').next().unwrap_or_default(),
            _ => "",
        };
        if version.is_empty() {
            let text = "version must not be empty";
            errors.push(FieldError::invalid(
                format!("{field}.apiVersion"),
                &api_version.into(),
                text,
            ));
        }
        for key in ["kind", "name", "uid"] {
            if owner[key].as_str().unwrap_or_default().is_empty() {
                errors.push(FieldError::invalid(
                    format!("{field}.{key}"),
                    &"".into(),
                    "must not be empty",
                ));
            }
        }
        if api_version == "v1" && owner["kind"] == "Event" {
            let text = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(printed(field, owner_text(owner), text));
        }
        if owner["controller"] != true {
            continue;
        }
        let part = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
        let this = format!("{}/{}", part("kind"), part("name"));
        match &controller {
            None => controller = Some(this),
            Some(first) => errors.push(printed(
                field,
                format!("[{}]", owners.iter().map(owner_text).collect::<Vec<_>>().join(",")),
                &format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"),
            )),
        }
    }
    errors
}

fn validate_finalizers(meta: &Map<String, Value>) -> Vec<FieldError> {
    let field = "metadata.finalizers";
    let finalizers = list(meta, "finalizers");
    let mut errors = Vec::new();
    for finalizer in finalizers.iter().filter_map(Value::as_str) {
        errors.extend(invalid(field, finalizer, names::qualified_name(finalizer)));
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.push(FieldError::invalid(
            field,
            &Value::from(finalizers.to_vec()),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    errors
}

/// `validateKubeFinalizerName`: finalizers without a domain are Kubernetes' own.
pub(crate) fn unknown_finalizers(object: &Value) -> Vec<FieldError> {
    let standard = ["kubernetes", "orphan", "foregroundDeletion"];
    let finalizers = list(of(object), "finalizers").iter().enumerate();
    finalizers
        .filter_map(|(i, finalizer)| Some((i, finalizer.as_str()?)))
        .filter(|(_, name)| !name.contains('/') && !standard.contains(name))
        .map(|(i, name)| {
            let text = "name is neither a standard finalizer name nor is it fully qualified";
            FieldError::invalid(format!("metadata.finalizers[{i}]"), &name.into(), text)
        })
        .collect()
}

fn validate_managers(entries: &[Value]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let field = format!("metadata.managedFields[{i}]");
        let part = |key: &str| entry[key].as_str().unwrap_or_default();
        if !matches!(part("operation"), "Apply" | "Update") {
            let text = "must be `Apply` or `Update`";
            errors.push(FieldError::invalid(
                format!("{field}.operation"),
                &part("operation").into(),
                text,
            ));
        }
        if !matches!(part("fieldsType"), "" | "FieldsV1") {
            let text = "must be `FieldsV1`";
            errors.push(FieldError::invalid(
                format!("{field}.fieldsType"),
                &part("fieldsType").into(),
                text,
            ));
        }
        errors.extend(validate_manager_name(
            part("manager"),
            &format!("{field}.manager"),
        ));
        if part("subresource").len() > SUBRESOURCE_BYTES {
            errors.push(too_long(format!("{field}.subresource"), SUBRESOURCE_BYTES));
        }
    }
    errors
}

/// `ValidateFieldManager`: short and printable.
pub(crate) fn validate_manager_name(name: &str, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if name.len() > MANAGER_BYTES {
        errors.push(too_long(field, MANAGER_BYTES));
    }
    for (position, c) in name.char_indices().filter(|(_, c)| c.is_control()) {
        let text = format!(
            "invalid character U+{:04X} (at position {position})",
            c as u32
        );
        errors.push(FieldError::invalid(field, &name.into(), text));
    }
    errors
}

/// `ValidateObjectMetaUpdate`: what a changed object may not change.
pub(crate) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let (new, old) = (of(object), of(old));
    let mut errors = Vec::new();
    if old.contains_key("deletionTimestamp") {
        errors.extend(no_new_finalizers(new, old));
    }
    if string(new, "resourceVersion").is_empty() {
        let text = "must be specified for an update";
        errors.push(FieldError::invalid(
            "metadata.resourceVersion",
            &"".into(),
            text,
        ));
    }
    let generation =
        |m: &Map<String, Value>| m.get("generation").and_then(Value::as_i64).unwrap_or(0);
    if generation(new) < generation(old) {
        let text = "must not be decremented";
        errors.push(FieldError::invalid(
            "metadata.generation",
            &generation(new).into(),
            text,
        ));
    }
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let empty = || {
            if key == "deletionGracePeriodSeconds" || key.ends_with("Timestamp") {
                Value::Null
            } else {
                "".into()
            }
        };
        let get = |m: &Map<String, Value>| m.get(key).cloned().unwrap_or_else(empty);
        if !same(&get(new), &get(old)) {
            errors.push(FieldError::invalid(
                format!("metadata.{key}"),
                &get(new),
                "field is immutable",
            ));
        }
    }
    errors.extend(validate_shared(new));
    errors
}

/// Equal values, or the same instant written differently.
fn same(a: &Value, b: &Value) -> bool {
    let instant = |v: &Value| v.as_str().and_then(Timestamp::parse);
    a == b || instant(a).is_some_and(|a| instant(b) == Some(a))
}

fn no_new_finalizers(new: &Map<String, Value>, old: &Map<String, Value>) -> Option<FieldError> {
    let known = list(old, "finalizers");
    let mut extra: Vec<&str> = list(new, "finalizers")
        .iter()
        .filter(|f| !known.contains(f))
        .filter_map(Value::as_str)
        .collect();
    if extra.is_empty() {
        return None;
    }
    extra.sort_unstable();
    extra.dedup();
    let quoted: Vec<String> = extra.iter().map(|f| model::go_quote(f)).collect();
    Some(FieldError::forbidden(
        "metadata.finalizers",
        format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            quoted.join(", ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::unknown_finalizers;
    use serde_json::json;

    #[test]
    fn finalizers_without_a_domain_are_kubernetes_own() {
        let known = ["kubernetes", "orphan", "foregroundDeletion", "a.b/c"];
        let object = json!({"metadata": {"finalizers": known}});
        assert!(unknown_finalizers(&object).is_empty());
        let object = json!({"metadata": {"finalizers": ["a.b/c", "x"]}});
        let texts: Vec<String> = unknown_finalizers(&object)
            .iter()
            .map(ToString::to_string)
            .collect();
        let text = "metadata.finalizers[1]: Invalid value: \"x\": \
                    name is neither a standard finalizer name nor is it fully qualified";
        assert_eq!(texts, [text]);
    }
}
