//! Environment variables and where their values come from.

use super::{Scope, visit};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;

/// `env` and `envFrom` of a container.
pub(crate) fn validate(errors: &mut Errors, container: &Value, path: &Path) {
    let list = path.child("env");
    for (i, variable) in container.items("env").iter().enumerate() {
        let path = list.index(i);
        let name = variable.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), name, words::env_name(name));
        }
        if variable.has("valueFrom") {
            value_from(errors, variable, &path.child("valueFrom"));
        }
    }
    let list = path.child("envFrom");
    for (i, source) in container.items("envFrom").iter().enumerate() {
        env_from(errors, source, &list, &list.index(i));
    }
}

/// Fields of the Pod that a variable may hold.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn value_from(errors: &mut Errors, variable: &Value, path: &Path) {
    let from = variable.at("valueFrom");
    let mut sources = 0;
    if from.has("fieldRef") {
        sources += 1;
        field_ref(
            errors,
            from.at("fieldRef"),
            &ENV_FIELDS,
            &path.child("fieldRef"),
        );
    }
    if from.has("resourceFieldRef") {
        sources += 1;
        let path = path.child("resourceFieldRef");
        resource_field_ref(errors, from.at("resourceFieldRef"), &path, false);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if from.has(key) {
            sources += 1;
            key_ref(errors, from.at(key), &path.child(key));
        }
    }
    if from.has("fileKeyRef") {
        sources += 1;
        file_key_ref(errors, from.at("fileKeyRef"), &path.child("fileKeyRef"));
    }
    if sources == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
             `secretKeyRef` or `fileKeyRef`",
        );
    } else if !variable.text("value").is_empty() {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        );
    }
}

/// A field of the Pod; `fields` are those without a subscript that may be named.
pub(crate) fn field_ref(errors: &mut Errors, reference: &Value, fields: &[&str], path: &Path) {
    let field = reference.text("fieldPath");
    if reference.text("apiVersion").is_empty() {
        errors.required(&path.child("apiVersion"), "");
        return;
    }
    if field.is_empty() {
        errors.required(&path.child("fieldPath"), "");
        return;
    }
    match convert_field(reference.text("apiVersion"), field) {
        Err(text) => errors.invalid(
            &path.child("fieldPath"),
            field,
            format!("error converting fieldPath: {text}"),
        ),
        Ok((name, Some(subscript))) => {
            let annotation = name == "metadata.annotations";
            let key = if annotation {
                subscript.to_lowercase()
            } else {
                subscript.to_owned()
            };
            errors.invalid_each(path, &key, names::qualified_name(&key));
        }
        Ok((name, None)) if !fields.contains(&name) => {
            errors.not_supported(&path.child("fieldPath"), name, fields);
        }
        Ok(_) => {}
    }
}

/// Splits `metadata.labels['x']` and maps old names to new ones.
fn convert_field<'a>(version: &str, field: &'a str) -> Result<(&'a str, Option<&'a str>), String> {
    const KNOWN: [&str; 14] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "spec.schedulerName",
        "status.phase",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    let split = field
        .strip_suffix("']")
        .and_then(|rest| rest.split_once("['"));
    match split {
        Some((name @ ("metadata.annotations" | "metadata.labels"), key)) => Ok((name, Some(key))),
        Some((name, _)) if !name.is_empty() => {
            Err(format!("field label does not support subscript: {field}"))
        }
        _ if KNOWN.contains(&field) => Ok((field, None)),
        _ if field == "spec.host" => Ok(("spec.nodeName", None)),
        _ => Err(format!("field label not supported: {field}")),
    }
}

/// Sizes that resources can be divided by.
const SIZES: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// A resource of a container; in volumes the container has to be named.
pub(crate) fn resource_field_ref(
    errors: &mut Errors,
    reference: &Value,
    path: &Path,
    volume: bool,
) {
    const KNOWN: [&str; 6] = [
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let resource = reference.text("resource");
    let huge = |text: &str| {
        text.starts_with("requests.hugepages-") || text.starts_with("limits.hugepages-")
    };
    if volume && reference.text("containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !KNOWN.contains(&resource) && !huge(resource) {
        errors.not_supported(&path.child("resource"), resource, &KNOWN);
    }
    let divisor = super::resources::quantity(reference.at("divisor"));
    if divisor.signum() == 0 {
        return;
    }
    let text = divisor.to_string();
    let kind = match resource.split_once('.').map(|(_, name)| name) {
        Some("cpu") if !["1m", "1"].contains(&text.as_str()) => {
            let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
            errors.invalid(&path.child("divisor"), resource, detail);
            return;
        }
        Some("memory") => "memory",
        Some("ephemeral-storage") => "local ephemeral storage",
        _ if huge(resource) => "hugepages",
        _ => return,
    };
    if !SIZES.contains(&text.as_str()) {
        errors.invalid(
            &path.child("divisor"),
            resource,
            format!(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei \
                 are supported with the {kind} resource"
            ),
        );
    }
}

fn key_ref(errors: &mut Errors, reference: &Value, path: &Path) {
    let (name, key) = (reference.text("name"), reference.text("key"));
    errors.invalid_each(&path.child("name"), name, names::dns1123_subdomain(name));
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        errors.invalid_each(&path.child("key"), key, words::config_key(key));
    }
}

fn file_key_ref(errors: &mut Errors, reference: &Value, path: &Path) {
    for name in ["key", "volumeName", "path"] {
        let (path, value) = (path.child(name), reference.text(name));
        match name {
            _ if value.is_empty() => errors.required(&path, ""),
            "key" => errors.invalid_each(&path, value, words::env_name(value)),
            "volumeName" => errors.invalid_each(&path, value, names::dns1123_label(value)),
            _ => words::path_without_backsteps(errors, &path, value),
        }
    }
}

fn env_from(errors: &mut Errors, source: &Value, list: &Path, path: &Path) {
    let prefix = source.text("prefix");
    if !prefix.is_empty() {
        errors.invalid_each(&path.child("prefix"), prefix, words::env_name(prefix));
    }
    let mut sources = 0;
    for key in ["configMapRef", "secretRef"] {
        if !source.has(key) {
            continue;
        }
        sources += 1;
        let (path, name) = (path.child(key).child("name"), source.at(key).text("name"));
        if name.is_empty() {
            errors.required(&path, "");
        } else {
            errors.invalid_each(&path, name, names::subdomain_name(name, true));
        }
    }
    if sources == 0 {
        errors.invalid(
            list,
            "",
            "must specify one of: `configMapRef` or `secretRef`",
        );
    } else if sources > 1 {
        errors.invalid(
            list,
            "",
            "may not have more than one field specified at a time",
        );
    }
}

/// `fileKeyRef` names an emptyDir of the pod.
pub(crate) fn file_key_volumes(errors: &mut Errors, scope: &Scope<'_>) {
    for (container, path) in visit(scope.spec, &scope.path) {
        for (j, variable) in container.items("env").iter().enumerate() {
            let reference = variable.at("valueFrom").at("fileKeyRef");
            if reference.is_null() {
                continue;
            }
            let name = reference.text("volumeName");
            let from = path.child("env").index(j).child("valueFrom");
            let path = from.child("fileKeyRef").child("volumeName");
            let volumes = scope.spec.items("volumes").iter();
            match volumes.rev().find(|volume| volume.text("name") == name) {
                None => errors.not_found(&path, name),
                Some(volume) if !volume.has("emptyDir") => {
                    errors.invalid(&path, name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    }
}
