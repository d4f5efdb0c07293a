//! How a webhook is reached: by URL or by a Service.

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;

const FORM: &str = "; desired format: https://host[/path]";

/// Checks `clientConfig`.
pub(crate) fn check(errors: &mut Errors, config: &Value, path: &Path) {
    match (config.optional_text("url"), config.has("service")) {
        (Some(address), false) => url(errors, address, &path.child("url")),
        (None, true) => service(errors, config.at("service"), &path.child("service")),
        _ => errors.required(path, "exactly one of url or service is required"),
    }
}

fn url(errors: &mut Errors, text: &str, path: &Path) {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if scheme != "https" {
        let detail = format!("'https' is the only allowed URL scheme{FORM}");
        errors.invalid(path, scheme, detail);
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = if scheme.is_empty() {
        ""
    } else {
        rest.split('/').next().unwrap_or_default()
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        errors.invalid(path, host, format!("host must be specified{FORM}"));
    }
    for (part, detail) in [
        (user, "user information is not permitted in the URL"),
        (fragment, "fragments are not permitted in the URL"),
        (query, "query parameters are not permitted in the URL"),
    ] {
        if !part.is_empty() {
            errors.invalid(path, part, detail);
        }
    }
}

fn service(errors: &mut Errors, service: &Value, path: &Path) {
    // Upstream hands the two names over in the wrong order, so each is missed under the other's.
    for (key, shown) in [("namespace", "name"), ("name", "namespace")] {
        if service.text(key).is_empty() {
            errors.required(&path.child(shown), "");
        }
    }
    let port = service.number("port").unwrap_or(0);
    let texts = names::port_number(port);
    if !texts.is_empty() {
        let detail = format!("port is not valid: {}", texts.join(", "));
        errors.invalid(&path.child("port"), port, detail);
    }
    service_path(errors, service.text("path"), &path.child("path"));
}

fn service_path(errors: &mut Errors, text: &str, path: &Path) {
    if matches!(text, "" | "/") {
        return;
    }
    if text == "//" {
        return errors.invalid(path, text, "segment[0] may not be empty");
    }
    if !text.starts_with('/') {
        errors.invalid(path, text, "must start with a '/'");
    }
    let mut rest = text.chars();
    rest.next();
    let rest = rest.as_str();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for (i, step) in rest.split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(path, text, format!("segment[{i}] may not be empty"));
            continue;
        }
        for why in names::dns1123_subdomain(step) {
            errors.invalid(path, text, format!("segment[{i}]: {why}"));
        }
    }
}
