//! Further words that fields may hold: keys of maps, environment variables, headers, percentages,
//! paths, finalizers. Each check returns one text per reason, none when the value is right.
//!
//! Source: `apimachinery/pkg/util/validation`, `pkg/apis/core/validation`.

use super::names::{max_length, regex_text};
use super::path::{Errors, Path};
use serde_json::Value;

/// A key of a ConfigMap or Secret.
pub(crate) fn config_key(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    if value.len() > 253 {
        texts.push(max_length(253));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if value.is_empty() || !value.bytes().all(allowed) {
        texts.push(regex_text(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    texts.extend(match value {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    });
    texts
}

/// The name of an environment variable, by the relaxed rule that is on since 1.32.
pub(crate) fn env_name(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    if value.is_empty() {
        texts.push("environment variable name must be non-empty".to_owned());
    }
    if !value
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'=')
    {
        texts.push(
            "a valid environment variable name must consist only of printable ASCII characters \
             other than '='"
                .to_owned(),
        );
    }
    texts
}

/// The name of an HTTP header.
pub(crate) fn header_name(value: &str) -> Vec<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !value.is_empty() && value.bytes().all(allowed) {
        return Vec::new();
    }
    vec![regex_text(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// `N%`
pub(crate) fn percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    vec![regex_text(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    )]
}

/// A subdomain whose labels may also hold underscores, as DNS search paths do.
pub(crate) fn subdomain_with_underscore(value: &str) -> Vec<String> {
    const LABEL: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        bytes.first().is_some_and(|b| edge(*b))
            && bytes.last().is_some_and(|b| edge(*b))
            && bytes.iter().all(|b| edge(*b) || matches!(b, b'-' | b'_'))
    };
    let mut texts = Vec::new();
    if value.len() > 253 {
        texts.push(max_length(253));
    }
    if !value.split('.').all(is_label) {
        texts.push(regex_text(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '_', '-' or '.', and must start and end with an alphanumeric character",
            &format!(r"{LABEL}(\.{LABEL})*"),
            &["example.com"],
        ));
    }
    texts
}

/// A path without `..` steps.
pub(crate) fn path_without_backsteps(errors: &mut Errors, path: &Path, target: &str) {
    if target.split('/').any(|step| step == "..") {
        errors.invalid(path, target, "must not contain '..'");
    }
}

/// A relative path without `..` steps.
pub(crate) fn descending_path(errors: &mut Errors, path: &Path, target: &str) {
    if target.starts_with('/') {
        errors.invalid(path, target, "must be a relative path");
    }
    path_without_backsteps(errors, path, target);
}

/// A relative path whose first step does not begin with `..`.
pub(crate) fn local_path(errors: &mut Errors, path: &Path, target: &str) {
    descending_path(errors, path, target);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.invalid(path, target, "must not start with '..'");
    }
}

/// A port by number or by name (`intstr.IntOrString`).
pub(crate) fn port_or_name(errors: &mut Errors, path: &Path, port: &Value) {
    if let Some(name) = port.as_str() {
        errors.invalid_each(path, name, super::names::port_name(name));
        return;
    }
    let number = port.as_i64().unwrap_or(0);
    for text in super::names::port_number(number) {
        errors.invalid(path, number, text);
    }
}

/// A finalizer of `spec.finalizers`, fully qualified or one of Kubernetes' own.
pub(crate) fn finalizer(errors: &mut Errors, path: &Path, name: &str) {
    errors.invalid_each(path, name, super::names::qualified_name(name));
    let standard = ["kubernetes", "orphan", "foregroundDeletion"];
    if !name.contains('/') && !standard.contains(&name) {
        errors.invalid(
            path,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
        );
    }
}
